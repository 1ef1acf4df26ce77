"""What a model may be called with: keyword arguments of its forward pass, the likeliest first."""

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch

Feed = dict[str, Any]

SOUNDS = ("input_features", "input_values", "audio_values", "audio_input_features", "audio_features", "audio_mel", "input_audio_embeds")
SIGHTS = ("pixel", "image", "video", "frame", "grid", "bbox", "visual", "flattened")
"""How the names of pictures begin."""

LIMIT = 48
"""Candidates that are tried."""


def taken(model: Any) -> dict[str, inspect.Parameter]:
    """The parameters of its forward pass, by name."""
    return dict(inspect.signature(model.forward).parameters)


def feeds(model: Any, config: Any) -> Iterator[Feed]:
    """Candidates, made when they are asked for; each names parameters of `model.forward` only."""
    takes = taken(model)
    for feed in _of_kind(model, config, set(takes)):
        yield {name: value for name, value in feed.items() if name in takes}


def _of_kind(model: Any, config: Any, takes: set[str]) -> Iterator[Feed]:
    from .feeds_own import FAMILIES

    own = FAMILIES.get(str(getattr(config, "model_type", "")))
    if own:
        yield from own(model, config, takes)
    seen = any(name.startswith(SIGHTS) or name == "inputs" for name in takes)
    if seen and takes & {"input_ids", "decoder_input_ids", *SOUNDS}:
        from .feeds_mixed import mixed

        yield from mixed(model, config, takes)
    elif seen:
        from .feeds_vision import pictures

        yield from pictures(model, config, takes)
    if takes & set(SOUNDS) and "input_ids" in takes:
        from .feeds_spoken import spoken

        yield from spoken(model, config, takes)
    if takes & set(SOUNDS):
        from .feeds_sound import sounds

        yield from sounds(model, config, takes)
    from .feeds_text import texts

    yield from texts(model, config, takes)


def first_feed(model: Any, config: Any, attempt: Callable[[Feed], Any], limit: int = LIMIT) -> tuple[Feed, list[str]]:
    """
    The first that `attempt` accepts, and why it refused those before it.

    Raises:
        LookupError: it refused them all; its arguments are the reasons.
    """
    reasons: list[str] = []
    for feed in itertools.islice(feeds(model, config), limit):
        try:
            attempt(feed)
        except Exception as error:  # noqa: BLE001  # whatever the model raises is the reason
            reasons.append(f"{said(feed)}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            continue
        return feed, reasons
    raise LookupError(*reasons)


def said(feed: Feed) -> str:
    """`input_ids 1x7 int64, pixel_values 1x3x224x224 float32`."""
    return ", ".join(f"{name} {_shape(value)}" for name, value in feed.items() if value is not True)


def _shape(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return "x".join(map(str, value.shape)) + " " + str(value.dtype).removeprefix("torch.")
    return str(value) if isinstance(value, bool) else type(value).__name__


def decode_step(model: Any, config: Any, feed: Feed, output: Any) -> Feed | None:
    """Keyword arguments of one more step with the cache that `output` holds; None where there is none."""
    from .feeds_text import stepped

    return stepped(model, set(taken(model)), config, feed, output)
