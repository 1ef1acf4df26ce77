"""A model made small enough to be really run: a class, a cut configuration, random weights, and inputs it takes."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..probe import Absent
from ..text import say
from .feeds import Feed
from .miniature_cells import Small, run, stepping, told
from .reach import reaching
from .shrink import LEVELS, shrunk

LARGEST = 300_000_000
"""Parameters of a model that is run: it is there three times over, once in each format."""

SLOWEST = 3.0
"""Seconds a pass may take."""

WAVE = 8000
"""Samples of a sound that may be cut."""

SEED = 243


def smallest(config: Any, classes: Sequence[Any], until: float) -> Small:
    """
    Of the configuration's architecture, cut as hard as its own invariants allow.

    Args:
        config: whole.
        classes: the one that is meant first.
        until: the monotonic clock's time after which no further cut is tried.

    Raises:
        Absent: none runs in float32, in one line.
    """
    reasons: list[str] = []
    whole = config.to_dict()
    whole.pop("quantization_config", None)
    for level in LEVELS:
        for cls in classes:
            if reasons and time.monotonic() > until:
                break
            try:
                return small_of(cls, type(config).from_dict(shrunk(whole, level)))
            except Exception as error:  # noqa: BLE001  # the next cut, or the next class
                reasons.append(f"{cls.__name__}: {error if isinstance(error, Absent) else told(error)}")
    raise Absent(say("no miniature of it runs in float32: {reason}", reason=reasons[0] if reasons else say("transformers has no class for it")))


def small_of(cls: Any, config: Any) -> Small:
    """
    With random weights, always the same, and inputs that it takes in float32.

    Raises:
        Absent: it is too large or too slow, or takes none of the inputs that are known.
    """
    with torch.device("meta"):
        size = sum(one.numel() for one in cls(config).parameters())
    if size > LARGEST:
        raise Absent(say("cut as hard as it can be it still has {count} million parameters", count=size // 10**6))
    torch.manual_seed(SEED)
    small = Small(cls=cls, config=config, weights={name: _finite(one) for name, one in cls(config).state_dict().items()}, feed={})
    model = small.model("loaded", "fp32")
    torch.manual_seed(SEED)
    outputs: list[Any] = []

    def attempt(feed: Feed) -> None:
        with torch.no_grad():
            outputs[:] = [model(**feed)]

    began = time.monotonic()
    try:
        small.feed, _ = reaching(model, config, attempt)
    except LookupError as error:
        reason = str(error.args[0]) if error.args else say("none is known")
        raise Absent(say("it takes none of the inputs that are known: {reason}", reason=reason)) from error
    attempt(small.feed)
    small.feed = _shorter(small.feed, attempt)
    if time.monotonic() - began > SLOWEST and _pass(small) > SLOWEST:
        raise Absent(say("a pass takes longer than {seconds:.0f} seconds", seconds=SLOWEST))
    if stepping(model, config, small.feed, outputs[0]) is not None and run(model, config, small.feed, ("decode",)).error is None:
        small.steps = ("forward", "decode")
    return small


def _shorter(feed: Feed, attempt: Callable[[Feed], None]) -> Feed:
    """A wave of an eighth, where the model takes that: half formats are slow on a CPU, and a second of sound is long."""
    wave = feed.get("input_values")
    if (
        not isinstance(wave, Tensor)
        or wave.shape[-1] < WAVE
        or any(feed[name].shape[-1:] == wave.shape[-1:] for name in feed if name != "input_values")
    ):
        return feed
    shorter = feed | {"input_values": wave[..., : wave.shape[-1] // 8].clone()}
    with contextlib.suppress(Exception):  # it wants all of it
        attempt(shorter)
        return shorter
    attempt(feed)
    return feed


def _pass(small: Small) -> float:
    """Seconds of one."""
    began = time.monotonic()
    small.run(small.model("loaded", "fp32"), "fp32")
    return time.monotonic() - began


def _finite(tensor: Tensor) -> Tensor:
    """What a constructor left as it found it may be anything."""
    return tensor.nan_to_num_(0.0, 0.0, 0.0) if tensor.is_floating_point() else tensor
