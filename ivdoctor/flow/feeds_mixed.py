"""A picture (a video, a sound) and the text that has places for it."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch

from .feeds_places import counted, decoded, place, placed, words
from .feeds_vision import pictures

Feed = dict[str, Any]

ALONE = 4
"""Pictures that are tried without a text."""


def mixed(model: Any, config: Any, takes: set[str]) -> Iterator[Feed]:
    """Each picture with as many places as it has features, or with words where pictures have no places; then pictures alone."""
    for floats in pictures(model, config, takes):
        if "input_ids" in floats or not takes & {"input_ids", "decoder_input_ids"}:
            yield floats
            continue
        for tokens in with_tokens(model, config, floats, takes):
            for more in decoded(config, takes):
                yield {**floats, **tokens, **more}
    if place(config, "image") is None:
        yield from itertools.islice(pictures(model, config, takes), ALONE)


def with_tokens(model: Any, config: Any, floats: Feed, takes: set[str]) -> Iterator[Feed]:
    """What goes with it."""
    kind = "video" if any("video" in name for name in floats) else "image"
    count = counted(model, kind, floats) if place(config, kind) is not None else None
    if count:
        yield placed(config, takes, {kind: count})
    if count is None:  # it does not say, or has no places
        yield plain(config, takes)


def plain(config: Any, takes: set[str]) -> Feed:
    """Words alone, where pictures have no places among them."""
    ids = torch.tensor([words(config, 7)])
    return {name: value for name, value in {"input_ids": ids, "attention_mask": torch.ones_like(ids)}.items() if name in takes}
