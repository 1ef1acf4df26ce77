"""A picture (a video, a sound) and the text that has places for it."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch

from .feeds_families import HEARD
from .feeds_places import counted, decoded, place, placed, words
from .feeds_sound import SPECTRA, WAVES, heard
from .feeds_vision import pictures

Feed = dict[str, Any]

ALONE = 4
"""Pictures that are tried without a text."""


def mixed(model: Any, config: Any, takes: set[str]) -> Iterator[Feed]:
    """A picture and a sound; each picture with as many places as it has features, or with words where pictures have no places; pictures alone."""
    yield from both(model, config, takes)
    for floats in pictures(model, config, takes):
        if "input_ids" in floats or not takes & {"input_ids", "decoder_input_ids"}:
            yield floats
            continue
        for tokens in with_tokens(model, config, floats, takes):
            for more in decoded(config, takes):
                yield {**floats, **tokens, **more}
    if place(config, "image") is None:
        yield from itertools.islice(pictures(model, config, takes), ALONE)


def both(model: Any, config: Any, takes: set[str]) -> Iterator[Feed]:
    """A picture and a sound in one text, the first of each that the model's own towers accept; with both kinds of masks of a sound."""
    kind = getattr(config, "model_type", "")
    if place(config, "image") is None or place(config, "audio") is None or not (takes & {*SPECTRA, *WAVES} or kind in HEARD):
        return
    sounds = itertools.chain(HEARD[kind](config, takes) if kind in HEARD else (), heard(model, config, takes) if takes & {*SPECTRA, *WAVES} else ())
    seen = next(((floats, count) for floats in pictures(model, config, takes) if (count := counted(model, "image", floats))), None)
    sound = next(((floats, count) for floats in sounds if (count := counted(model, "audio", floats))), None)
    if not (seen and sound):
        return
    text = placed(config, takes, {"image": seen[1], "audio": sound[1]})
    feed = {**text, **seen[0], **sound[0], "attention_mask": text["attention_mask"]}
    masks = {name: value.bool() for name, value in feed.items() if name.endswith("features_mask") and value.dtype != torch.bool}
    if masks:
        yield {**feed, **masks}
    yield feed


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
