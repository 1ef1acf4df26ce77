"""Counting a model on the meta device: as many weights as the model has, and nothing of it in memory."""

import json
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.facts import Anatomy, Asked, Native, Version
from ivdoctor.probe import Absent
from ivdoctor.probes.built import built

pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

TINY: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}


def folder(path: Path, **config: Any) -> str:
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(path)


def native(model_type: str, *, known: bool = True) -> Native:
    return Native(version=Version("5.23.0"), model_type=model_type, known=known)


def count(path: str) -> Anatomy:
    """Through the probe, in this process."""
    found = built(asked=Asked(model=path), native=native("llama"))
    assert isinstance(found, Anatomy)
    return found


@pytest.mark.parametrize("tied", [False, True])
def test_it_is_the_number_of_weights_that_the_model_has(tmp_path: Path, tied: bool) -> None:
    """Shared ones once, in the dtype that the configuration names."""
    from transformers import LlamaConfig, LlamaForCausalLM

    path = folder(tmp_path, model_type="llama", architectures=["LlamaForCausalLM"], dtype="bfloat16", tie_word_embeddings=tied, **TINY)
    made = LlamaForCausalLM(LlamaConfig(tie_word_embeddings=tied, **TINY))

    found = count(path)

    assert found.how == "meta"
    assert found.parameters == sum(one.numel() for one in made.parameters())
    assert [(one.dtype, one.bytes) for one in found.stored] == [("bfloat16", 2 * found.parameters)]


def test_a_large_one_takes_no_memory(tmp_path: Path) -> None:
    """Seventy billion weights in a test of a few megabytes."""
    path = folder(
        tmp_path,
        model_type="llama",
        architectures=["LlamaForCausalLM"],
        **TINY | {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8},
    )
    assert 60e9 < count(path).parameters < 80e9


def test_without_an_architecture_it_is_the_bare_model(tmp_path: Path) -> None:
    """As a loader without a class would make it."""
    with_head = count(folder(tmp_path, model_type="llama", architectures=["LlamaForCausalLM"], **TINY))
    without = count(folder(tmp_path, model_type="llama", **TINY))
    assert with_head.parameters - without.parameters == TINY["vocab_size"] * TINY["hidden_size"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "llama", "num_hidden_layers": 10**9}, "more than 10000 layers"),
        ({"model_type": "llama", "quantization_config": {"quant_method": "fp8"}}, "quantised"),
        ({"model_type": "llama", **TINY, "hidden_size": "many"}, "cannot build it"),
        ({"model_type": "llama", **TINY, "num_attention_heads": 0}, "cannot build it"),
    ],
)
def test_what_cannot_be_built_is_absent_in_one_line(tmp_path: Path, config: dict[str, Any], words: str) -> None:
    """With the reason, and without the path."""
    path = folder(tmp_path, **config)
    with pytest.raises(Absent, match=words) as absent:
        built(asked=Asked(model=path), native=native("llama"))
    assert "\n" not in str(absent.value)
    assert str(tmp_path) not in str(absent.value)


def test_what_transformers_does_not_know_is_not_tried() -> None:
    """Nothing is imported for it."""
    with pytest.raises(Absent, match=r"transformers 5\.23\.0 does not know spark"):
        built(asked=Asked(model="/nowhere"), native=native("spark", known=False))
