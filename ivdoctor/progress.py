"""Saying that it is alive: what is looked at, and for how long, while that takes its time."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from .text import say

Slow = Callable[[str, float], None]
"""Told what is looked at and for how many seconds; from another thread."""

T = TypeVar("T")


def unheard(_what: str, _seconds: float) -> None:
    """Nobody listens."""


PATIENCE = 2.0
"""Seconds after which a person wonders."""
AGAIN = 10.0


def patient(found: Iterable[T], names: Sequence[str], slow: Slow) -> Iterator[T]:
    """The same items; while one of them is waited for, `slow` is told its name after PATIENCE, and every AGAIN seconds from then on."""
    items = iter(found)
    for name in (*names, ""):
        with _Clock(name, slow):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


class _Clock:
    """Runs while something is waited for; without a name, and where nobody listens, not at all."""

    def __init__(self, name: str, slow: Slow) -> None:
        self._name, self._slow = name, slow
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        if self._name:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        began, wait = time.monotonic(), PATIENCE
        while not self._done.wait(wait):
            self._slow(self._name, time.monotonic() - began)
            wait = AGAIN


def named(subject: str, place: str) -> str:
    """A subject in the words of who waits for it."""
    what = {
        "torch": say("torch"),
        "flow": say("the model's dtype flow"),
        "miniature": say("a miniature of the model"),
        "replay": say("the model's operators"),
        "cast": say("cast, then infer"),
        "anatomy": say("the model's weights"),
        "checkpoint": say("the checkpoint"),
    }.get(subject, subject)
    return say("{what} on {place}", what=what, place=place) if place else what
