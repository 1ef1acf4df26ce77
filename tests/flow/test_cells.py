"""The eighteen cells of models that are fed in uncommon ways."""

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from ivdoctor.flow.cells import fed, flowing
from ivdoctor.flow.shadow import Shadow
from ivdoctor.flow.world import World


def test_floats_in_lists_are_cast_too() -> None:
    """Time series come as lists; left in float32 they would hide a clash."""
    made = fed({"past_values": [torch.ones(3), torch.ones(2)], "freq": torch.ones(2, dtype=torch.long), "note": "x"}, torch.bfloat16)
    assert [(type(one), one.dtype) for one in made["past_values"]] == [(Shadow, torch.bfloat16)] * 2
    assert isinstance(made["freq"], Tensor)
    assert not isinstance(made["freq"], Shadow)
    assert made["note"] == "x"


def test_tied_weights_are_one_and_have_been_reached() -> None:
    """T5's table of words is that of its encoder; `lm_head` follows the configuration."""
    transformers = pytest.importorskip("transformers")
    config = transformers.T5Config(num_layers=1, d_model=32, d_ff=32, num_heads=2, d_kv=16, vocab_size=64)
    made = flowing(transformers.T5ForConditionalGeneration, config, World())
    assert made.unrun == ()
    assert made.build.tied["encoder.embed_tokens.weight"] == made.build.tied["shared.weight"]
