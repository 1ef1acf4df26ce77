"""The table of memory."""

from dataclasses import replace
from typing import Any

from ivdoctor.facts import Anatomy, Asked, Cache, Quantisation
from ivdoctor.report import Grid
from ivdoctor.targets import target
from ivdoctor.testing import a_checkpoint, a_model, a_place, some_packages, some_weights
from ivdoctor.views_memory import grids

MODEL = a_model(context=131072, cache=Cache(per_token=65536))
CARD = a_place("sm_80", "NVIDIA A100-SXM4-80GB", memory_mib=24576)
NEW = some_packages({"transformers": "5.23.0"})


def drawn(*facts: Any, place: Any = CARD, asked: Asked | None = None) -> list[Grid]:
    """Of these facts."""
    return list(grids(place, {type(one): one for one in facts}, asked or Asked()))


def texts(grid: Grid) -> list[tuple[str, ...]]:
    return [tuple(cell.text for cell in row) for row in grid.rows]


def test_each_format_has_its_weights_its_cache_and_whether_it_fits() -> None:
    """The one that is meant is marked."""
    (grid,) = drawn(MODEL, a_checkpoint(), NEW)
    assert grid.columns == ("format", "weights", "cache of a token", "at 8,192 tokens", "at 131,072 tokens", "fits", "tokens that fit")
    assert texts(grid) == [
        ("fp32", "29.92 GiB", "256.0 KiB", "2.00 GiB", "32.00 GiB", "needs 2", "0"),
        ("fp16", "14.96 GiB", "128.0 KiB", "1.00 GiB", "16.00 GiB", "alone", "54,415"),
        ("bf16 (meant)", "14.96 GiB", "128.0 KiB", "1.00 GiB", "16.00 GiB", "alone", "54,415"),
        ("as stored", "14.96 GiB", "128.0 KiB", "1.00 GiB", "16.00 GiB", "alone", "54,415"),
    ]
    assert [row[5].mark for row in grid.rows] == ["bad", "good", "good", "good"]
    assert grid.caption.startswith("24.0 GiB of NVIDIA A100-SXM4-80GB, of which nine tenths are counted on. Weights by the headers of their files.")
    assert "Left out: what passes through the layers, the CUDA context" in grid.caption


def test_several_devices_hold_together_what_one_does_not() -> None:
    """Poor, and not bad."""
    (grid,) = drawn(MODEL, a_checkpoint(), NEW, place=replace(CARD, count=2))
    assert (grid.rows[0][5].text, grid.rows[0][5].mark) == ("needs 2", "poor")
    assert "2 x 24.0 GiB" in grid.caption


def test_quantised_weights_are_shown_packed_and_expanded() -> None:
    """No cast is offered; what transformers makes of them is marked, and what an engine keeps."""
    stored = (some_weights("int32", 8 * 10**9, 0.5, role="packed"), some_weights("bfloat16", 10**9), some_weights("bfloat16", 10**8, role="scales"))
    model = replace(MODEL, quantization="compressed-tensors", quantised=Quantisation(method="compressed-tensors", format="int4"))
    (grid,) = drawn(model, a_checkpoint(*stored))
    assert [row[:2] for row in texts(grid)] == [("as stored", "5.77 GiB"), ("expanded to 16 bits (meant)", "16.76 GiB")]
    (grid,) = drawn(model, a_checkpoint(*stored), asked=Asked(engine="vllm"))
    assert [row[0] for row in texts(grid)] == ["as stored (meant)", "expanded to 16 bits"]
    assert "as vllm keeps it" in grid.caption


def test_the_latent_is_named_where_it_is_not_kept() -> None:
    """And counted where it is."""
    model = replace(MODEL, model_type="deepseek_v3", cache=Cache(per_token=1249280, compressed=35136))
    (grid,) = drawn(model, a_checkpoint(), some_packages({"transformers": "5.0.0"}))
    assert texts(grid)[2][2] == "2,440.0 KiB"
    assert "engines keep the latent alone: 68.6 KiB a token" in grid.caption
    (grid,) = drawn(model, a_checkpoint(), NEW)
    assert texts(grid)[2][2] == "68.6 KiB"


def test_by_the_configuration_alone_and_without_a_cache() -> None:
    """The caption says how the weights were counted; an encoder has no columns for tokens."""
    (grid,) = drawn(a_model(), Anatomy(how="arithmetic", stored=(some_weights(),)), place=target("T4"))
    assert grid.columns == ("format", "weights", "fits")
    assert "Weights counted from the configuration." in grid.caption
    (grid,) = drawn(replace(MODEL, cache=Cache(per_token=4, windowed=8, window=1024)), a_checkpoint())
    assert "Layers with a window keep 1,024 tokens." in grid.caption
    (grid,) = drawn(replace(MODEL, cache=Cache(per_token=0, state=10**6)), a_checkpoint(), NEW)
    assert texts(grid)[2][-1] == "any"


def test_on_a_processor_nothing_is_spread() -> None:
    """It fits or it does not."""
    (grid,) = drawn(MODEL, a_checkpoint(), place=target("zen4-16GB"))
    assert {row[5].text for row in grid.rows} == {"no"}


def test_pickles_by_their_size() -> None:
    """One row, for nobody knows what they hold."""
    (grid,) = drawn(MODEL, a_checkpoint(format="pickle", stored=(), bytes=10**10))
    assert [row[0] for row in texts(grid)] == ["as stored (meant)"]
    assert "by the size of their files" in grid.caption


def test_nothing_is_drawn_where_sizes_are_not_known() -> None:
    """Neither of the weights nor of the memory, nor without a model."""
    assert drawn(MODEL) == []
    assert drawn(a_checkpoint()) == []
    assert drawn(MODEL, a_checkpoint(), place=replace(CARD, memory_mib=0)) == []
