"""Tokens, and what goes with them; one more token with the cache."""

import inspect
from collections.abc import Iterator
from typing import Any

import torch

from .feeds_places import words
from .sizes import first_of, number

Feed = dict[str, Any]

LENGTH = 8
"""Tokens of a sentence."""

BOX = (10, 20, 60, 40)
"""Of every word on a page of 1000 x 1000: left, top, right, bottom."""


def tokens(config: Any, count: int = LENGTH) -> torch.Tensor:
    """1 x count ids of the vocabulary, none of them special."""
    size = number(first_of(config, "vocab_size"), 64)
    return torch.tensor([[one % size for one in words(config, count)]])


def masked(ids: torch.Tensor) -> Feed:
    """As a tokenizer gives them."""
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def started(config: Any, takes: set[str]) -> Feed:
    """The first two tokens of a decoder."""
    if "decoder_input_ids" not in takes:
        return {}
    start = first_of(config, "decoder_start_token_id")
    return {"decoder_input_ids": torch.tensor([[start if isinstance(start, int) else 1, 5]])}


def boxed(config: Any, takes: set[str], ids: torch.Tensor) -> Feed:
    """Where on the page each word stands."""
    if "bbox" not in takes:
        return {}
    boxes = torch.tensor([[list(BOX)] * ids.shape[1]])
    return {"bbox": boxes / 1000 if getattr(config, "bbox_scale", None) else boxes}


def cached(model: Any, takes: set[str]) -> Feed:
    """What `generate` always asks of a model, and some do not do unasked."""
    able = getattr(model, "can_generate", bool)
    return {"use_cache": True} if "use_cache" in takes and able() else {}


def texts(model: Any, config: Any, takes: set[str]) -> Iterator[Feed]:
    """A sentence with its mask, alone, with a decoder's first tokens; embeddings where no ids are taken."""
    if "input_ids" not in takes:
        yield from embedded(config, takes)
        return
    ids = tokens(config)
    more = boxed(config, takes, ids) | cached(model, takes)
    start = started(config, takes)
    both = start and getattr(config, "is_encoder_decoder", False)
    for feed in ({**masked(ids), **more}, {"input_ids": ids, **more}):
        yield {**feed, **start} if both else feed
    yield {**masked(ids), **({} if both else start)}
    yield {**masked(ids), **more, **(start if both else {}), "use_cache": False}
    longer = tokens(config, 8 * LENGTH)
    yield {**masked(longer), **boxed(config, takes, longer)}


def embedded(config: Any, takes: set[str]) -> Iterator[Feed]:
    """Vectors of the model's width, under whichever name it asks for them."""
    width = number(first_of(config, "hidden_size", "d_model", "embed_dim"), 64)
    name = next((one for one in ("inputs_embeds", "hidden_states", "inputs", "input", "x") if one in takes), "")
    if name:
        yield {name: torch.randn(1, LENGTH, width), "attention_mask": torch.ones(1, LENGTH, dtype=torch.long)}
        yield {name: torch.randn(1, LENGTH, width)}
        yield {name: torch.randn(LENGTH, width)}
        yield {name: torch.randn(1, width, LENGTH)}


CACHES = ("past_key_values", "cache_params", "decoder_cache", "cache", "mems", "state")
"""How outputs and forward passes name what is kept of the tokens before."""

WHOLE = ("cpmant",)
"""Types that want all tokens again beside the cache."""


def stepped(model: Any, takes: set[str], config: Any, feed: Feed, output: Any) -> Feed | None:
    """One more token: its arguments, or None where nothing is kept."""
    name = next((one for one in CACHES if (one in takes or "kwargs" in takes) and getattr(output, one, None) is not None), "")
    ids = "decoder_input_ids" if "decoder_input_ids" in feed else "input_ids"
    if not name or ids not in feed:
        return None
    found: Feed = {ids: feed[ids][:, -1:], name: getattr(output, name)}
    found |= {"use_cache": True} if "use_cache" in takes else {}
    if getattr(config, "model_type", "") in WHOLE:
        found[ids] = torch.cat([feed[ids], feed[ids][:, -1:]], dim=1)
    if ids == "decoder_input_ids":
        found |= encoded(takes, feed, output)
    if "encoder_past_key_values" in takes and "input_features" in feed:
        found |= streamed(config, feed, output)
    return found | _beside(feed, ids, name) | _placed(model, takes, feed[ids].shape[1], name)


def _beside(feed: Feed, ids: str, cache: str) -> Feed:
    """The mask, which grows with a decoder's own tokens, and what else is said of each token."""
    found: Feed = {}
    mask = feed.get("attention_mask")
    if isinstance(mask, torch.Tensor) and mask.dim() == 2:  # noqa: PLR2004  # batch and tokens
        grown = mask[:, -1:] if cache == "mems" else torch.cat([mask, mask[:, -1:]], dim=1)
        found["attention_mask"] = grown if ids == "input_ids" else mask
    if "bbox" in feed:
        found["bbox"] = feed["bbox"][:, -1:]
    return found | {kinds: torch.zeros_like(feed[ids][:, -1:]) for kinds in ("token_type_ids", "mm_token_type_ids") if kinds in feed}


def _placed(model: Any, takes: set[str], place: int, cache: str) -> Feed:
    """Where the token stands, for those that must be told."""
    found: Feed = {}
    if _required(model, "cache_position") or (cache == "cache_params" and "cache_position" in takes):
        found["cache_position"] = torch.tensor([place])
    return found | ({"position_ids": torch.tensor([[place]])} if _required(model, "position_ids") else {})


def streamed(config: Any, feed: Feed, output: Any) -> Feed:
    """The sound of one more token, and what its encoder has kept."""
    frames = number(first_of(config, "audio_length_per_tok"), 8)
    kept = {name: getattr(output, name, None) for name in ("encoder_past_key_values", "padding_cache")}
    return {"input_features": feed["input_features"][..., -frames:]} | {name: one for name, one in kept.items() if one is not None}


def _required(model: Any, name: str) -> bool:
    parameter = inspect.signature(model.forward).parameters.get(name)
    return parameter is not None and parameter.default is inspect.Parameter.empty


def encoded(takes: set[str], feed: Feed, output: Any) -> Feed:
    """What the encoder has made, so that it does not run again; the encoder's own input where that cannot be told."""
    hidden = getattr(output, "encoder_last_hidden_state", None)
    if hidden is None or "encoder_outputs" not in takes:
        kept = {key: value for key, value in feed.items() if not key.startswith("decoder_")}
        return {key: value for key, value in kept.items() if key != "attention_mask"}
    from transformers.modeling_outputs import BaseModelOutput

    found = BaseModelOutput(last_hidden_state=hidden)
    found.attention_mask = getattr(output, "encoder_attention_mask", None)  # some ask for the mask of what the encoder has left,
    found.router_logits = getattr(output, "encoder_router_logits", None)  # and some for what its routers said
    return {"encoder_outputs": found}
