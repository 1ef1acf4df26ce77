"""An adapter: what a room makes of one, and of a folder that has none."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ivdoctor import codec
from ivdoctor.facts import Adapter, Asked, Stored
from ivdoctor.probes.adapter import adapter
from ivdoctor.rooms import Answer
from ivdoctor.testing import a_safetensors_file

Look = Callable[..., Answer]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A LoRA of one matrix, whose base is nowhere."""
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "base_model_name_or_path": "nobody/here"}))
    (tmp_path / "adapter_model.safetensors").write_bytes(a_safetensors_file({"lora_A": ("BF16", (4, 8))}))
    return tmp_path


@pytest.mark.parametrize("named", ["", "adapter_config.json"])
def test_an_adapter_is_a_fact(look: Look, folder: Path, named: str) -> None:
    """By its folder, or by its configuration; the base by name."""
    answer = look(adapter, asked=Asked(model=str(folder / named)))
    assert answer.status == "ok", answer.reason
    stored = (Stored(dtype="bfloat16", tensors=1, parameters=32, bytes=64),)
    assert codec.build(answer.fact, Adapter) == Adapter(method="LORA", base="nobody/here", rank=4, stored=stored)


def test_what_has_no_adapter_is_absent(look: Look, tmp_path: Path) -> None:
    """No model, no folder, a model that is none, and a configuration by itself."""
    (tmp_path / "other.json").write_text("{}")
    reasons = {
        "": "no model was named",
        str(tmp_path / "nowhere"): "no adapter: there is no file or folder of that name",
        str(tmp_path): "no adapter: adapter_config.json: not there",
        str(tmp_path / "other.json"): "no adapter: only a configuration was named, and no folder with weights",
    }
    for named, reason in reasons.items():
        answer = look(adapter, asked=Asked(model=named))
        assert (answer.status, answer.reason) == ("absent", reason)


def test_torn_weights_are_a_failure_to_look(look: Look, folder: Path) -> None:
    """What they are is unknown, and the line says why."""
    (folder / "adapter_model.safetensors").write_bytes(b"")
    answer = look(adapter, asked=Asked(model=str(folder)))
    assert (answer.status, answer.reason) == ("failed", "Torn: adapter_model.safetensors: it is empty")
