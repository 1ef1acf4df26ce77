"""For an issue on GitHub: what maintainers ask first in ten lines, then the findings, then everything else folded."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from ..finding import Finding, Fix
from ..report import Grid, GridCell, Report
from ..text import say
from . import Format
from ._markdown import code, details, fence, prose, summary_html, table
from ._words import VERDICTS, broken, counts, facts, grave, harmless, heading, how, measured, named, notes, source, spot, unseen

LIMIT = 60_000
"""Characters; GitHub refuses an issue above 65,536."""
RESERVE = 3_000
"""Room for saying what was cut."""
HEAD_LINES = 10
SHORT = 300
"""Characters of one text in the first ten lines."""
LANGUAGES = {"code": "python", "command": "sh", "setting": "sh", "hardware": ""}


class Section(NamedTuple):
    """What is cut as a whole."""

    title: str
    text: str


def render(report: Report) -> str:
    """At most LIMIT characters: whole sections are left out from the end, and named."""
    report = harmless(report)
    sections = list(_sections(report))
    head = "\n".join(_head(report)) + "\n"
    ends = list(accumulate((len(one.text) + 2 for one in sections), initial=len(head)))
    if ends[-1] <= LIMIT:
        return "\n".join([head, *(f"{one.text}\n" for one in sections)])
    kept = sum(end <= LIMIT - RESERVE for end in ends[1:])
    return "\n".join([head, *(f"{one.text}\n" for one in sections[:kept]), _cut(sections[kept:])])


def _cut(left: list[Section]) -> str:
    names = ", ".join(prose(one.title, longest=60) for one in left[:20])
    more = say(" and {count} more", count=len(left) - 20) if len(left) > 20 else ""  # noqa: PLR2004  # as many as are named
    return "**" + say("Cut to stay below {limit} characters. Left out:", limit=f"{LIMIT:,}") + f"** {names}{more}.\n"


def _head(report: Report) -> Iterator[str]:
    """At most HEAD_LINES lines."""
    word, _ = VERDICTS[report.verdict.value]
    yield f"## ivdoctor: {word}"
    yield ""
    lines = 2
    yield f"- **{say('Why')}:** {prose(report.reason, longest=SHORT)}"
    yield f"- **{say('Versions')}:** {' · '.join(_versions(report))}"
    lines += 2
    if not report.findings:
        return
    leading = report.findings[0]
    if not report.reason.startswith(f"{leading.code} "):
        yield f"- **{say('First finding')}:** {prose(heading(leading))}: {prose(leading.message, longest=SHORT)}"
        lines += 1
    if leading.fixes:
        fix = leading.fixes[0]
        yield f"- **{say('Fix')}:** {prose(fix.title, longest=SHORT)} ({prose(how(fix.trial), longest=SHORT)})"
        lines += 1
        block = _block(fix, indent="  ").splitlines()
        if lines + len(block) <= HEAD_LINES and sum(map(len, block)) <= LIMIT // 10:
            yield from block


def _versions(report: Report) -> Iterator[str]:
    """From the summary's lines; what could not be looked at says that here, and why below."""
    lines = {line.label: line.text for line in report.summary}
    status = {name: one.status for name, one in report.outcomes() if not one.place}
    for label in ("torch", "driver", "gpu", "cpu", "host"):
        if label in lines:
            seen = status.get(label, "ok") == "ok"
            yield f"{prose(label)} {prose(lines[label], longest=SHORT // 2) if seen else status[label]}"
    yield f"ivdoctor {prose(report.tool.version, longest=SHORT)}"


def _sections(report: Report) -> Iterator[Section]:
    yield from _findings(report)
    if wrong := broken(report):
        yield Section(say("Not determined"), f"### {say('Not determined')}\n\n{_pairs(wrong)}")
    if len(report.places) > 1:
        yield _places(report)
    for grid in report.grids:
        if not grid.detail:
            yield Section(named(grid.title, grid.place), f"### {prose(named(grid.title, grid.place))}\n\n{_grid(grid)}")
    if few := notes(report):
        yield _folded(say("Notes ({count})", count=len(few)), "\n\n".join(map(_finding, few)))
    yield _folded(say("Machine"), _machine(report))
    for grid in report.grids:
        if any(cell.brief for row in grid.rows for cell in row):
            yield _folded(say("{title}, in full", title=named(grid.title, grid.place)), _grid(grid, full=True))
        elif grid.detail:
            yield _folded(named(grid.title, grid.place), _grid(grid))
    if absent := unseen(report):
        yield _folded(say("Not there, or not looked at ({count})", count=len(absent)), _pairs(absent))
    yield _folded(counts(report), _pairs((named(one.code, one.place), one.reason) for one in report.rules.skipped) or say("No rule was skipped."))


def _folded(title: str, body: str) -> Section:
    return Section(title, details(summary_html(title), body))


def _findings(report: Report) -> Iterator[Section]:
    title = f"### {say('Findings')}"
    found = grave(report)
    if not found:
        said = say("No errors and no warnings; {count} notes, below.", count=len(notes(report)))
        yield Section(say("Findings"), f"{title}\n\n{said}")
    for number, finding in enumerate(found):
        text = _finding(finding)
        yield Section(heading(finding), text if number else f"{title}\n\n{text}")


def _finding(finding: Finding) -> str:
    parts = [f"#### {prose(heading(finding))}", f"{prose(finding.message)}\n\n{prose(finding.title)}."]
    known = [prose(line) for line in finding.evidence]
    if finding.location and spot(finding.location):
        known.insert(0, say("Raised at {spot}", spot=", ".join(map(code, spot(finding.location)))))
    if finding.origin and source(finding.origin):
        known.insert(1, say("Because of {spot}", spot=", ".join(map(code, source(finding.origin)))))
    if finding.confidence != "certain":
        known.append(say("Confidence: {confidence}", confidence=finding.confidence))
    parts += ["\n".join(f"- {one}" for one in known)] if known else []
    parts += [_fix(number, fix) for number, fix in enumerate(finding.fixes, start=1)]
    return "\n\n".join(parts)


def _fix(number: int, fix: Fix) -> str:
    said = f"**{say('Fix {number}', number=number)}:** {prose(fix.title)} ({prose(how(fix.trial))})"
    blocks = [block for block in (_block(fix), fence(fix.diff, "diff") if fix.diff else "") if block]
    trial = fix.trial
    told = [
        say("before: {before}", before=code(trial.before)) if trial.before else "",
        say("after: {after}", after=code(trial.after)) if trial.after else "",
        prose(measured(trial)),
    ]
    ran = "; ".join(filter(None, told))
    return "\n\n".join(filter(None, [said, *blocks, ran[:1].upper() + ran[1:]]))


def _block(fix: Fix, *, indent: str = "") -> str:
    """A fix's code, and its command; empty where it has neither."""
    blocks = [fence(fix.code, "python", indent=indent)] if fix.code else []
    blocks += [fence(fix.command, LANGUAGES[fix.kind] or "sh", indent=indent)] if fix.command else []
    return "\n".join(blocks)


def _places(report: Report) -> Section:
    rows = [(prose(one.name), prose(one.title), str(one.count), VERDICTS[one.verdict.value][0]) for one in report.places]
    columns = (say("place"), say("device"), say("count"), say("verdict"))
    return Section(say("Places"), f"### {say('Places')}\n\n{table(columns, rows)}")


def _grid(grid: Grid, *, full: bool = False) -> str:
    rows = [[_cell(cell, full=full) for cell in row] for row in grid.rows]
    told = table([prose(column) for column in grid.columns], rows)
    return f"{told}\n\n{prose(grid.caption)}" if grid.caption else told


def _cell(cell: GridCell, *, full: bool) -> str:
    return prose(cell.text if full or not cell.brief else cell.brief)


def _machine(report: Report) -> str:
    summary = table((say("subject"), say("what is there")), [(prose(line.label), prose(line.text)) for line in report.summary])
    every = table((say("fact"), say("value")), [(prose(name), prose(value)) for name, value in facts(report)])
    return f"{summary}\n\n{every}"


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- **{prose(name)}**: {prose(text)}" for name, text in pairs)


markdown = Format(name="markdown", suffix=".md", render=render)
