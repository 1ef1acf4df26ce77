"""Bounds for code that is not ours: how long it runs, and what it opens."""

import contextlib
import os
import signal
import sys
import sysconfig
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from .world import Stopped

OWN = tuple(os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")) + ("/proc/", "/sys/", "/dev/")
CODE = (".py", ".pyc", ".so", ".pyd")
MOST = 20
"""Files that are named."""

_opened: list[dict[str, None]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook cannot be taken off again, so it looks whether anybody listens."""
    if event == "open" and _opened and isinstance(arguments[0], str):
        path = os.path.realpath(arguments[0])
        if not path.startswith(OWN) and not path.endswith(CODE) and len(_opened[-1]) < MOST:
            _opened[-1][os.path.basename(path)] = None


@contextlib.contextmanager
def opened() -> Iterator[dict[str, None]]:
    """The names of files that are opened meanwhile, Python's own and those of installed packages left out."""
    if not getattr(_hook, "set", False):
        sys.addaudithook(_hook)
        _hook.set = True  # type: ignore[attr-defined]
    found: dict[str, None] = {}
    _opened.append(found)
    try:
        yield found
    finally:
        _opened.remove(found)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """
    Stops even a loop that calls no operator; elsewhere than on a POSIX main thread the world's own clock must do.

    Raises:
        Stopped: it took longer.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise Stopped("it took longer than it was given")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # once more every second: a `finally` of the model may swallow one
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
