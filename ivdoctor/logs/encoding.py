"""Texts that are not UTF-8: Windows PowerShell redirects into UTF-16."""

import codecs

from .scan import Bytes

MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
SHARE = 0.3
"""Of zero bytes on one side of each pair, from which on a text without a mark is UTF-16 all the same."""


class Again:
    """A stream whose beginning has been read, from its beginning on, as UTF-8."""

    def __init__(self, first: bytes, rest: Bytes) -> None:
        self._first, self._rest = first, rest
        encoding = _utf16(first)
        self._decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None

    def read(self, size: int, /) -> bytes:
        """At most about this many bytes, none at the end."""
        part, self._first = (self._first, b"") if self._first else (self._rest.read(size), b"")
        if self._decoder is None:
            return part
        text = self._decoder.decode(part, final=not part)
        while part and not text:  # half a character
            part = self._rest.read(size)
            text = self._decoder.decode(part, final=not part)
        return text.encode("utf-8", "replace")


def _utf16(first: bytes) -> str:
    """The encoding, where it is one of these; empty for all others."""
    if first[:2] in MARKS:
        return MARKS[first[:2]]
    pairs = len(first) // 2
    if pairs and first[1::2].count(0) > SHARE * pairs > first[::2].count(0):
        return "utf-16-le"
    if pairs and first[::2].count(0) > SHARE * pairs > first[1::2].count(0):
        return "utf-16-be"
    return ""
