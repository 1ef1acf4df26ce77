"""What is known of messages: the rows of `tables/messages.csv`, tried in their order on a few lines of text."""

import re
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

from ..facts import Operand
from ..tables import table
from .dtypes import read

TOKEN = r"(?:struct )?[\w:.]{1,40}(?: int| char)?(?: 10::\w{1,20})?"  # noqa: S105  # a token of text
"""What `@` stands for in a pattern: a dtype as C++, Python or a cut paste writes it."""

SHORT = re.compile(r"\[(?:\\.|[^\]\\])*\]| \?|[ @]")
"""What a pattern of the table abbreviates; a set of characters stays as it is."""

SPELT = {" ": r"\s{1,40}", " ?": r"\s{0,40}", "@": TOKEN}
"""A blank stands for any white space: messages are wrapped by who pastes them."""

PLAIN = frozenset({"op", "device", "needs", "has", "kind"})
"""Groups of a pattern that name no operand; every other group is the role of a tensor, and holds its dtype."""

ROLES = {"parameter": "kind"}
"""A role that the text names itself: the group that holds its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A message that is known."""

    family: str
    category: str
    start: int
    end: int
    operands: tuple[Operand, ...]
    op: str = ""
    device: str = ""
    needs: str = ""
    has: str = ""


class Recogniser:
    """One row; its pattern is compiled when a text holds one of its needles."""

    def __init__(self, row: dict[str, str]) -> None:
        self.family = row["family"]
        self.category = row["category"]
        self.needles = tuple(row["needle"].split(";"))
        self._source = row["pattern"]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """As the table writes it, a blank for any white space and `@` for a dtype."""
        return re.compile(SHORT.sub(lambda short: SPELT.get(short[0], short[0]), self._source), re.IGNORECASE | re.DOTALL)

    def read(self, text: str) -> Told | None:
        """What it makes of this text."""
        found = self.pattern.search(text)
        return self._told(found) if found else None

    def _told(self, found: re.Match[str]) -> Told:
        groups = {name: value.strip() for name, value in found.groupdict().items() if value}
        operands = []
        for role, value in groups.items():
            if role not in PLAIN:
                dtype, device = read(value)
                operands.append(Operand(role=groups.get(ROLES.get(role, ""), role).lower(), dtype=dtype, device=device))
        return Told(
            family=self.family,
            category=self.category,
            start=found.start(),
            end=found.end(),
            operands=tuple(operands),
            op=groups.get("op", "").replace('" "', "").strip('" '),
            device=groups.get("device", ""),
            needs=groups.get("needs", ""),
            has=groups.get("has", ""),
        )


@cache
def recognisers() -> tuple[Recogniser, ...]:
    """In the order of the table: the first that knows a text has it."""
    return tuple(Recogniser(row) for row in table("messages"))


@cache
def _by_needle() -> tuple[tuple[str, frozenset[int]], ...]:
    """Needles, and the positions of the recognisers that want them."""
    wanted: dict[str, set[int]] = {}
    for position, one in enumerate(recognisers()):
        for needle in one.needles:
            wanted.setdefault(needle, set()).add(position)
    return tuple((needle, frozenset(positions)) for needle, positions in wanted.items())


@lru_cache(maxsize=256)  # a log repeats itself
def recognise(text: str, *, first: int | None = None) -> Told | None:
    """
    The first family that knows this text.

    Args:
        first: a match must begin before this character, where the text holds the lines that follow too.
    """
    lowered = text.lower()
    worth: set[int] = set()
    for needle, positions in _by_needle():
        if needle in lowered:
            worth |= positions
    for position in sorted(worth):
        told = recognisers()[position].read(text)
        if told and (first is None or told.start < first):
            return told
    return None
