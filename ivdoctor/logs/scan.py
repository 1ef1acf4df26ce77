"""
A log of any size in a stream of passages: the beginning whole, of the rest the lines that may tell of a failure, with what stands around them.

Looking at each line of a gigabyte in Python would take minutes; `bytes.find` passes over it at the speed of reading.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

HEAD = 1 << 20
"""Bytes from the beginning of which every line is looked at: pastes are shorter, and a log tells of its environment there."""

TRIAGE = (b"rror", b"type", b"support", b"mplemented")
"""Beyond the head, a line without any of these tells of no failure: error, Error; dtype, type, Type mismatch; unsupported, not supported, does not support."""

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

    def before(self) -> bytes:
        """What precedes the line: at most BEHIND bytes."""
        return self.window[max(0, self.start - BEHIND) : self.start]

    def after(self) -> bytes:
        """What follows the line: at most AHEAD bytes."""
        end = self.start + len(self.line)
        return self.window[end : end + AHEAD]


def passages(stream: Bytes) -> Iterator[Passage]:
    """Every line of the head, then those that triage lets through, in the order of the text."""
    window = _filled(stream, HEAD + AHEAD)
    ended = len(window) < HEAD + AHEAD
    end = len(window) if ended else _line_end(window, HEAD)
    yield from _every(window, end)
    start = end
    while not ended:
        kept = max(0, start - BEHIND)
        block = _filled(stream, BLOCK)
        ended = len(block) < BLOCK
        window, start = window[kept:] + block, start - kept
        end = len(window) if ended else max(start, _line_end(window, len(window) - AHEAD))
        yield from _chosen(window, start, end)
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


def _every(window: bytes, end: int) -> Iterator[Passage]:
    start, number = 0, 0
    while start < end:
        stop = window.find(b"\n", start, end)
        stop = end if stop < 0 else stop
        number += 1
        if stop - start <= 2 * LONGEST:
            for line in window[start:stop].split(b"\r"):  # a progress bar writes over itself
                if line:
                    yield Passage(line, window, start, number)
                start += len(line) + 1
        else:
            yield from (Passage(one.line, window, one.start, number) for one in _chosen(window, start, stop))
        start = stop + 1


def _chosen(window: bytes, start: int, end: int) -> Iterator[Passage]:
    """What stands around each word of TRIAGE, in order, no byte twice."""
    following = [window.find(word, start, end) for word in TRIAGE]
    while True:
        at = min((one for one in following if one >= 0), default=-1)
        if at < 0:
            return
        low, high = max(start, at - LONGEST), min(end, at + LONGEST)
        first = max(window.rfind(b"\n", low, at), window.rfind(b"\r", low, at)) + 1 or low
        last = min((one for mark in (b"\n", b"\r") if (one := window.find(mark, at, high)) >= 0), default=high)
        yield Passage(window[first:last], window, first, 0)
        start = last
        following = [window.find(word, last, end) if 0 <= one < last else one for one, word in zip(following, TRIAGE, strict=True)]
