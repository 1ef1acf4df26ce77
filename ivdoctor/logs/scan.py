"""
A log of any size in a stream of passages: the beginning whole, of the rest the lines that may tell of a failure, with what stands around them.

Looking at each line of a gigabyte in Python would take minutes; `bytes.find` passes over it at the speed of reading.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

HEAD = 1 << 18
"""Bytes from the beginning of which every line is looked at: pastes are shorter, and a log tells of its environment there."""

HEADER = b"Traceback (most recent call last)"
FINAL = (b"Error", b"Exception")
"""Looked for within TRACEBACK bytes behind a HEADER: the last line of a traceback names its exception."""
TRACEBACK = 1 << 15
ANYWHERE = (b"not implemented for", b"have the same")
"""Messages that loggers print without their exception."""
ALONE = b"RuntimeError"
"""The commonest name of an exception that is told without its traceback."""

TRIAGE = (HEADER, *FINAL, *ANYWHERE, ALONE)
"""
Beyond the head, only lines with one of these are looked at, `Error` and `Exception` behind a HEADER alone.

A pass over the text costs a fifth to two thirds of the time that iterating over its lines takes, less the longer and rarer the word is:
that is why there are few, and why warnings far into a log are not looked for.
"""

BLOCK = 1 << 18
BEHIND = 1 << 16
"""Bytes before a line that its traceback may take."""
AHEAD = 1 << 13
"""Bytes after the beginning of a line that its message may take."""
LONGEST = 1 << 11
"""Bytes of a long line on either side of what was found in it."""


class Bytes(Protocol):
    """What is read from: a file or stdin, opened in binary."""

    def read(self, size: int, /) -> bytes:
        """At most this many bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A line, or the part of a very long one, and what stands around it."""

    line: bytes
    window: bytes
    start: int
    """Where the line begins in the window."""
    number: int
    """Of the line, from 1; 0 beyond the head."""
    key: bytes = b""
    """What tells the line from others but for labels and times before it; empty in the head."""

    def before(self) -> bytes:
        """What precedes the line: at most BEHIND bytes."""
        return self.window[max(0, self.start - BEHIND) : self.start]

    def after(self) -> bytes:
        """What follows the line: at most AHEAD bytes."""
        end = self.start + len(self.line)
        return self.window[end : end + AHEAD]


HOT = 128
"""Tellings in one block from which on a line is struck out of the next at once; where it is told less often, that costs more than it saves."""
HOTTEST = 3
"""Lines that are struck out: each costs a pass over the block."""


BEGINNING = 20
"""Bytes of a line that are compared with those of lines that told nothing."""
DULL = 256
"""Lines with one beginning that told nothing, from which on the next one is not looked at."""


@dataclass(slots=True)
class Skip:
    """Lines that need no second look, by their key, and how often each came since."""

    counts: dict[bytes, int] = field(default_factory=dict)
    hot: list[bytes] = field(default_factory=list)
    here: dict[bytes, int] = field(default_factory=dict)
    """The same in the block that is being looked at."""

    dull: dict[bytes, int] = field(default_factory=dict)
    """How often lines with this beginning told nothing."""

    def has(self, key: bytes) -> bool:
        """Whether this line needs no second look; it is counted."""
        if key not in self.counts:
            return self.dull.get(key[:BEGINNING], 0) > DULL
        self.counts[key] += 1
        self.here[key] = self.here.get(key, 0) + 1
        if self.here[key] == HOT and len(self.hot) < HOTTEST:
            self.hot.append(key)
        return True

    def struck(self, block: bytes) -> bytes:
        """The block without the lines that come again and again, of the same length: a log that repeats one failure a million times costs no more."""
        self.here.clear()
        for key in tuple(self.hot):
            times = block.count(key + b"\n")  # of a key `Error`, `Error: another` is no telling
            if times < HOT:
                self.hot.remove(key)
            else:
                self.counts[key] += times
                block = block.replace(key + b"\n", bytes(len(key)) + b"\n")
        return block


def passages(stream: Bytes, skip: Skip) -> Iterator[Passage]:
    """Every line of the head, then those that triage lets through and that are not to be skipped, in the order of the text."""
    window = _filled(stream, HEAD + AHEAD)
    ended = len(window) < HEAD + AHEAD
    end = len(window) if ended else _line_end(window, HEAD)
    yield from _every(window, end, skip)
    start = end
    while not ended:
        kept = max(0, start - BEHIND)
        block = _filled(stream, BLOCK)
        ended = len(block) < BLOCK
        window, start = window[kept:] + skip.struck(block), start - kept
        end = len(window) if ended else max(start, _line_end(window, len(window) - AHEAD))
        yield from _chosen(window, start, end, skip)
        start = end


def _filled(stream: Bytes, size: int) -> bytes:
    """A pipe gives less than is asked for long before its end."""
    parts = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _line_end(window: bytes, near: int) -> int:
    """Behind the last line that ends before this byte; the byte itself where a line is longer than the window."""
    return window.rfind(b"\n", max(0, near - BEHIND), near) + 1 or near


def _every(window: bytes, end: int, skip: Skip) -> Iterator[Passage]:
    start, number = 0, 0
    while start < end:
        stop = window.find(b"\n", start, end)
        stop = end if stop < 0 else stop
        number += 1
        for line in window[start:stop].split(b"\r"):  # a progress bar writes over itself
            if len(line) > 2 * LONGEST:
                yield from (Passage(one.line, window, one.start, number) for one in _chosen(window, start, start + len(line), skip))
            elif line:
                yield Passage(line, window, start, number)
            start += len(line) + 1
        start = stop + 1


def _chosen(window: bytes, start: int, end: int, skip: Skip) -> Iterator[Passage]:
    """The lines that triage lets through, in order, no byte twice."""
    for at in _words(window, start, end):
        if at < start:
            continue
        last = window.find(b"\n", at, end)
        last = last if 0 <= last - at < LONGEST else min(end, at + LONGEST)
        start, key = last, window[at:last]
        if skip.has(key):
            continue
        low = max(0, at - LONGEST)
        first = max(window.rfind(b"\n", low, at), window.rfind(b"\r", low, at)) + 1 or low
        yield Passage(window[first:last], window, first, 0, key)


def _words(window: bytes, start: int, end: int) -> list[int]:
    """Where in this part of the window a word of TRIAGE stands."""
    found: list[int] = []
    done = start
    behind = list(_tracebacks(window, start, end))
    for low, high in behind:
        found += _all(window, ALONE, done, low)
        for word in FINAL:
            found += _all(window, word, low, high)
        done = high - len(ALONE)  # it may stand across the end
    if behind == [(start, end)]:  # nothing but tracebacks, and every failure in them has its name
        return sorted(found)
    found += _all(window, ALONE, done, end)
    for word in ANYWHERE:
        found += _all(window, word, start, end)
    return sorted(found)


def _tracebacks(window: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts that stand behind a header, near ones as one; the header may have gone by, but the window still holds it."""
    gone = window.rfind(HEADER, max(0, start - TRACEBACK), start)
    low, high = start, gone + TRACEBACK if gone >= 0 else start
    for header in _all(window, HEADER, start, end):
        if header > high:
            if high > low:
                yield low, high
            low = header
        high = header + TRACEBACK
    if high > low:
        yield low, min(high, end)


def _all(window: bytes, word: bytes, start: int, end: int) -> list[int]:
    found = []
    at = window.find(word, start, end)
    while at >= 0:
        found.append(at)
        at = window.find(word, at + len(word), end)
    return found
