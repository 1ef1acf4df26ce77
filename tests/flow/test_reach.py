"""Inputs that leave a part of a model out are the last choice."""

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from torch import Tensor, nn
from transformers import CLIPConfig

from ivdoctor.flow.reach import NoFeed, reaching


class Towers(nn.Module):
    """Takes words, pictures, or both."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.picture = nn.Embedding(64, 8), nn.Conv2d(3, 8, 14, 14)

    def forward(self, input_ids: Tensor, pixel_values: Tensor | None = None) -> Tensor:
        found: Tensor = self.words(input_ids).sum()
        return found if pixel_values is None else found + self.picture(pixel_values).sum()


def test_inputs_that_reach_both_towers_are_taken() -> None:
    """Though words alone would do."""
    model = Towers()
    feed, missed = reaching(model, CLIPConfig(), lambda one: model(**one))
    assert "pixel_values" in feed
    assert missed == ()


def test_what_is_not_reached_is_named() -> None:
    """Where the inputs are given."""
    model = Towers()
    given = {"input_ids": torch.tensor([[1, 2]])}
    assert reaching(model, CLIPConfig(), lambda one: model(**one), given) == (given, ("picture",))


def test_a_model_that_takes_nothing_says_what_it_said() -> None:
    """Of each candidate."""

    def refuse(_: Any) -> None:
        raise ValueError("not this")

    with pytest.raises(NoFeed) as found:
        reaching(Towers(), CLIPConfig(), refuse)
    assert "ValueError: not this" in str(found.value.args[0])
