"""For CI servers: a test suite a place, a test case a rule, in JUnit's XML."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..finding import Finding
from ..gate import FailOn
from ..outcome import BROKEN
from ..report import Report
from ..text import say
from . import Format
from ._words import because, harmless, how, spot

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MACHINE = "machine"
"""The suite of what concerns no place."""


def render(report: Report) -> str:
    """A rule keeps its name from run to run, whatever came of it: servers follow a test by its name."""
    from xml.etree import ElementTree as ET

    report = harmless(report, facts=False)
    root = ET.Element("testsuites", {"name": "ivdoctor"})
    for place in _places(report):
        root.append(_suite(report, place))
    _count(root)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _places(report: Report) -> list[str]:
    """The machine, then the places in the report's order; a place nobody listed is still one."""
    rules = report.rules
    met = (one.place for group in (report.findings, rules.silent, rules.skipped, rules.errors) for one in group)
    return list(dict.fromkeys(["", *(one.name for one in report.places), *met, *(one.place for _, one in report.outcomes())]))


def _suite(report: Report, place: str) -> "Element":
    from xml.etree.ElementTree import Element, SubElement

    suite = Element("testsuite", {"name": place or MACHINE})
    properties = SubElement(suite, "properties")
    for name, value in _properties(report, place):
        _add(properties, "property", name=name, value=value)
    for case in sorted(_cases(report, place), key=lambda case: case.get("name", "")):
        suite.append(case)
    _count(suite)
    return suite


def _properties(report: Report, place: str) -> Iterator[tuple[str, str]]:
    yield "ivdoctor", report.tool.version
    yield "tables", report.tool.tables
    yield "verdict", report.verdict.value
    yield "reason", report.reason
    yield from (("place", f"{one.title}: {one.verdict.value}") for one in report.places if one.name == place)
    if not place:
        yield from ((line.label, line.text) for line in report.summary)


def _cases(report: Report, place: str) -> Iterator["Element"]:
    yield from _found(report, place)
    for passed in report.rules.silent:
        if passed.place == place:
            yield _case(passed.code, place)
    for skipped in report.rules.skipped:
        if skipped.place == place:
            yield _case(skipped.code, place, "skipped", message=skipped.reason)
    for broken in report.rules.errors:
        if broken.place == place:
            yield _case(broken.code, place, "error", type="broken-rule", message=broken.error)
    for name, subject in report.outcomes():
        if subject.place == place and subject.status in BROKEN:
            yield _case(name, place, "error", type=subject.status, message=subject.reason)


def _found(report: Report, place: str) -> Iterator["Element"]:
    """A case a code: what makes the answer no is its failure, the rest its output."""
    fail_on = FailOn(report.fail_on)
    found: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.place == place:
            found.setdefault(finding.code, []).append(finding)
    for code, findings in found.items():
        caught = [one for one in findings if fail_on.catches(one)]
        case = _case(code, place, "failure", _text(caught), type=code, message=caught[0].message) if caught else _case(code, place)
        if len(caught) < len(findings):
            _add(case, "system-out", _text([one for one in findings if one not in caught]))
        yield case


def _case(name: str, place: str, result: str = "", text: str = "", **attributes: str) -> "Element":
    from xml.etree.ElementTree import Element

    case = Element("testcase", {"classname": f"ivdoctor.{place or MACHINE}", "name": name})
    if result:
        _add(case, result, text, **attributes)
    return case


def _add(parent: "Element", tag: str, text: str = "", **attributes: str) -> None:
    from xml.etree.ElementTree import SubElement

    SubElement(parent, tag, attributes).text = text or None


def _count(parent: "Element") -> None:
    """JUnit's totals, counted from what is there."""
    cases = list(parent.iter("testcase"))
    totals = {"tests": len(cases)}
    for word, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        totals[word] = sum(case.find(tag) is not None for case in cases)
    for word, total in totals.items():
        parent.set(word, str(total))


def _text(findings: list[Finding]) -> str:
    return "\n\n".join("\n".join(_lines(finding)) for finding in findings)


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity.value} {finding.code} {finding.name}: {finding.message}"
    yield finding.title
    if finding.location and spot(finding.location):
        yield say("at {spot}", spot=", ".join(spot(finding.location)))
    if finding.origin and because(finding.origin):
        yield say("because {what}", what=because(finding.origin))
    yield from (f"- {line}" for line in finding.evidence)
    for number, fix in enumerate(finding.fixes, start=1):
        yield say("fix {number}: {title} [{how}]", number=number, title=fix.title, how=how(fix.trial))
        yield from (f"    {line}" for line in (*fix.code.splitlines(), *fix.command.splitlines()))
    yield from (say("not: {line}", line=line) for line in finding.avoid)
    yield from (say("look: {line}", line=line) for line in finding.look_next)


junit = Format(name="junit", suffix=".xml", render=render)
