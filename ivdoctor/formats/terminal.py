"""For a person at a terminal: the machine, what was found, the tables; the verdict is the last line."""

from collections.abc import Iterator

import click

from ..finding import Finding, Fix, Severity
from ..report import Grid, GridCell, Report
from ..text import say
from . import Format
from ._words import VERDICTS, harmless, how

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
MARKS = {"good": "green", "bad": "red", "poor": "yellow", "none": None}
INDENT = "  "


def render(report: Report) -> str:
    """ANSI colours throughout; whoever prints takes them out where there is no terminal."""
    return "\n".join(_lines(harmless(report))) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield click.style(f"ivdoctor {report.tool.version}", bold=True) + say(", tables of {date}", date=report.tool.tables)
    yield ""
    width = max((len(line.label) for line in report.summary), default=0)
    for line in report.summary:
        yield f"{INDENT}{line.label:<{width}}  {line.text}"
    for grid in (one for one in report.grids if not one.detail):
        yield ""
        yield from _grid(grid)
    for finding in report.findings:
        yield ""
        yield from _finding(finding)
    yield ""
    yield from _unseen(report)
    yield say(
        "{passed} rules passed, {failed} found something, {skipped} could not be asked",
        passed=report.rules.passed,
        failed=report.rules.failed,
        skipped=len(report.rules.skipped),
    )
    word, colour = VERDICTS[report.verdict.value]
    yield click.style(f"{word}: ", fg=colour, bold=True) + report.reason


def _finding(finding: Finding) -> Iterator[str]:
    where = f" [{finding.place}]" if finding.place else ""
    yield click.style(f"{finding.severity.value} {finding.code}", fg=COLOURS[finding.severity.value], bold=True) + f"{where} {finding.message}"
    if finding.severity is Severity.NOTE:
        for fix in finding.fixes[:1]:
            yield from _fix(1, fix)
        return
    yield f"{INDENT}{finding.title}"
    if finding.location and finding.location.file:
        module = f"{finding.location.module}: " if finding.location.module else ""
        yield f"{INDENT}{say('at')} {module}{finding.location.file}:{finding.location.line}  {finding.location.code}"
    if finding.origin and finding.origin.dtype:
        yield f"{INDENT}{say('because')} {finding.origin.module} {say('is')} {finding.origin.dtype}"
    for line in finding.evidence:
        yield f"{INDENT}- {line}"
    for number, fix in enumerate(finding.fixes, start=1):
        yield from _fix(number, fix)


def _fix(number: int, fix: Fix) -> Iterator[str]:
    colour = {"passed": "green", "failed": "red"}.get(fix.trial.status)
    yield f"{INDENT}{say('fix')} {number}: {fix.title} " + click.style(f"[{how(fix.trial)}]", fg=colour)
    for line in (fix.code or fix.command).splitlines():
        yield f"{INDENT * 4}{click.style(line, bold=number == 1)}"


def _grid(grid: Grid) -> Iterator[str]:
    from tabulate import tabulate

    told = [row for row in grid.rows if any(cell.mark != "none" for cell in row)]
    rows = [[_cell(cell) for cell in row] for row in told]
    yield f"{grid.title} [{grid.place}]" if grid.place else grid.title
    yield from (f"{INDENT}{line}" for line in tabulate(rows, headers=grid.columns, tablefmt="simple", disable_numparse=True).splitlines())


def _cell(cell: GridCell) -> str:
    text = cell.brief or cell.text
    colour = MARKS[cell.mark]
    return click.style(text, fg=colour) if colour else text


def _unseen(report: Report) -> Iterator[str]:
    for name, subject in report.outcomes():
        if subject.status != "ok" or subject.reason:
            place = f" [{subject.place}]" if subject.place else ""
            yield f"{name}{place}: {subject.status}: {subject.reason}"
    for broken in report.rules.errors:
        yield click.style(f"{broken.code} broke: {broken.error}", fg="red")


terminal = Format(name="terminal", suffix=".txt", render=render)
