"""JUnit's XML, read back by a reader of others."""

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import junitparser
import pytest

from ivdoctor.formats.junit import junit
from ivdoctor.report import Report


def _cases(report: Report) -> dict[tuple[str, str], Any]:
    suites = junitparser.JUnitXml.fromstring(junit.render(report).encode())
    return {(str(suite.name), str(case.name)): case for suite in suites for case in suite}


def test_suites_are_the_places(clash: Report) -> None:
    """The machine's suite comes first, then one for each place, in the report's order."""
    suites = junitparser.JUnitXml.fromstring(junit.render(clash).encode())
    assert [suite.name for suite in suites] == ["machine", "cpu", "cuda:0"]


def test_every_rule_and_every_broken_subject_is_a_case(report: Report) -> None:
    """Codes that found something, passed, were skipped or broke, and subjects that went wrong, each once a place."""
    rules = report.rules
    expected = {(one.place or "machine", one.code) for group in (report.findings, rules.silent, rules.skipped, rules.errors) for one in group}
    expected |= {(one.place or "machine", name) for name, one in report.outcomes() if one.status in ("failed", "timeout", "crashed")}
    assert set(_cases(report)) == expected


@pytest.mark.parametrize(("fail_on", "failed"), [("error", {"IVD401"}), ("warning", {"IVD401", "IVD105"}), ("never", set())])
def test_failures_are_what_makes_the_answer_no(clash: Report, fail_on: Any, failed: set[str]) -> None:
    """A finding below --fail-on is a pass that says something."""
    cases = _cases(replace(clash, fail_on=fail_on))
    assert {code for (_, code), case in cases.items() if any(isinstance(one, junitparser.Failure) for one in case.result)} == failed
    assert {code for (_, code), case in cases.items() if case.system_out} == {"IVD401", "IVD105", "IVD207"} - failed


def test_a_failure_tells_the_finding(clash: Report) -> None:
    """Its type is the code, its message the finding's, and its text has the evidence and the fixes."""
    (failure,) = _cases(clash)["cuda:0", "IVD401"].result
    finding = clash.findings[0]
    assert (failure.type, failure.message) == ("IVD401", finding.message)
    for said in (
        *finding.evidence,
        *(fix.title for fix in finding.fixes),
        finding.fixes[0].code,
        "tried on a miniature, on cuda:0",
        "because pixel_values is bfloat16",
    ):
        assert said in failure.text


def test_what_was_not_asked_is_skipped(clash: Report) -> None:
    """With the reason."""
    (skipped,) = _cases(clash)["cpu", "IVD202"].result
    assert isinstance(skipped, junitparser.Skipped)
    assert skipped.message == "precision: not asked for"


def test_what_went_wrong_is_an_error(sick: Report) -> None:
    """A rule that raised, a probe that timed out and one that crashed are errors, which are neither passes nor failures."""
    errors = {key: case.result[0] for key, case in _cases(sick).items() if case.result and isinstance(case.result[0], junitparser.Error)}
    assert {key: (one.type, one.message) for key, one in errors.items()} == {
        ("cpu", "ACME001"): ("broken-rule", "ZeroDivisionError: division by zero"),
        ("cpu", "mismatch"): ("timeout", "no answer after 180 s"),
        ("machine", "torch"): ("crashed", "the process was killed by SIGSEGV"),
    }


def test_totals_are_the_cases(report: Report) -> None:
    """The totals of each suite and of the whole are what a reader counts."""
    root = ET.fromstring(junit.render(report))
    for element in (root, *root):
        cases = list(element.iter("testcase"))
        assert int(element.get("tests", "")) == len(cases)
        for total, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(element.get(total, "")) == sum(case.find(tag) is not None for case in cases)


def test_a_rule_keeps_its_name(clash: Report) -> None:
    """A rule that found something in one run and nothing in the next is the same test case to a server."""
    calm = replace(clash, findings=(), rules=replace(clash.rules, silent=(*clash.rules.silent, *_passed(clash))))
    assert {(one.classname, one.name) for one in _cases(clash).values()} == {(one.classname, one.name) for one in _cases(calm).values()}


def _passed(report: Report) -> list[Any]:
    from ivdoctor.report import Passed

    return [Passed(code=one.code, title=one.title, place=one.place) for one in report.findings]


def test_two_findings_of_one_rule_are_one_case(clash: Report) -> None:
    """Both are told, in one failure."""
    first = clash.findings[0]
    twice = replace(clash, findings=(first, replace(first, message="and another"), replace(clash.findings[2], code=first.code)))
    case = _cases(twice)["cuda:0", "IVD401"]
    (failure,) = case.result
    assert first.message in failure.text
    assert "and another" in failure.text
    assert clash.findings[2].message in case.system_out
