"""
A chart as numbers: where its lines, markers and letters stand; drawn by the template.

What has no place on a logarithmic scale has a strip of its own: zero below, what is not finite above.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from ..report import Chart, Series
from ..text import say
from ._svg import LONGEST, Box, Text, clipped
from ._words import number

WIDTH, HEIGHT = 960, 400
LEFT, RIGHT, TOP, BOTTOM = 84, 944, 30, 346
STRIP, ZERO, GAP = 16, 36, 6
"""The heights of a strip for a series that is not finite, of the strip for zero, and of the space beside the scale."""
MOST_STEPS = 600
"""Points a line can show; of more steps each point is the worst of several."""
MOST_TOLD = 200
"""Steps up to which each has its tooltip."""
MOST_SERIES = 8
MARKERS = 36
"""Markers a line bears, so that they stay apart."""
ROOM = 0.12
"""Powers of ten that the scale goes on above the limit, for its label."""
LABELS, LABEL, LETTER = 5, 37, 6.65
"""Steps that are named below, characters of a name, and the width of one."""
DECADES = 8
ENOUGH = 4
"""Lines across that let a value be read off."""
PLAIN = range(-4, 5)
"""Powers of ten written out."""

SHAPES = ("m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z", "m-3.2-3.2h6.4v6.4h-6.4z", "m0-4.4 4.4 7.6h-8.8z", "m0-4.8 4.8 4.8-4.8 4.8-4.8-4.8z")
"""Circle, square, triangle, diamond: colour is never alone in telling the lines apart."""
CROSS = "m-3.5-3.5 7 7m0-7-7 7"
DIGITS = (1, 2, 5)
STEPS = (0.0, math.log10(2), math.log10(5))
STEPS_DOWN = (0.0, 1 - STEPS[2], 1 - STEPS[1])
"""Round numbers, their logarithms, and these counted from above."""


@dataclass(slots=True, kw_only=True)
class Curve:
    """One series: its line, its markers, and the crosses where it was not finite."""

    number: int
    label: str
    dashed: bool
    line: str = ""
    markers: str = ""
    crosses: str = ""


@dataclass(slots=True, kw_only=True)
class Rule:
    """A line across, with its label."""

    y: float
    text: str


@dataclass(slots=True, kw_only=True)
class Plot:
    """A chart as a picture."""

    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM
    floor: float
    """Below it is the strip for zero."""
    ceiling: float
    """Above it are the strips for what is not finite."""
    strip: float
    """Where they end."""
    rules: list[Rule]
    names: list[Text]
    curves: list[Curve]
    keys: list[tuple[int, str]] = field(default_factory=list)
    """The markers that say whose a strip is."""
    tips: list[Box] = field(default_factory=list)
    limit: Rule | None = None
    together: int = 1
    """Steps in a point."""


def plot(chart: Chart) -> Plot | None:
    """One line a series on a logarithmic scale; None where there is nothing to draw."""
    together = -(-len(chart.steps) // MOST_STEPS)
    drawn = [_worst(one, len(chart.steps), together) for one in chart.series[:MOST_SERIES]]
    points = max(map(len, drawn), default=0)
    if not points:
        return None
    scale = _Scale.of(chart.limit, drawn)
    curves, keys = [], []
    strip = float(TOP)
    for one, (series, values) in enumerate(zip(chart.series, drawn, strict=False)):
        curve = Curve(number=one % len(SHAPES) + 1, label=clipped(series.label, LABEL), dashed=one >= len(SHAPES))
        curve.line, curve.markers = _line(values, points, scale, SHAPES[one % len(SHAPES)], one)
        if lost := [at for at, value in enumerate(values) if not finite(value)]:
            curve.crosses = "".join(f"M{_x(at, points):g} {strip + STRIP / 2:g}{CROSS}" for at in lost)
            keys.append((curve.number, f"M{LEFT - 9} {strip + STRIP / 2:g}{SHAPES[one % len(SHAPES)]}"))
            strip += STRIP
        curves.append(curve)
    return Plot(
        floor=scale.floor,
        ceiling=scale.ceiling,
        strip=strip,
        rules=list(scale.rules()),
        names=list(_names(chart.steps, points, together)),
        curves=curves,
        keys=keys,
        tips=list(_tips(chart, drawn, points)) if len(chart.steps) <= MOST_TOLD else [],
        limit=_limit(chart.limit, scale),
        together=together,
    )


def finite(value: float) -> bool:
    """A number below zero says that there was none."""
    return math.isfinite(value) and value >= 0


def _worst(series: Series, steps: int, together: int) -> list[float]:
    """The worst of each few values, so that a peak is never left out."""
    values = [value if finite(value) else -1.0 for value in series.values[:steps]]
    few = (values[start : start + together] for start in range(0, len(values), together or 1))
    return [-1.0 if min(some) < 0 else max(some) for some in few]


def _x(at: float, points: int) -> float:
    return round(LEFT + (at + 0.5) * (RIGHT - LEFT) / points, 1)


@dataclass(slots=True, kw_only=True)
class _Scale:
    """From a value to its height."""

    low: float
    high: float
    """Powers of ten, from and to."""
    floor: float
    ceiling: float
    zero: bool

    @classmethod
    def of(cls, limit: float, drawn: list[list[float]]) -> "_Scale":
        """From the next round number below the least value to the next above the greatest; zero has a strip of its own."""
        every = [value for values in drawn for value in values]
        logs = [math.log10(value) for value in every if value > 0]
        logs += [math.log10(limit), math.log10(limit) + ROOM] if finite(limit) and limit else []
        logs = logs or [-3.0, 0.0]
        low, high = _below(min(logs)), -_below(-max(logs), STEPS_DOWN)
        if high - low < STEPS[1]:
            low, high = low - 1, high + 1
        lost = sum(min(values, default=0.0) < 0 for values in drawn)
        zero = 0.0 in every
        return cls(low=low, high=high, floor=BOTTOM - (ZERO if zero else 0), ceiling=TOP + (STRIP * lost + GAP if lost else 0), zero=zero)

    def y(self, value: float) -> float:
        if value <= 0:
            return BOTTOM - ZERO / 3
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.floor - share * (self.floor - self.ceiling), 1)

    def rules(self) -> Iterator[Rule]:
        """At each power of ten, or fewer, or between them too."""
        first, last = math.floor(self.low), math.ceil(self.high)
        every = max(1, -(-(last - first) // DECADES))
        between = DIGITS if last - first < ENOUGH else DIGITS[:1]
        for power in range(first, last + 1, every):
            for digit, step in zip(DIGITS, STEPS, strict=True):
                if digit in between and self.low - 1e-9 <= power + step <= self.high + 1e-9:
                    share = (power + step - self.low) / (self.high - self.low)
                    text = f"{digit * 10.0**power:g}" if power in PLAIN else f"{digit}e{power}"
                    yield Rule(y=round(self.floor - share * (self.floor - self.ceiling), 1), text=text)
        if self.zero:
            yield Rule(y=self.y(0), text="0")


def _below(log: float, steps: Sequence[float] = STEPS) -> float:
    """The next round number below, 1, 2 or 5 times a power of ten."""
    whole = math.floor(log + 1e-9)
    return whole + max(step for step in steps if step <= log - whole + 1e-9)


def _line(values: list[float], points: int, scale: _Scale, shape: str, one: int) -> tuple[str, str]:
    """The line, broken where a value was not finite, and its markers; a point that stands alone always has one."""
    every = -(-points // MARKERS)
    line, markers = "", ""
    for lost, run in groupby(enumerate(values), key=lambda pair: pair[1] < 0):
        if lost:
            continue
        placed = [(at, f"{_x(at, points):g} {scale.y(value):g}") for at, value in run]
        line += "M" + "L".join(where for _, where in placed)
        shown = [where for at, where in placed if at % every == one % every] or [placed[0][1]]
        markers += "".join(f"M{where}{shape}" for where in shown)
    return line, markers


def _names(steps: tuple[str, ...], points: int, together: int) -> Iterator[Text]:
    """A few steps by name, on two rows by turns, so that they never meet."""
    count = min(LABELS, points)
    chosen = [round(one * (points - 1) / max(1, count - 1)) for one in range(count)]
    half = LABEL * LETTER / 2
    places = [_x(at, points) for at in chosen]
    for turn, (at, x) in enumerate(zip(chosen, places, strict=True)):
        anchor = "start" if x < half else "end" if x > WIDTH - half else "middle"
        apart = min((abs(x - other) for other in places[turn % 2 :: 2] if other != x), default=WIDTH)
        longest = int((apart - (0 if anchor == "middle" else half)) / LETTER) - 1
        name = clipped(steps[min(at * together, len(steps) - 1)], min(longest, LABEL))
        yield Text(x=x, y=BOTTOM + 20 + turn % 2 * 20, text=name, anchor=anchor)


def _tips(chart: Chart, drawn: list[list[float]], points: int) -> Iterator[Box]:
    """One a step, as tall as the picture, so that it is easily met; what it says are the step's numbers."""
    for at, step in enumerate(chart.steps[:points]):
        told = [
            say("{series} {value}", series=clipped(series.label, LABEL), value=number(values[at]))
            for series, values in zip(chart.series, drawn, strict=False)
            if at < len(values)
        ]
        width = (RIGHT - LEFT) / points
        left = round(LEFT + at * width, 1)
        yield Box(x=left, y=TOP, width=round(LEFT + (at + 1) * width - left, 1), height=BOTTOM - TOP, tip="\n".join([clipped(step, LONGEST), *told]))


def _limit(limit: float, scale: _Scale) -> Rule | None:
    if not finite(limit) or not limit:
        return None
    y = scale.y(limit)
    return Rule(y=y, text=say("limit {value}", value=number(limit)))
