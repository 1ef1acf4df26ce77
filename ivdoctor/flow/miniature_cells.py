"""A small model really run: the nine cells of model and input dtype, loaded and cast, on the CPU."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..facts import HALVES, Flowed, Half, Site
from ..text import say
from ..trials.compare import main_output
from ..trials.failure import OPERATORS, first_line, pathless
from ..trials.run import LastFunction, torch_dtype
from .feeds import decode_step
from .guard import within
from .loading import loaded_with
from .where import located
from .world import Stopped

Feed = dict[str, Any]
Call = Callable[[nn.Module, Feed], Any]
WAYS: tuple[Literal["loaded", "cast"], ...] = ("loaded", "cast")
FEW = 50_000_000
"""Weights of a model that may be there six times over."""

CAUGHT = (Exception, Stopped)
"""Whatever a model raises is what came of it, that it was stopped included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of a forward pass and, where there is a cache, of one more token."""

    step: Literal["forward", "decode"] = "forward"
    """The pass that raised, else the last one."""
    output: str = ""
    """Torch's name of the dtype that came out; empty where it raised."""
    error: BaseException | None = None

    @property
    def said(self) -> str:
        """In one line."""
        if self.error is not None:
            return told(self.error)
        return say("ran, output {dtype}", dtype=self.output) if self.output else say("ran")


def told(error: BaseException) -> str:
    """`RuntimeError: mat1 and mat2 must have the same dtype`."""
    return f"{type(error).__name__}: {message(error)}"


def message(error: BaseException) -> str:
    """Its first line, without the way to any file."""
    return pathless(first_line(error))[:500]


def plain(model: nn.Module, feed: Feed) -> Any:
    """The call as one writes it."""
    return model(**feed)


@dataclass(slots=True, kw_only=True)
class Small:
    """A model small enough to be loaded and run many times, and what it is called with."""

    cls: Any
    config: Any
    weights: dict[str, Tensor]
    """In float32, by the names of `state_dict`."""
    feed: Feed
    """Its floats in float32."""
    steps: tuple[Literal["forward", "decode"], ...] = ("forward",)
    until: float = math.inf
    """The monotonic clock's time after which nothing more is run."""
    models: dict[Half, nn.Module] = field(default_factory=dict)
    """As loaded, by format; made when they are asked for."""
    came: dict[str, str] = field(default_factory=dict)
    """In one line what came of each cell that was run, by its case."""

    @property
    def floats(self) -> bool:
        """Whether any input floats."""
        return any(_floats(self.feed))

    @property
    def large(self) -> bool:
        """Whether it is not kept in every format at once."""
        return sum(one.numel() for one in self.weights.values()) > FEW

    def loaded(self, dtype: Half) -> nn.Module:
        """As `from_pretrained(dtype=)` leaves it; shared, so nobody may change it or run it."""
        if dtype not in self.models:
            if self.large:
                self.models = {short: one for short, one in self.models.items() if short == "fp32"}
            self.models[dtype] = loaded_with(self.cls, self.config, self.weights, torch_dtype(dtype))
        return self.models[dtype]

    def model(self, way: str, dtype: Half) -> nn.Module:
        """Loaded in this format, or loaded in fp32 and cast; a new one, for a model may keep what a pass has computed."""
        if way == "loaded":
            return copy.deepcopy(self.loaded(dtype))
        return copy.deepcopy(self.loaded("fp32")).to(torch_dtype(dtype))

    def run(self, model: nn.Module, dtype: Half, call: Call = plain) -> Ran:
        """With the inputs' floats in this format."""
        with within(max(self.until - time.monotonic(), 0.1)) if self.until < math.inf else nullcontext():
            return run(model, self.config, cast(self.feed, torch_dtype(dtype)), self.steps, call)


def run(model: nn.Module, config: Any, feed: Feed, steps: tuple[str, ...], call: Call = plain) -> Ran:
    """The first pass, and one more token with its cache where that is asked for."""
    try:
        with torch.no_grad():
            output = call(model, feed)
    except CAUGHT as error:
        return Ran(error=error)
    found = main_output(output)
    ran = Ran(output=str(found[1].dtype).removeprefix("torch.") if found else "")
    following = stepping(model, config, feed, output) if "decode" in steps else None
    if following is None:
        return ran
    try:
        with torch.no_grad():
            call(model, following)
    except CAUGHT as error:
        return Ran(step="decode", error=error)
    return replace(ran, step="decode")


def stepping(model: nn.Module, config: Any, feed: Feed, output: Any) -> Feed | None:
    """What one more token takes; None where the model keeps no cache or takes none back."""
    with suppress(Exception):  # an output of an unheard-of kind
        return decode_step(model, config, feed, output)
    return None


def cells_run(small: Small, first: tuple[Half, Half] = ("fp32", "fp32")) -> tuple[Flowed, ...]:
    """
    All eighteen; those that cannot differ, for nothing floats, are run once. For what there is no time left is unknown.

    Args:
        first: the model's and the input's dtype that are judged: what tells most about their cell is run first.
    """
    every = [
        Flowed(way=way, model=dtype, input=given, status="unknown", message=say("there was no time left to run it"))
        for way in WAYS
        for dtype in HALVES
        for given in HALVES
    ]
    found: dict[str, Flowed] = {}
    for cell in sorted(every, key=lambda one: _rank(one, first)):
        alike = found.get(replace(cell, input=cell.model).case) if not small.floats else None
        found[cell.case] = _cell(small, cell) if alike is None else replace(alike, input=cell.input)
        if alike is not None and alike.case in small.came:
            small.came[cell.case] = small.came[alike.case]
    return tuple(found[cell.case] for cell in every)


def _rank(cell: Flowed, first: tuple[Half, Half]) -> tuple[bool, bool, bool]:
    """The diagonal is the way out of most cells, so it comes with the one that is judged."""
    whole = cell.model == cell.input
    return not (whole or (cell.model, cell.input) == first), cell.way != "loaded", not (whole or first[0] == cell.model or first[1] == cell.input)


def _cell(small: Small, cell: Flowed) -> Flowed:
    if time.monotonic() > small.until:
        return cell
    try:
        model = small.model(cell.way, cell.model)
    except CAUGHT as error:
        return replace(cell, message=say("it could not be loaded: {error}", error=told(error)))
    return flowed(cell, model, small)


def flowed(cell: Flowed, model: nn.Module, small: Small) -> Flowed:
    """The cell as it came out, and where it raised."""
    ran = small.run(model, cell.input)
    small.came[cell.case] = ran.said
    if ran.error is None:
        return replace(cell, status="ran", step=ran.step, message="")
    if isinstance(ran.error, (Stopped, MemoryError)):
        return replace(cell, message=told(ran.error))
    watching = LastFunction()
    with watching:  # a second time, for watching every run would double its cost
        small.run(small.model(cell.way, cell.model), cell.input)
    site = replace(located(ran.error, model), op=OPERATORS.get(watching.name, f"torch.{watching.name}") if watching.name else "")
    return replace(cell, status="raised", step=ran.step, error=type(ran.error).__name__, message=message(ran.error), location=_seen(site))


def _seen(site: Site) -> Site | None:
    return site if site.file or site.module or site.op else None


def cast(feed: Any, dtype: torch.dtype) -> Any:
    """With its floats in this dtype, those in lists too."""
    if isinstance(feed, Tensor):
        return feed.to(dtype) if feed.is_floating_point() else feed
    if isinstance(feed, dict):
        return {name: cast(one, dtype) for name, one in feed.items()}
    if isinstance(feed, (list, tuple)):
        return type(feed)(cast(one, dtype) for one in feed)
    return feed


def _floats(feed: Any) -> Iterator[bool]:
    if isinstance(feed, Tensor):
        yield feed.is_floating_point()
    elif isinstance(feed, (dict, list, tuple)):
        for one in feed.values() if isinstance(feed, dict) else feed:
            yield from _floats(one)
