"""
Pictures as numbers: where every cell and letter stands. The templates draw them, and escape there what they say.

Nothing here is as wide or as tall as a text asks for: texts come from anywhere, and the picture keeps its size.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from unicodedata import east_asian_width

from ..report import Grid, GridCell
from ..text import say

LONGEST = 160
"""Characters of one text in a tooltip."""

ROW, COLUMN, SIDE, HEAD, GAP = 30, 68, 120, 40, 3
"""Pixels of the heat map."""
MOST_ROWS, MOST_COLUMNS = 60, 30
"""As many are drawn; the table has them all."""
RATIO = re.compile(r" [0-9.]+x$")
"""A figure that differs from cell to cell, and is left out of the legend."""
WORD, NAME = 11, 15
"""Letters that fit in a cell, and beside or above the cells."""


@dataclass(slots=True, kw_only=True)
class Text:
    """A text where it stands."""

    x: float
    y: float
    text: str
    anchor: str = "middle"


@dataclass(slots=True, kw_only=True)
class Box:
    """A rectangle with what it says, and what it says to who asks."""

    x: float
    y: float
    width: float
    height: float
    tip: str
    text: str = ""
    mark: str = "none"


@dataclass(slots=True, kw_only=True)
class Heat:
    """A table as a picture."""

    width: int
    height: int
    texts: list[Text]
    cells: list[Box]
    legend: list[tuple[str, str]]
    """Each mark that is there, and its words."""
    told: str
    """All of it in words."""


def heat(grid: Grid) -> Heat:
    """Every cell coloured by its mark, with its own word in it."""
    rows, columns = grid.rows[:MOST_ROWS], grid.columns[: MOST_COLUMNS + 1]
    texts, cells = [], []
    for across, column in enumerate(columns[1:]):
        lines = wrap(clipped(column, 2 * NAME), NAME, max_lines=2, placeholder="…") or [""]
        for down, line in enumerate(lines):
            texts.append(Text(x=SIDE + (across + 0.5) * COLUMN, y=HEAD - 12 - 14 * (len(lines) - 1 - down), text=line))
    for down, row in enumerate(rows):
        y = HEAD + down * ROW
        texts.append(Text(x=SIDE - 10, y=y + ROW / 2 + 4, text=clipped(row[0].text, NAME), anchor="end"))
        for across, (column, cell) in enumerate(zip(columns[1:], row[1:], strict=False)):
            tip = f"{clipped(row[0].text, LONGEST)}, {clipped(column, LONGEST)}: {clipped(cell.text, LONGEST)}"
            x = SIDE + across * COLUMN
            cells.append(Box(x=x, y=y, width=COLUMN - GAP, height=ROW - GAP, tip=tip, text=clipped(_word(cell), WORD), mark=cell.mark))
    width = SIDE + (len(columns) - 1) * COLUMN
    return Heat(width=width, height=HEAD + len(rows) * ROW, texts=texts, cells=cells, legend=_legend(rows), told=_told(columns, rows))


def _told(columns: Sequence[str], rows: Iterable[Sequence[GridCell]]) -> str:
    """Row by row, what has the same word together: `fp16: native (hardware), works (matmul, linear)`."""
    lines = []
    for row in rows:
        alike: dict[str, list[str]] = {}
        for column, cell in zip(columns[1:], row[1:], strict=False):
            alike.setdefault(clipped(_word(cell), WORD), []).append(clipped(column, 2 * NAME))
        said = ", ".join(f"{word} ({', '.join(names)})" for word, names in alike.items())
        lines.append(say("{row}: {said}", row=clipped(row[0].text, NAME), said=said))
    return "; ".join(lines)


def _word(cell: GridCell) -> str:
    return cell.brief or cell.text


def _legend(rows: Iterable[Sequence[GridCell]]) -> list[tuple[str, str]]:
    told = {"good": say("usable"), "poor": say("usable at a cost"), "bad": say("not usable"), "none": say("not known, or not tried")}
    seen: dict[str, dict[str, None]] = {mark: {} for mark in told}
    for row in rows:
        for cell in row[1:]:
            seen[cell.mark][RATIO.sub("", clipped(_word(cell), WORD))] = None
    return [(mark, say("{words}: {meaning}", words=", ".join(list(words)[:6]), meaning=told[mark])) for mark, words in seen.items() if words]


def clipped(text: str, longest: int) -> str:
    """The beginning and the end, of what is too long: a module's name ends with what it is. A wide letter counts twice."""
    if len(text) * 2 <= longest or (len(text) <= longest and sum(map(_wide, text)) <= longest):
        return text
    head = longest // 3
    tail = longest - head - 1
    return f"{_fitting(text[:head], head)}…{_fitting(text[-tail:][::-1], tail)[::-1]}"


def _fitting(text: str, longest: int) -> str:
    end = width = 0
    while end < len(text) and (width := width + _wide(text[end])) <= longest:
        end += 1
    return text[:end]


def _wide(letter: str) -> int:
    return 2 if east_asian_width(letter) in "WF" else 1
