"""For a person at a terminal: the machine, what was found, the tables; the verdict is the last line."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import click

from ..finding import Finding, Fix, Severity
from ..report import Grid, GridCell, Report
from ..text import say
from . import Format
from ._words import because, counts, harmless, how, verdict

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
MARKS = {"good": "green", "bad": "red", "poor": "yellow", "none": None}
INDENT = "  "


def render(report: Report) -> str:
    """ANSI colours throughout; whoever prints takes them out where there is no terminal."""
    return "\n".join(_lines(harmless(report, facts=False))) + "\n"


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
    if report.command != "explain":  # there one rule speaks for each failure
        yield counts(report)
    word, colour = verdict(report)
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
        yield f"{INDENT}{say('because {what}', what=because(replace(finding.origin, op='', code='')))}"
    elif finding.origin and finding.origin.file:
        yield f"{INDENT}{say('your own code:')} {finding.origin.file}:{finding.origin.line}  {finding.origin.code}"
    for line in finding.evidence:
        yield f"{INDENT}- {line}"
    for number, fix in enumerate(finding.fixes, start=1):
        yield from _fix(number, fix)
    for line in finding.avoid:
        yield f"{INDENT}{click.style(say('not:'), fg='red')} {line}"
    for line in finding.look_next:
        yield f"{INDENT}{click.style(say('look:'), fg='cyan')} {line}"


def _fix(number: int, fix: Fix) -> Iterator[str]:
    colour = {"passed": "green", "failed": "red"}.get(fix.trial.status)
    yield f"{INDENT}{say('fix')} {number}: {fix.title} " + click.style(f"[{how(fix.trial)}]", fg=colour)
    for line in (*fix.code.splitlines(), *fix.command.splitlines()):
        yield f"{INDENT * 4}{click.style(line, bold=number == 1)}"


def _grid(grid: Grid) -> Iterator[str]:
    """By hand: tabulate imports importlib.metadata, and both together are a fifth of a whole judgement's time."""
    told = [row for row in grid.rows if any(cell.mark != "none" for cell in row)]
    widths = [max(map(len, (column, *(_words(row[number]) for row in told)))) for number, column in enumerate(grid.columns)]
    yield f"{grid.title} [{grid.place}]" if grid.place else grid.title
    yield _row([column.ljust(width) for column, width in zip(grid.columns, widths, strict=True)])
    yield _row(["-" * width for width in widths])
    for row in told:
        yield _row(
            [click.style(_words(cell), fg=MARKS[cell.mark]) + " " * (width - len(_words(cell))) for cell, width in zip(row, widths, strict=True)]
        )


def _row(cells: Iterable[str]) -> str:
    return INDENT + INDENT.join(cells).rstrip()


def _words(cell: GridCell) -> str:
    return cell.brief or cell.text


def _unseen(report: Report) -> Iterator[str]:
    for name, subject in report.outcomes():
        if subject.status != "ok" or subject.reason:
            place = f" [{subject.place}]" if subject.place else ""
            yield f"{name}{place}: {subject.status}: {subject.reason}"
    for broken in report.rules.errors:
        yield click.style(f"{broken.code} broke: {broken.error}", fg="red")


terminal = Format(name="terminal", suffix=".txt", render=render)
