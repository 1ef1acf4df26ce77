"""Cast, then infer as two probes: one for the machine alone, one for a model; in a room each gives the whole fact."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ivdoctor import codec
from ivdoctor.facts import Asked, Cast
from ivdoctor.plugins import plugins
from ivdoctor.probe import Absent
from ivdoctor.probes.cast import miniature, model
from ivdoctor.rooms import Answer
from ivdoctor.testing import a_place, a_safetensors_file, a_torch_without_cuda

Look = Callable[..., Answer]


def seen(look: Look, probe: Any, **facts: Any) -> Answer:
    return look(probe, torch=a_torch_without_cuda(), place=a_place(), **facts)


def test_one_is_for_the_machine_and_one_for_a_model() -> None:
    """Both give the same fact, so never both of them run; only the model's may take whatever memory is free."""
    assert (miniature.wants, model.wants) == ("no-model", "model")
    assert miniature.fact is model.fact is Cast
    assert (miniature.room, model.room) == ("trial", "trial")
    assert miniature.memory_mib > model.memory_mib == 0
    assert {miniature, model} <= set(plugins().probes)


def test_the_miniature_runs_in_a_room(look: Look) -> None:
    """Both formats against fp32, every module, and a trial of each come back through the room's pipe."""
    torch = pytest.importorskip("torch")
    if torch.__version__ < "2.3":
        pytest.skip("an older torch refuses float16 here")

    found = codec.build(seen(look, miniature).fact, Cast)

    assert (found.model, found.how, found.baseline) == ("miniature", "miniature", "fp32")
    assert [(one.dtype, one.usable) for one in found.runs] == [("bf16", True), ("fp16", True)]
    assert {len(one.modules) for one in found.runs} == {34}
    assert {(one.remedy, one.status, one.where) for one in found.trials} == {
        (f"everything-{dtype}", "passed", "cpu") for dtype in ("bf16", "fp16", "fp32")
    }


def test_a_model_runs_in_a_room(look: Look, tmp_path: Path) -> None:
    """A tiny one, from its folder; the room's own way there is not part of the fact."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    transformers.ViTModel(transformers.ViTConfig(**sizes, image_size=16, patch_size=8)).save_pretrained(tmp_path / "tiny-vit")

    answer = seen(look, model, asked=Asked(model=str(tmp_path / "tiny-vit"), input_dtype="bf16"))

    assert (answer.status, answer.reason) == ("ok", "")
    found = codec.build(answer.fact, Cast)
    assert (found.model, found.how, found.output) == ("tiny-vit", "real-run", "last_hidden_state 2x5x16")
    assert [(one.dtype, one.usable) for one in found.runs] == [("bf16", True), ("fp16", True)]
    assert [(one.model, one.input) for one in found.fed] == [("fp16", "bf16"), ("fp32", "bf16")]
    assert found.rounding
    assert str(tmp_path) not in str(found)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "config.json: not there"),
        ({"config.json": b"{}"}, "the folder has no weights"),
        ({"config.json": b"{}", "pytorch_model.bin": b"x"}, "the weights are not in safetensors, and ivdoctor unpickles nothing: convert them first"),
        (
            {"config.json": b'{"quantization_config": {"bits": 4}}', "model.safetensors": a_safetensors_file()},
            "the model is quantised, and quantised weights are not cast",
        ),
    ],
)
def test_a_model_that_cannot_be_run_is_absent(files: dict[str, bytes], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its reason; transformers is not even imported."""
    torch = pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setattr(os, "cpu_count", torch.get_num_threads)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    with pytest.raises(Absent, match=f"^{re.escape(reason)}$"):
        model(torch=a_torch_without_cuda(), place=a_place(), asked=Asked(model=str(tmp_path)))


@pytest.mark.parametrize("probe", [miniature, model])
def test_a_place_out_of_reach_is_absent(probe: Any) -> None:
    """Nothing is claimed of a device that nothing ran on; torch is not even asked."""
    asked = {"asked": Asked(model="nowhere")} if probe is model else {}

    with pytest.raises(Absent, match=r"^torch 2\.6\.0\+cpu cannot reach Tesla T4$"):
        probe(torch=a_torch_without_cuda(), place=a_place("sm_75", "Tesla T4", reachable=False), **asked)
