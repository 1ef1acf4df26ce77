"""The eighteen cells of models that are fed in uncommon ways."""

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from ivdoctor.flow.cells import fed
from ivdoctor.flow.shadow import Shadow


def test_floats_in_lists_are_cast_too() -> None:
    """Time series come as lists; left in float32 they would hide a clash."""
    made = fed({"past_values": [torch.ones(3), torch.ones(2)], "freq": torch.ones(2, dtype=torch.long), "note": "x"}, torch.bfloat16)
    assert [(type(one), one.dtype) for one in made["past_values"]] == [(Shadow, torch.bfloat16)] * 2
    assert isinstance(made["freq"], Tensor)
    assert not isinstance(made["freq"], Shadow)
    assert made["note"] == "x"
