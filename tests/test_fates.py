"""What becomes of quantised weights with transformers, and the table that says it."""

import importlib.util
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from ivdoctor.facts import Place, release
from ivdoctor.fates import Fate, fate, lacks
from ivdoctor.tables import table
from ivdoctor.targets import target
from ivdoctor.testing import a_checkpoint, a_model, a_place, some_packages, some_weights

T4, A100, H100, M2 = target("T4"), target("A100"), target("H100"), a_place("mps", "Apple M2")
CPU = a_place("cpu")

ROWS = {row["method"]: row for row in table("quantisations")}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_each_package_has_its_message_and_can_be_seen(row: dict[str, str]) -> None:
    """The probe looks for the names of `packages.csv` alone: another would be missing for ever."""
    needs = [one for one in row["needs"].split(";") if one]
    assert len(needs) == len([one for one in row["says"].split(" | ") if one])
    names = {one["name"] for one in table("packages")}
    everything = some_packages({name: "0.18.5" if name == "kernels" else "999" for name in names})
    assert lacks(row["needs"], everything) == lacks(row["wants"], everything) == ()
    assert all(lacks(one, some_packages({})) == (one,) for one in needs)


def test_the_table_knows_every_method_of_the_installed_transformers() -> None:
    """A method that is added there has to be added here: an unknown one is said to be skipped. Read, for importing it takes seconds."""
    if importlib.util.find_spec("transformers") is None or release(version("transformers"))[:2] != (5, 23):
        pytest.skip("the table is of transformers 5.23")
    (folder,) = importlib.util.find_spec("transformers").submodule_search_locations  # type: ignore[union-attr,misc]
    source = (Path(folder) / "quantizers" / "auto.py").read_text(encoding="utf-8")
    mapping = source.partition("AUTO_QUANTIZER_MAPPING = {")[2].partition("\n}")[0]
    known = {re.sub(r"_[48]bit$", "", one) for one in re.findall(r'"([^"]+)": ', mapping)}
    assert len(known) > 20
    assert known == {method for method, row in ROWS.items() if row["knows"] == "yes"}


def test_the_words_of_the_table_are_known() -> None:
    """A typing error would be an outcome that no rule answers."""
    for row in ROWS.values():
        assert {row["outcome"], row["otherwise"]} <= {"", "native", "weight-only", "dequantised", "refused"}
        assert row["cast"] in ("refused", "passes")
        assert row["knows"] in ("yes", "no")
        assert set(filter(None, row["devices"].split(";"))) <= {"cuda", "rocm", "xpu", "mps", "cpu", "none"}
        assert set(filter(None, (*row["takes"].split(";"), *row["vllm_takes"].split(";"), row["forced"]))) <= {"float32", "float16", "bfloat16"}
        assert bool(row["vllm"]) == bool(row["vllm_given"])
        assert not (row["vllm"] and row["vllm_says"])


def test_the_fate_of_a_method_on_a_device_of_another_kind_is_not_claimed() -> None:
    """Gaudi is driven by a plug-in: whether fbgemm's kernels run there no table says."""
    gaudi = target("Gaudi 2")
    found = fate(a_model(quantization="fbgemm_fp8"), None, gaudi, None)
    assert found is None
    assert isinstance(fate(a_model(quantization="fbgemm_fp8"), None, A100, None), Fate)


@pytest.mark.parametrize(
    ("method", "stored", "place", "outcome"),
    [
        ("fp8", "float8_e4m3fn", H100, "native"),
        ("fp8", "float8_e4m3fn", A100, "dequantised"),
        ("fp8", "float8_e4m3fn", CPU, "dequantised"),
        ("compressed-tensors", "float8_e4m3fn", H100, "dequantised"),
        ("compressed-tensors", "int32", T4, "dequantised"),
        ("fbgemm_fp8", "float8_e4m3fn", H100, "native"),
        ("fbgemm_fp8", "float8_e4m3fn", A100, "refused"),
        ("awq", "int32", T4, "weight-only"),
        ("mxfp4", "uint8", T4, "weight-only"),
        ("metal", "uint32", M2, "weight-only"),
        ("metal", "uint32", CPU, "dequantised"),
        ("nvfp4", "uint8", H100, "refused"),
        ("modelopt", "float8_e4m3fn", H100, "unread"),
        ("of-tomorrow", "uint8", H100, "unread"),
        ("unknown", "uint8", H100, "refused"),
        ("hqq", "uint8", H100, None),
    ],
)
def test_what_becomes_of_the_weights_is_by_the_method_and_then_by_the_device(method: str, stored: str, place: Place, outcome: str | None) -> None:
    """The engines' table knows formats alone: two methods of one format part ways."""
    found = fate(a_model(quantization=method), a_checkpoint(some_weights(stored)), place, None)
    assert (found.outcome if found else None) == outcome


def test_a_version_counts_as_a_number_and_both_ends_hold() -> None:
    """0.9 is below 0.15, and an upper end is open."""
    assert lacks("x>=0.15.0", some_packages({"x": "0.9.0"})) == ("x>=0.15.0",)
    assert lacks("x>=0.15.0", some_packages({"x": "0.15.0+local"})) == ()
    assert lacks("x>=1,<2", some_packages({"x": "1.99"})) == ()
    assert lacks("x>=1,<2", some_packages({"x": "2.0"})) == ("x>=1,<2",)
    assert lacks("x;y", some_packages({"y": "1"})) == ("x",)
    assert lacks("", some_packages({})) == ()
