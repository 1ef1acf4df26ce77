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

from ..text import say
from .world import Stopped

OWN = (*(os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")), "/proc/", "/sys/", "/dev/")
CODE = (".py", ".pyc", ".so", ".pyd")
MOST = 20
"""Files that are named."""

REFUSED = frozenset(
    {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"}
    | {
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.truncate",
        "os.chmod",
        "os.chown",
        "os.link",
        "os.symlink",
        "os.kill",
        "shutil.rmtree",
        "urllib.Request",
    }
)
"""What a model's code has no reason to do while it is looked at; an audit hook is a fence and no prison."""

_opened: list[dict[str, None]] = []
_confined: list[str] = []
"""The folder that may be written, where code of strangers runs."""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook cannot be taken off again, so it looks whether anybody listens."""
    if _confined and event in REFUSED and not _within(arguments):
        raise Stopped(say("the repository's code wants {event}, which ivdoctor refuses", event=event))
    if event == "open" and _confined and _writes(arguments) and not _within(arguments):
        name = os.path.basename(str(arguments[0]))
        raise Stopped(say("the repository's code wants to write {name}, which ivdoctor refuses", name=name))
    if event == "open" and _opened and _path(arguments):
        path = os.path.realpath(_path(arguments))
        if not path.startswith(OWN) and not path.endswith(CODE) and len(_opened[-1]) < MOST:
            _opened[-1][os.path.basename(path)] = None


def _within(arguments: tuple[Any, ...]) -> bool:
    """Whether it concerns the folder that may be written."""
    path = _path(arguments)
    return bool(path) and os.path.realpath(path).startswith((_confined[-1], "/dev/"))


def _path(arguments: tuple[Any, ...]) -> str:
    """Empty for what is none: a descriptor, a socket."""
    return os.fsdecode(arguments[0]) if arguments and isinstance(arguments[0], (str, bytes, os.PathLike)) else ""


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return bool(set(mode) & set("wax+"))
    return bool(_path(arguments)) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _listen() -> None:
    if not getattr(_hook, "set", False):
        sys.addaudithook(_hook)
        _hook.set = True  # type: ignore[attr-defined]


@contextlib.contextmanager
def confined(folder: str) -> Iterator[None]:
    """Code of strangers opens no connection, starts no program, and writes nowhere but in this folder, unless it goes out of its way."""
    _listen()
    _confined.append(os.path.realpath(folder))
    try:
        yield
    finally:
        _confined.pop()


@contextlib.contextmanager
def opened() -> Iterator[dict[str, None]]:
    """The names of files that are opened meanwhile, Python's own and those of installed packages left out."""
    _listen()
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
