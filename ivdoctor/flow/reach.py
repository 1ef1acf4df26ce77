"""Inputs that reach every part of a model: of two towers neither is left out."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from ..trials.hooks import unrun
from .feeds import Feed, first_feed
from .where import names_of
from .world import Stopped

LATER = 6
"""Further inputs that are tried where the first that were taken do not reach every part."""


class NoFeed(LookupError):
    """No inputs were found that the model takes even in fp32; the arguments are what it said to each."""


def reaching(model: nn.Module, config: Any, call: Callable[[Feed], Any], feed: Feed | None = None) -> tuple[Feed, tuple[str, ...]]:
    """
    The first inputs that reach every part, and nothing; where none do, those that reach most, and what they do not.

    Args:
        call: runs the model, and raises what it raises.
        feed: the only inputs, where they are given.

    Raises:
        NoFeed: it takes none.
    """
    taken: list[tuple[Feed, tuple[str, ...]]] = []
    later = 0

    def attempt(one: Feed) -> None:
        nonlocal later
        later += bool(taken)
        if later > LATER:
            raise Stopped("no better inputs")
        with reached(model) as calls:
            call(one)
        missed = unrun(model, calls)
        taken.append((one, missed))
        if missed:
            raise LookupError(", ".join(missed))

    if feed is not None:
        with contextlib.suppress(LookupError):
            attempt(feed)
        return taken[0]
    try:
        first_feed(model, config, attempt)
    except LookupError as error:
        if not taken:
            raise NoFeed(*error.args) from error
    except Stopped:
        if not taken or later <= LATER:
            raise
    return min(taken, key=lambda one: len(one[1]))


@contextlib.contextmanager
def reached(model: nn.Module) -> Iterator[dict[str, int]]:
    """The modules that are called meanwhile, by name."""
    names, calls = names_of(model), dict[str, int]()

    def hook(module: nn.Module, _: Any) -> None:
        name = names.get(id(module))
        if name is not None:
            calls[name] = calls.get(name, 0) + 1

    handle = nn.modules.module.register_module_forward_pre_hook(hook)
    try:
        yield calls
    finally:
        handle.remove()
