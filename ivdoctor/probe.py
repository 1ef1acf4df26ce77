"""Looking: a probe is a function whose return type is the fact it gives, and whose parameters are what it needs."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_type_hints

from .outcome import subject_of

Look = TypeVar("Look", bound=Callable[..., object])


ROOMS = ("plain", "driver", "torch", "trial")
"""In the order they are entered: those without torch are forked before the server imports it."""


class Absent(Exception):
    """The thing looked for is not there: an answer, not an error. The text is the reason."""


class DeviceFault(Exception):
    """The device itself failed: whatever runs next in this process on it would fail too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A registered probe."""

    look: Callable[..., object]
    fact: type
    needs: tuple[tuple[str, type], ...]
    """Parameter names and the facts they take."""
    room: str
    """`plain` (no torch), `driver`, `torch`, or `trial` (one process a device)."""
    timeout: float
    """Seconds."""
    memory_mib: int
    """Memory that is held, the room's children included, files that are mapped left out; 0 for what is free when it begins, less a tenth."""
    wants: Literal["", "model", "no-model"]
    """Whether it is for a checkup of a model, or for one of the machine alone; empty for both."""
    unless: tuple[type, ...] = ()
    """Facts any of which makes this look needless: it is a second way, for where the first came back with nothing."""

    @property
    def subject(self) -> str:
        """The name reports use."""
        return subject_of(self.fact)

    @property
    def reference(self) -> str:
        """Where a room finds it: `package.module:function`."""
        return f"{self.look.__module__}:{self.look.__qualname__}"

    def __call__(self, *args: Any, **kwargs: Any) -> object:
        """Look, in this process: tests do so; the program goes through `rooms`."""
        return self.look(*args, **kwargs)


def probe(
    *,
    room: str = "plain",
    timeout: float = 10,
    memory_mib: int = 4096,
    wants: Literal["", "model", "no-model"] = "",
    unless: tuple[type, ...] = (),
) -> Callable[[Look], Probe]:
    """
    Register a probe by its annotations.

    Raises:
        TypeError: a parameter or the result is not annotated.
    """

    def register(look: Look) -> Probe:
        hints = get_type_hints(look)
        fact = hints.pop("return", None)
        names = list(inspect.signature(look).parameters)
        missing = [name for name in names if name not in hints]
        if room.partition(":")[0] not in ROOMS:
            raise TypeError(f"{inspect.getsourcefile(look)}: {look.__qualname__}: there is no room {room!r}, only {', '.join(ROOMS)}")
        if missing or not isinstance(fact, type):
            raise TypeError(
                f"{inspect.getsourcefile(look)}: {look.__qualname__}: a probe annotates every parameter and its result with the type of a fact"
            )
        needs = tuple((name, hints[name]) for name in names)
        return Probe(look=look, fact=fact, needs=needs, room=room, timeout=timeout, memory_mib=memory_mib, wants=wants, unless=unless)

    return register
