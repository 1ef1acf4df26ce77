"""For an issue on GitHub: what maintainers ask first in ten lines, then the findings, then everything else folded."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from ..finding import Finding, Fix
from ..report import Grid, GridCell, Report
from ..text import say
from . import Format
from ._markdown import cell, code, details, fence, prose, summary_html, table
from ._words import (
    VERDICTS,
    because,
    broken,
    counts,
    facts,
    grave,
    harmless,
    heading,
    how,
    measured,
    named,
    notes,
    skipped,
    spot,
    told,
    unseen,
    verdict,
)

LIMIT = 60_000
"""Characters; GitHub refuses an issue above 65,536."""
RESERVE = 3_000
"""Room for saying what was cut."""
END = "<!-- end of ivdoctor report -->\n"
"""Tells `ivdoctor explain` where an issue goes on behind a report; nobody sees it."""
HEAD_LINES = 10
HEAD_CODE = 4_000
"""Characters of code in the first ten lines; longer code stands with its finding alone."""
SHORT = 300
"""Characters of one text in the first ten lines."""


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
    if ends[-1] + len(END) < LIMIT:
        return "\n".join([head, *(f"{one.text}\n" for one in sections), END])
    kept = sum(end <= LIMIT - RESERVE for end in ends[1:])
    return "\n".join([head, *(f"{one.text}\n" for one in sections[:kept]), _cut(sections[kept:]), END])


def _cut(left: list[Section]) -> str:
    names = ", ".join(prose(one.title, longest=60) for one in left[:20])
    more = say(" and {count} more", count=len(left) - 20) if len(left) > 20 else ""  # noqa: PLR2004  # as many as are named
    return "**" + say("Cut to stay below {limit} characters. Left out:", limit=f"{LIMIT:,}") + f"** {names}{more}.\n"


def _head(report: Report) -> Iterator[str]:
    """At most HEAD_LINES lines."""
    word, _ = verdict(report)
    yield f"## ivdoctor: {word}"
    yield ""
    lines = 2
    yield f"- **{say('Why')}:** {prose(report.reason, longest=SHORT)}"
    yield f"- **{say('Versions')}:** {' · '.join(_versions(report))}"
    lines += 2
    before = {"snapshot": say("Snapshot"), "model": say("Model"), "cast": say("Cast, then infer")}  # what is said below is said of these
    for line in report.summary:
        if line.label in before and lines < HEAD_LINES - 2:  # the first finding and its fix
            yield f"- **{before[line.label]}:** {prose(line.text, longest=SHORT)}"
            lines += 1
    if not report.findings:
        return
    leading = report.findings[0]
    if not report.reason.startswith(f"{leading.code} "):
        yield f"- **{say('First finding')}:** {prose(heading(leading))}: {prose(leading.message, longest=SHORT)}"
        lines += 1
    if leading.fixes:
        fix = leading.fixes[0]
        yield f"- **{say('Fix')}** ({prose(how(fix.trial), longest=SHORT)}): {prose(fix.title, longest=SHORT)}"
        lines += 1
        block = _block(fix, indent="  ").splitlines()
        if lines + len(block) <= HEAD_LINES and sum(map(len, block)) <= HEAD_CODE:
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
    yield from _loaders(report)
    yield _folded(say("Machine"), _machine(report))
    for grid in report.grids:
        if any(one.brief for row in grid.rows for one in row):
            title = named(grid.title, grid.place)
            yield _folded(title if grid.detail else say("{title}, in full", title=title), _grid(grid, full=True))
        elif grid.detail:
            yield _folded(named(grid.title, grid.place), _grid(grid))
    if absent := unseen(report):
        yield _folded(say("Not there, or not looked at ({count})", count=len(absent)), _pairs(absent))
    yield from _rules(report)


def _rules(report: Report) -> Iterator[Section]:
    """What became of them; of a text nothing, for there one rule speaks for each failure."""
    if report.command != "explain":
        yield _folded(counts(report), _pairs(skipped(report)) or say("No rule was skipped."))


def _folded(title: str, body: str) -> Section:
    return Section(title, details(summary_html(title), body))


def _findings(report: Report) -> Iterator[Section]:
    title = f"### {say('Findings')}"
    found = grave(report)
    if not found:
        said = say("No errors and no warnings; the notes are below.") if report.findings else say("No errors, no warnings and no notes.")
        yield Section(say("Findings"), f"{title}\n\n{said}")
    for number, finding in enumerate(found):
        text = _finding(finding)
        yield Section(heading(finding), text if number else f"{title}\n\n{text}")


def _finding(finding: Finding) -> str:
    parts = [f"#### {prose(heading(finding))}", f"{prose(finding.message)}\n\n{prose(finding.title)}."]
    known = [prose(line) for line in finding.evidence]
    if finding.location and spot(finding.location):
        known.insert(0, say("Raised at {spot}", spot=", ".join(map(code, spot(finding.location)))))
    if finding.origin and finding.origin.dtype:
        known.insert(1, say("Because {what}", what=because(finding.origin, code)))
    elif finding.origin and spot(finding.origin):
        known.insert(1, say("Your own code: {spot}", spot=", ".join(map(code, spot(finding.origin)))))
    if finding.confidence != "certain":
        known.append(say("Confidence: {confidence}", confidence=finding.confidence))
    parts += ["\n".join(f"- {one}" for one in known)] if known else []
    parts += [_fix(finding, number, fix) for number, fix in enumerate(finding.fixes, start=1)]
    for title, lines in ((say("Not a way out"), finding.avoid), (say("To look at next"), finding.look_next)):
        parts += [f"**{title}:**\n\n" + "\n".join(f"- {prose(line)}" for line in lines)] if lines else []
    return "\n\n".join(parts)


def _fix(finding: Finding, number: int, fix: Fix) -> str:
    said = f"**{say('Fix {number}', number=number)}** ({prose(how(fix.trial))}): {prose(fix.title)}"
    blocks = [block for block in (_block(fix), fence(fix.diff, "diff") if fix.diff else "") if block]
    return "\n\n".join(filter(None, [said, *blocks, ". ".join(_ran(finding, fix))]))


def _ran(finding: Finding, fix: Fix) -> Iterator[str]:
    """What the trial saw."""
    if before := told(finding, fix.trial):
        yield say("Before: {before}", before=code(before))
    if after := ", ".join(filter(None, (code(fix.trial.after), prose(measured(fix.trial))))):
        yield say("After: {after}", after=after)


def _block(fix: Fix, *, indent: str = "") -> str:
    """A fix's code, and its command; empty where it has neither."""
    blocks = [fence(fix.code, "python", indent=indent)] if fix.code else []
    blocks += [fence(fix.command, "sh", indent=indent)] if fix.command else []
    return "\n".join(blocks)


def _loaders(report: Report) -> Iterator[Section]:
    """For who wants to go on; the fixes stand above."""
    for loader in report.loaders:
        body = "\n\n".join(filter(None, [prose(loader.reason), fence(loader.code, "python")]))
        yield _folded(named(loader.title, loader.place), body)


def _places(report: Report) -> Section:
    rows = [(cell(one.name), cell(one.title), str(one.count), VERDICTS[one.verdict.value][0]) for one in report.places]
    columns = (say("place"), say("device"), say("count"), say("verdict"))
    return Section(say("Places"), f"### {say('Places')}\n\n{table(columns, rows)}")


def _grid(grid: Grid, *, full: bool = False) -> str:
    rows = [[cell(_whole(one) if full else one.brief or one.text) for one in row] for row in grid.rows]
    drawn = table([cell(column) for column in grid.columns], rows)
    return f"{drawn}\n\n{prose(grid.caption)}" if grid.caption else drawn


def _whole(one: GridCell) -> str:
    """The word and the text behind it, which may begin with that word."""
    return one.text if not one.brief or one.text.startswith(one.brief) else f"{one.brief}: {one.text}"


def _machine(report: Report) -> str:
    summary = table((say("subject"), say("what is there")), [(cell(line.label), cell(line.text)) for line in report.summary])
    rows = [(cell(name), cell(value)) for name, value in facts(report)]
    return f"{summary}\n\n{table((say('fact'), say('value')), rows)}" if rows else summary


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- **{prose(name)}**: {prose(text)}" for name, text in pairs)


markdown = Format(name="markdown", suffix=".md", render=render)
