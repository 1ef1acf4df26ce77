"""Tokens and the step after them."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from ivdoctor.flow.feeds_text import stepped, texts, tokens


class Decoder(nn.Module):
    """Wants to know where it is."""

    def forward(self, input_ids: Any, position_ids: Any, attention_mask: Any = None, past_key_values: Any = None, use_cache: Any = None) -> None:
        """Take them."""


def test_special_tokens_are_no_words() -> None:
    """Ids skip what the configuration gives a meaning, and stay inside a small vocabulary."""
    config = SimpleNamespace(vocab_size=9, image_token_id=5, eos_token_id=4)
    ids = tokens(config, 4)
    assert not {4, 5} & set(ids.flatten().tolist())
    assert int(ids.max()) < 9


def test_boxes_go_with_words_where_a_page_is_read() -> None:
    """One box for every word; as shares of the page for the family that scales them."""
    names = {"input_ids", "attention_mask", "bbox"}
    whole = next(iter(texts(None, SimpleNamespace(vocab_size=64), names)))
    assert whole["bbox"].shape == (*whole["input_ids"].shape, 4)
    assert whole["bbox"].dtype == torch.int64
    shares = next(iter(texts(None, SimpleNamespace(vocab_size=64, bbox_scale=100.0), names)))
    assert float(shares["bbox"].max()) <= 1


def test_a_decoder_starts_with_its_own_token() -> None:
    """An encoder-decoder is fed both sides."""
    config = SimpleNamespace(vocab_size=64, is_encoder_decoder=True, decoder_start_token_id=7)
    feed = next(iter(texts(None, config, {"input_ids", "attention_mask", "decoder_input_ids"})))
    assert int(feed["decoder_input_ids"][0, 0]) == 7


def test_the_step_is_one_token_and_its_mask_grows() -> None:
    """The cache goes back in, the mask covers the token that came, and required positions are given."""
    ids = torch.tensor([[4, 5, 6]])
    cache = object()
    takes = {"input_ids", "attention_mask", "past_key_values", "use_cache", "position_ids"}
    feed = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    more = stepped(Decoder(), takes, SimpleNamespace(), feed, SimpleNamespace(past_key_values=cache))
    assert more is not None
    assert more["past_key_values"] is cache
    assert more["input_ids"].tolist() == [[6]]
    assert more["attention_mask"].shape == (1, 4)
    assert more["position_ids"].tolist() == [[3]]


def test_no_cache_is_no_step() -> None:
    """An encoder gives nothing to go on with."""
    assert stepped(Decoder(), {"input_ids"}, SimpleNamespace(), {"input_ids": torch.tensor([[4]])}, SimpleNamespace(logits=None)) is None
