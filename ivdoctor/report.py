"""
The one Report that every format renders: the contract `ivdoctor.report/1`.

These classes are not frozen as facts are: nobody judges after them, and freezing a dozen would take a twentieth of
`ivdoctor check --snapshot`.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from .finding import Finding
from .gate import Answer
from .outcome import Status

SCHEMA = "ivdoctor.report/1"


@dataclass(slots=True, kw_only=True)
class Tool:
    """Who wrote the report."""

    name: str = "ivdoctor"
    version: str
    tables: str
    """The newest date in the tables: their age is the age of what is known."""


@dataclass(slots=True, kw_only=True)
class PlaceVerdict:
    """A place and whether it is ready."""

    name: str
    kind: Literal["cpu", "cuda", "rocm", "mps", "xpu", "target"]
    title: str
    architecture: str = ""
    count: int = 1
    verdict: Answer


@dataclass(slots=True, kw_only=True)
class Subject:
    """One subject's outcome."""

    status: Status
    reason: str = ""
    place: str = ""
    fact: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Line:
    """One line of the summary: `torch`, `2.13.0+cpu, built without CUDA`."""

    label: str
    text: str


@dataclass(slots=True, kw_only=True)
class GridCell:
    """A cell of a table; the mark is a word, so that colour is never alone in saying it."""

    text: str
    brief: str = ""
    """A word for where there is little room."""
    mark: Literal["good", "bad", "poor", "none"] = "none"


@dataclass(slots=True, kw_only=True)
class Grid:
    """A small table a person reads, made of facts."""

    title: str
    place: str = ""
    columns: tuple[str, ...]
    rows: tuple[tuple[GridCell, ...], ...]
    caption: str = ""
    detail: bool = False
    """Whether it is for those who read on: folded in HTML and Markdown, left out at the terminal."""


@dataclass(slots=True, kw_only=True)
class Series:
    """One line of a chart."""

    label: str
    values: tuple[float, ...]
    """One a step; -1 where the number was not finite."""


@dataclass(slots=True, kw_only=True)
class Chart:
    """Numbers that are better seen: one value a step and series, on a logarithmic scale. A grid of the same title tells them all."""

    title: str
    place: str = ""
    steps: tuple[str, ...]
    """Modules in the order they ran."""
    unit: str
    series: tuple[Series, ...]
    limit: float = 0.0
    """Drawn as a line; 0 for none."""
    alternative: str
    """The same in words, for who does not see it."""
    caption: str = ""


@dataclass(slots=True, kw_only=True)
class Loader:
    """A few lines that load and run with what was found here, and fall back with a clear message."""

    title: str
    place: str = ""
    code: str
    reason: str = ""
    """Why this dtype."""


@dataclass(slots=True, kw_only=True)
class Skipped:
    """A rule that could not be asked."""

    code: str
    reason: str
    place: str = ""


@dataclass(slots=True, kw_only=True)
class Broken:
    """A rule that raised."""

    code: str
    error: str
    place: str = ""
    builtin: bool = True


@dataclass(slots=True, kw_only=True)
class Passed:
    """A rule that was asked and had nothing to say."""

    code: str
    title: str
    place: str = ""


@dataclass(slots=True, kw_only=True)
class Rules:
    """What became of every rule, counted once a place."""

    passed: int
    failed: int
    skipped: tuple[Skipped, ...] = ()
    errors: tuple[Broken, ...] = ()
    silent: tuple[Passed, ...] = ()


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything said; sorted, and without the time of day."""

    schema: Literal["ivdoctor.report/1"] = "ivdoctor.report/1"
    tool: Tool
    command: str
    verdict: Answer
    exit_code: int
    reason: str
    """Why, in one sentence."""
    fail_on: Literal["error", "warning", "never"] = "error"
    places: tuple[PlaceVerdict, ...]
    summary: tuple[Line, ...] = ()
    subjects: dict[str, Subject | list[Subject]] = field(default_factory=dict)
    """A subject looked at per place is a list."""
    findings: tuple[Finding, ...] = ()
    """Gravest first, then by code and place."""
    grids: tuple[Grid, ...] = ()
    charts: tuple[Chart, ...] = ()
    loaders: tuple[Loader, ...] = ()
    """One a place."""
    rules: Rules

    def outcomes(self) -> list[tuple[str, Subject]]:
        """Every subject with its name, one row a place."""
        rows: list[tuple[str, Subject]] = []
        for name, subject in self.subjects.items():
            rows.extend((name, one) for one in (subject if isinstance(subject, list) else [subject]))
        return rows
