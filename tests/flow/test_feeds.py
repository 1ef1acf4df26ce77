"""Feeds of whole models, and the step after them: representative types, really run from their default configurations made small."""

import itertools
import json
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from ivdoctor.flow.classes import classes_of
from ivdoctor.flow.feeds import decode_step, feeds, first_feed, said
from ivdoctor.flow.shrink import shrunk

pytest.importorskip("transformers", minversion="5.0")
from transformers import CONFIG_MAPPING  # where it is there

RUN = {
    "llama": "ran",
    "gemma3_text": "ran",
    "qwen2_moe": "ran",
    "deepseek_v3": "ran",
    "jamba": "ran",
    "mamba": "ran",
    "bert": "no cache",
    "t5": "ran",
    "xlnet": "ran",
    "layoutlm": "no cache",
    "patchtst": "no cache",
    "decision_transformer": "no cache",
}
"""Types, and what becomes of one more token."""


def called(model: Any, feed: dict[str, Any]) -> Any:
    """A forward pass."""
    return model(**feed)


def tiny(model_type: str) -> tuple[Any, Any]:
    """The likeliest class with random weights, and its configuration."""
    cls = CONFIG_MAPPING[model_type]
    config = cls.from_dict(shrunk(cls().to_dict(), "tiny"))
    torch.manual_seed(0)
    return classes_of(model_type)[0](config).eval(), config


@torch.no_grad()
def test_types_run_with_the_first_feed_and_one_more_token() -> None:
    """A dozen types, each as its default made small, take the first feed, and a decoder takes one more token with its cache."""
    seen = {}
    for model_type in RUN:
        model, config = tiny(model_type)
        feed, refused = first_feed(model, config, partial(called, model))
        assert refused == [], model_type
        more = decode_step(model, config, feed, model(**feed))
        seen[model_type] = "no cache" if more is None else "ran"
        if more is not None:
            model(**more)
    assert seen == RUN


@torch.no_grad()
def test_a_miniature_keeps_each_kind_of_layer() -> None:
    """Jamba's has a mixer, attention, a dense feed-forward and experts."""
    model, _ = tiny("jamba")
    kinds = {type(module).__name__ for module in model.modules()}
    assert {"JambaMambaMixer", "JambaAttention", "JambaMLP", "JambaSparseMoeBlock"} <= kinds


class Strange(nn.Module):
    """Takes what nobody has heard of."""

    def forward(self, entropy_of_the_room: Any) -> Any:
        """Refuse all."""
        raise ValueError(entropy_of_the_room)


class Vectors(nn.Module):
    """Takes vectors of the width it is made for."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Refuse another width."""
        return hidden_states @ torch.ones(48, 2)


def config_of(**values: Any) -> Any:
    """What a configuration is asked for, and no more."""
    return SimpleNamespace(**values)


def test_no_feed_is_an_error_with_the_reasons() -> None:
    """A model of unheard-of arguments ends in bounded time, and says nothing was found."""
    with pytest.raises(LookupError):
        first_feed(Strange(), config_of(), lambda feed: Strange()(**feed))


def test_what_was_refused_is_told() -> None:
    """The reasons name the feed and the error."""

    def attempt(feed: dict[str, Any]) -> None:
        if "attention_mask" in feed:
            raise RuntimeError("no mask, please")

    class Words(nn.Module):
        def forward(self, input_ids: Any, attention_mask: Any = None) -> None:
            """Take both."""

    feed, refused = first_feed(Words(), config_of(vocab_size=64), attempt)
    assert set(feed) == {"input_ids"}
    assert refused == ["input_ids 1x8 int64, attention_mask 1x8 int64: RuntimeError: no mask, please"]


def test_vectors_are_as_wide_as_the_configuration_says() -> None:
    """A part of a model that takes hidden states is fed them."""
    model = Vectors()
    feed, _ = first_feed(model, config_of(hidden_size=48), lambda feed: model(**feed))
    assert said(feed) == "hidden_states 1x8x48 float32"


@pytest.mark.parametrize("model_type", ["llama", "whisper", "qwen2_audio", "time_series_transformer", "timesfm"])
def test_sizes_follow_the_full_configuration(model_type: str) -> None:
    """From the default configuration in full size: ids are of the vocabulary, and the first candidates are a few, small and named as the forward pass names them."""
    ahead: dict[str, Any] = {"prediction_length": 24} if model_type.startswith("time_") else {}
    config = CONFIG_MAPPING[model_type](**ahead)
    cls = classes_of(model_type)[0]
    with torch.device("meta"):
        model = cls(config)
    vocabulary = getattr(config.get_text_config(), "vocab_size", 1 << 30)
    for feed in first(model, config):
        json.dumps(said(feed))
        for name, value in feed.items():
            if name.endswith("input_ids"):
                assert int(value.max()) < vocabulary
            if isinstance(value, torch.Tensor):
                assert value.device.type == "cpu"
                assert value.numel() < 1_000_000


def first(model: Any, config: Any) -> Iterator[dict[str, Any]]:
    """The first three candidates."""
    return itertools.islice(feeds(model, config), 3)
