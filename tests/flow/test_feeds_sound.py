"""Sounds, and texts with places for them: types really run, made small."""

from typing import Any

import pytest
import torch

from ivdoctor.flow.classes import classes_of
from ivdoctor.flow.feeds import decode_step, first_feed, said
from ivdoctor.flow.shrink import shrunk

pytest.importorskip("transformers", minversion="5.0")
from transformers import CONFIG_MAPPING  # where it is there

FED = {
    "wav2vec2": "input_values 1x9600 float32",
    "encodec": "input_values 1x1x9600 float32",
    "whisper": "input_features 1x80x128 float32, decoder_input_ids 1x2 int64",
    "parakeet_ctc": "input_features 1x128x80 float32, attention_mask 1x128 int64",
}
"""Types, and the first feed they take."""


def tiny(model_type: str) -> tuple[Any, Any]:
    """The likeliest class with random weights, and its configuration."""
    cls = CONFIG_MAPPING[model_type]
    config = cls.from_dict(shrunk(cls().to_dict(), "tiny"))
    torch.manual_seed(0)
    return classes_of(model_type)[0](config).eval(), config


@torch.no_grad()
@pytest.mark.parametrize("model_type", FED)
def test_a_sound_runs(model_type: str) -> None:
    """A wave, a wave with a channel, a spectrum upright, a spectrum in time: the first candidate is the right one."""
    model, config = tiny(model_type)
    feed, refused = first_feed(model, config, lambda feed: model(**feed))
    assert (said(feed), refused) == (FED[model_type], [])


@torch.no_grad()
def test_a_text_has_as_many_places_as_the_sound_has_features() -> None:
    """Qwen2-Audio takes its spectrum and a text, and a step after them."""
    model, config = tiny("qwen2_audio")
    feed, refused = first_feed(model, config, lambda feed: model(**feed))
    assert refused == []
    assert "input_features" in feed
    assert int((feed["input_ids"] == config.audio_token_id).sum()) > 1
    more = decode_step(model, config, feed, model(**feed))
    assert more is not None
    assert "input_features" not in more
    model(**more)
