"""Regular expressions that are compiled when they are first needed: a short text needs few of them, and compiling all would cost more than reading it."""

import re


class Lazy:
    """Stands for a compiled pattern."""

    __slots__ = ("_compiled", "_flags", "_source")

    def __init__(self, source: str, flags: int = 0) -> None:
        self._source, self._flags = source, flags
        self._compiled: re.Pattern[str] | None = None

    @property
    def compiled(self) -> re.Pattern[str]:
        """The pattern itself."""
        if self._compiled is None:
            self._compiled = re.compile(self._source, self._flags)
        return self._compiled

    def match(self, text: str) -> re.Match[str] | None:
        """As of a compiled pattern."""
        return self.compiled.match(text)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """As of a compiled pattern."""
        return self.compiled.fullmatch(text)

    def search(self, text: str) -> re.Match[str] | None:
        """As of a compiled pattern."""
        return self.compiled.search(text)

    def sub(self, replacement: str, text: str, count: int = 0) -> str:
        """As of a compiled pattern."""
        return self.compiled.sub(replacement, text, count=count)
