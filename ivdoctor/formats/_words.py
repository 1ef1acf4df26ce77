"""Words that every format for people uses, so that they never disagree, and the washing of what others wrote."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

from ..facts import Site
from ..finding import Finding, Fix, Tried
from ..outcome import BROKEN
from ..report import Loader, Report, Subject
from ..text import say

VERDICTS = {
    "ready": ("READY", "green"),
    "not-ready": ("NOT READY", "red"),
    "undetermined": ("UNDETERMINED", "yellow"),
}
"""The word and its colour."""

EXPLAINED = {
    "not-ready": ("EXPLAINED", "red"),
    "undetermined": ("NOT RECOGNISED", "yellow"),
}
"""Of `explain`, which judges no machine."""
NOTHING = ("NO FAILURE FOUND", "yellow")

ESCAPES = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC: titles, links
    r"|\x1b[ -/]*[0-Z\\^-~]"
)
BREAKS = r"\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]"
UNSHOWABLE = r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
"""Controls, the marks that turn the reading direction, lone surrogates, and what XML forbids."""

LONG_NUMBER = 1e6
"""From here on whole numbers are rounded too."""

TABLED = frozenset({"flow", "miniature"})
"""Subjects whose lists of cells, operators and trials are tables of the report, or too long for a line."""

LINES = frozenset({"code", "diff", "command"})
"""Fields of a fix or a loader that keep their line breaks; everything else is one line."""


def clean(text: str, *, lines: bool = False) -> str:
    """The text without terminal sequences; what cannot be shown becomes U+FFFD."""
    if text.isprintable():  # nearly all are: no breaks, no controls, no marks
        return text.strip("\n" if lines else None)
    text = re.sub(UNSHOWABLE, "\ufffd", re.sub(BREAKS, "\n", re.sub(ESCAPES, "", text)))  # compiled when first needed
    if lines:
        return text.strip("\n")
    return " ".join(filter(None, map(str.strip, text.replace("\t", " ").split("\n"))))


def harmless(report: Report, *, facts: bool = True) -> Report:
    """
    The same report with every text washed; formats for people and for XML begin with this.

    Args:
        facts: False for a format that shows no raw facts, which are most of the texts.
    """
    if not facts:
        subjects = {
            name: [replace(each, fact={}) for each in one] if isinstance(one, list) else replace(one, fact={})
            for name, one in report.subjects.items()
        }
        report = replace(report, subjects=subjects)
    washed: Report = _harmless(report)
    return washed


def _harmless(value: Any, *, lines: bool = False) -> Any:
    if isinstance(value, str) and not isinstance(value, Enum):
        return clean(value, lines=lines)
    if isinstance(value, (tuple, list)):
        return type(value)(_harmless(inner) for inner in value)
    if isinstance(value, dict):
        return {_harmless(key): _harmless(inner) for key, inner in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        whole = LINES if isinstance(value, (Fix, Loader)) else frozenset()
        return replace(value, **{one.name: _harmless(getattr(value, one.name), lines=one.name in whole) for one in fields(value)})
    return value


def verdict(report: Report) -> tuple[str, str]:
    """The word for the whole, and its colour."""
    if report.command != "explain":
        return VERDICTS[report.verdict.value]
    return EXPLAINED[report.verdict.value] if report.findings else NOTHING


def how(tried: Tried) -> str:
    """How much a fix has been proven: verified is said of real runs only, and of those that passed."""
    if tried.status == "not-tried":
        return say("not tried: {reason}", reason=tried.reason)
    passed = tried.status == "passed"
    if tried.how == "real-run":
        return say("verified on {where}", where=tried.where) if passed else say("tried on {where}: failed", where=tried.where)
    if tried.how == "miniature":
        return (
            say("tried on a miniature, on {where}", where=tried.where)
            if passed
            else say("tried on a miniature, on {where}: failed", where=tried.where)
        )
    return say("predicted") if passed else say("predicted to fail")


def measured(tried: Tried) -> str:
    """The numbers of a trial: `relative L2 0.00535`."""
    return ", ".join(f"{name.replace('_', ' ').replace(' l2', ' L2')} {number(value)}" for name, value in tried.metrics.items())


def number(value: float) -> str:
    """A distance below zero says that the output was not finite."""
    if value < 0:
        return say("not finite")
    return f"{value:.0f}" if float(value).is_integer() and value < LONG_NUMBER else f"{value:.3g}"


def heading(finding: Finding) -> str:
    """`error IVD401 on cpu: patch-convolution-dtype-differs`."""
    if finding.place:
        return say("{severity} {code} on {place}: {name}", severity=finding.severity.value, code=finding.code, place=finding.place, name=finding.name)
    return say("{severity} {code}: {name}", severity=finding.severity.value, code=finding.code, name=finding.name)


def spot(site: Site) -> list[str]:
    """What is known of a place in code, from the module down to the line."""
    line = f"{site.file}:{site.line}" if site.file and site.line else site.file
    return [part for part in (site.module, line, site.op, site.code) if part]


def because(site: Site, dress: Callable[[str], str] = str) -> str:
    """What made the odd dtype, and which; empty where neither is known."""
    what = ", ".join(map(dress, spot(site)))
    return say("{what} is {dtype}", what=what, dtype=dress(site.dtype)) if what and site.dtype else what or dress(site.dtype)


def told(finding: Finding, trial: Tried) -> str:
    """The failure a trial began with, where it is another than the finding's own."""
    said = trial.before.partition(": ")[2] or trial.before
    return "" if said in finding.message else trial.before


def grave(report: Report) -> list[Finding]:
    """Errors and warnings."""
    return [one for one in report.findings if one.severity.value != "note"]


def notes(report: Report) -> list[Finding]:
    """The others."""
    return [one for one in report.findings if one.severity.value == "note"]


def named(name: str, place: str) -> str:
    """`precision (cpu)`."""
    return f"{name} ({place})" if place else name


def broken(report: Report) -> list[tuple[str, str]]:
    """What went wrong while looking and judging, and how."""
    looked = [
        (named(name, one.place), say("{status}: {reason}", status=one.status, reason=one.reason))
        for name, one in report.outcomes()
        if one.status in BROKEN
    ]
    judged = [(named(one.code, one.place), one.error) for one in report.rules.errors]
    return looked + judged


def unseen(report: Report) -> list[tuple[str, str]]:
    """What is not there, and what was odd about what is."""
    return [
        (named(name, one.place), say("{status}: {reason}", status=one.status, reason=one.reason))
        for name, one in report.outcomes()
        if one.status not in BROKEN and (one.status != "ok" or one.reason)
    ]


def skipped(report: Report) -> list[tuple[str, str]]:
    """Rules that could not be asked, and why."""
    return [(named(one.code, one.place), one.reason) for one in report.rules.skipped]


def passed(report: Report) -> list[tuple[str, str]]:
    """Rules that had nothing to say, and what they look for."""
    return [(named(one.code, one.place), one.title) for one in report.rules.silent]


def counts(report: Report) -> str:
    """What became of the rules."""
    rules = report.rules
    return say(
        "{passed} rules passed, {failed} found something, {skipped} could not be asked",
        passed=rules.passed,
        failed=rules.failed,
        skipped=len(rules.skipped),
    )


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """The machine's own facts, `host.system` with its value; the tables show those of the places."""
    for name, subject in report.subjects.items():
        if isinstance(subject, Subject):
            part = report.command == "explain" or name in TABLED  # a text tells a part: what it does not tell is not nothing
            told = {key: value for key, value in subject.fact.items() if not (name in TABLED and _many(value))}
            yield from ((f"{name}.{key}", shown(value)) for key, value in told.items() if value or not part)


def _many(value: object) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(inner, dict) for inner in value)


def shown(value: object) -> str:
    """A value of a fact in one line."""
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    if isinstance(value, dict):
        pair = len(value) == 2 and "name" in value  # noqa: PLR2004  # a name and its value
        return " = ".join(map(shown, value.values())) if pair else ", ".join(f"{key} {shown(inner)}" for key, inner in value.items())
    return _listed(value) if isinstance(value, (list, tuple)) else str(value)


def _listed(values: Sequence[object]) -> str:
    if values and all(type(inner) is int for inner in values):
        return ".".join(map(str, values))  # pairs of numbers are versions: CUDA 12.4
    return ("; " if any(isinstance(inner, dict) for inner in values) else ", ").join(map(shown, values)) or say("none")
