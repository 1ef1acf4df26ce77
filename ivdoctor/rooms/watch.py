"""Watching a room from outside: its answers, its time, its memory, its last words."""

import contextlib
import json
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from signal import Signals
from typing import Any, BinaryIO, Protocol

from ..probe import Probe
from ..text import say
from .job import LOADING, Answer, Job
from .memory import free_mib

TICK = 0.05
"""Seconds between two looks at the clock and the memory."""

SPARED = 0.1
"""Share of the free memory that a probe without a limit of its own must leave to others."""

LINE_LIMIT = 64 * 2**20
"""Bytes of one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a room's process ended."""

    code: int
    """Negative: the signal that killed it."""
    left: int = 0
    """Processes it left behind, killed since."""


class Door(Protocol):
    """A running room, seen from outside."""

    pid: int
    results: BinaryIO
    output: BinaryIO

    def ended(self) -> Ended | None:
        """How it ended, or None while it runs."""

    def kill(self) -> None:
        """End it and all it started, at once."""

    def memory_mib(self) -> float:
        """Memory that it and all it started hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long the probe that runs now may take, and how much memory."""

    probe: Probe
    deadline: float
    memory_mib: float = field(init=False)

    def __post_init__(self) -> None:
        limit = float(self.probe.memory_mib) or free_mib() * (1 - SPARED)
        object.__setattr__(self, "memory_mib", limit)


class LastWords:
    """Drains what a room prints, however much that is, and keeps the end of it."""

    def __init__(self, stream: BinaryIO, keep: int = 4096) -> None:
        self._stream, self._keep = stream, keep
        self._tail = b""
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with self._stream, contextlib.suppress(OSError):
            while chunk := self._stream.read1(1 << 16):  # type: ignore[attr-defined]  # a buffered reader
                self._tail = (self._tail + chunk)[-self._keep :]

    def __str__(self) -> str:
        self._thread.join(0.2)
        lines = self._tail.decode(errors="replace").split("\n")
        return " / ".join([line.strip()[:200] for line in lines if line.strip()][-3:])


def watch(door: Door, jobs: Sequence[Job], *, loading: float = LOADING) -> Iterator[Answer]:
    """Answers in the order of the jobs, at least one; fewer than jobs when the room was lost or may be spoilt."""
    events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(door.results, events), daemon=True).start()
    words = LastWords(door.output)
    answered = 0
    bounds = Bounds(probe=jobs[0].probe, deadline=time.monotonic() + loading)
    while answered < len(jobs):
        event = _next(door, events, words, bounds)
        if isinstance(event, Answer):  # the room is lost
            door.kill()
            yield event
            return
        if event["event"] == "start":
            bounds = Bounds(probe=jobs[answered].probe, deadline=time.monotonic() + jobs[answered].probe.timeout)
        elif event["event"] == "end":
            answered += 1
            answer = _answer(event)
            last = answered == len(jobs) or answer.status == "failed"
            yield _with_left(answer, _await_end(door).left) if last else answer
            if last:
                break
        elif event["status"] != "ok":  # what the room had to import
            yield from [Answer(status=event["status"], reason=event["reason"]) for _ in jobs[answered:]]
            break
    door.kill()


def _next(door: Door, events: "queue.SimpleQueue[dict[str, Any] | None]", words: LastWords, bounds: Bounds) -> dict[str, Any] | Answer:
    """The next event, or the answer of a room that was lost while waiting for one."""
    gone_since: float | None = None
    while True:
        try:
            event = events.get(timeout=TICK)
        except queue.Empty:
            overdrawn = _overdrawn(door, bounds)
            if overdrawn is not None:
                return overdrawn
            ended = door.ended()
            if ended is None:
                continue
            gone_since = gone_since or time.monotonic()
            if time.monotonic() - gone_since > 10 * TICK:  # what it wrote before its end has arrived by now
                return _gone(ended, words)
        else:
            return _gone(_await_end(door), words) if event is None else event


def _read(results: BinaryIO, events: "queue.SimpleQueue[dict[str, Any] | None]") -> None:
    """Lines of JSON until the pipe ends; anything else ends it too."""
    with results, contextlib.suppress(OSError, ValueError):
        while (line := results.readline(LINE_LIMIT)) and _sound(event := json.loads(line)):
            events.put(event)
    events.put(None)


def _sound(event: object) -> bool:
    """Whether this is one of ours: a probe can write to any descriptor it finds."""
    needed = {"loaded": ("status",), "start": ("job",), "end": ("status", "seconds")}
    return isinstance(event, dict) and all(key in event for key in needed.get(str(event.get("event")), ("no such event",)))


def _answer(event: dict[str, Any]) -> Answer:
    answer = Answer(
        status=event["status"],
        reason=event.get("reason", ""),
        fact=event.get("fact"),
        seconds=event["seconds"],
    )
    return _with_left(answer, event.get("left", 0))


def _with_left(answer: Answer, left: int) -> Answer:
    if not left:
        return answer
    note = say("it left {count} process(es) running, which were ended", count=left)
    reason = f"{answer.reason}; {note}" if answer.reason else note
    return Answer(status=answer.status, reason=reason, fact=answer.fact, seconds=answer.seconds)


def _overdrawn(door: Door, bounds: Bounds) -> Answer | None:
    """Time or memory used up."""
    if time.monotonic() > bounds.deadline:
        return Answer(status="timeout", reason=say("no answer within {seconds:g} s", seconds=bounds.probe.timeout))
    if door.memory_mib() > bounds.memory_mib:
        return Answer(status="crashed", reason=say("stopped: it used more than {limit:.0f} MiB of memory", limit=bounds.memory_mib))
    return None


def _await_end(door: Door) -> Ended:
    """The end of a room that has no more to say; one that lingers is ended."""
    until = time.monotonic() + 2
    while (ended := door.ended()) is None:
        if time.monotonic() > until:
            door.kill()
            until = float("inf")
        time.sleep(0.002)
    return ended


def _gone(ended: Ended, words: LastWords) -> Answer:
    """A room that ended without answering."""
    return Answer(status="crashed", reason=how_it_ended(ended.code, words))


def how_it_ended(code: int, words: LastWords) -> str:
    """An exit code in words, and what the process said last."""
    if code < 0:
        try:
            name = Signals(-code).name
        except ValueError:
            name = str(-code)
        reason = say("the process was killed by {signal}", signal=name)
    else:
        reason = say("the process ended itself with exit code {code}", code=code)
    last = str(words)
    return f"{reason}; {say('last words: {words}', words=last)}" if last else reason
