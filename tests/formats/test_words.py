"""Washing texts, and the words that formats share."""

import pytest

from ivdoctor.facts import Site
from ivdoctor.finding import Tried
from ivdoctor.formats._words import because, clean, facts, harmless, measured, shown, spot
from ivdoctor.gate import Answer
from ivdoctor.report import Report, Rules, Subject, Tool


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, and 日本語 é", "plain, and 日本語 é"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b\x1b[m[31mx", "\ufffd[31mx"),
        ("nul\x00bell\x07", "nul\ufffdbell\ufffd"),
        ("surrogate \udcff", "surrogate \ufffd"),
        ("\u202eevil\u2066", "\ufffdevil\ufffd"),
        ("not XML \ufffe\uffff", "not XML \ufffd\ufffd"),
        ("two\r\nlines\rand\u2028three\x85four", "two lines and three four"),
        ("  tab\tand  spaces  ", "tab and  spaces"),
    ],
)
def test_clean(text: str, expected: str) -> None:
    """Sequences go whole, what cannot be shown becomes U+FFFD, and lines become one."""
    assert clean(text) == expected


def test_code_keeps_its_lines() -> None:
    """Code is washed line by line, its indentation kept."""
    assert clean("if x:\r\n\ty = 1\x1b[0m\n", lines=True) == "if x:\n\ty = 1"


def test_an_unterminated_sequence_hides_nothing() -> None:
    """Text after a sequence that never ends is shown."""
    assert clean("\x1b]0;the rest") == "\ufffd]0;the rest"


def test_harmless_changes_no_clean_report(report: Report) -> None:
    """A report whose texts are clean is itself again, but for lines made one."""
    washed = harmless(report)
    assert harmless(washed) == washed
    assert [one.code for one in washed.findings] == [one.code for one in report.findings]
    assert washed.verdict is report.verdict


def test_harmless_washes_facts_too(clash: Report) -> None:
    """Facts are nested plain values, and washed to the bottom."""
    from dataclasses import replace

    from ivdoctor.report import Subject

    dirty = replace(clash, subjects={"x\x1b[m": Subject(status="ok", fact={"a\x00": [{"b": "c\x1b[m\n", "n": 1, "t": True}]})})
    assert harmless(dirty).subjects == {"x": Subject(status="ok", fact={"a\ufffd": [{"b": "c", "n": 1, "t": True}]})}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (True, "yes"),
        (False, "no"),
        (24105, "24105"),
        ([12, 4], "12.4"),
        ([], "none"),
        (["avx2", "fma"], "avx2, fma"),
        ([{"name": "torch", "version": "2.6.0"}, {"name": "numpy", "version": "2.0"}], "torch = 2.6.0; numpy = 2.0"),
        ({"index": 0, "name": "Tesla T4", "compute_capability": [7, 5]}, "index 0, name Tesla T4, compute_capability 7.5"),
    ],
)
def test_a_fact_in_one_line(value: object, expected: str) -> None:
    """Facts read as people write them."""
    assert shown(value) == expected


def test_measured() -> None:
    """Counts are whole, distances short, and a distance below zero is said in words."""
    tried = Tried(status="failed", metrics={"relative_l2": 0.00534648, "weights_changed": 693.0})
    assert measured(tried) == "relative L2 0.00535, weights changed 693"
    assert measured(Tried(status="failed", metrics={"relative_l2": 1e300})) == "relative L2 1e+300"
    assert measured(Tried(status="failed", metrics={"relative_l2": -1.0})) == "relative L2 not finite"


def test_spots() -> None:
    """What is not known of a place is not said."""
    assert spot(Site(module="vision", file="m.py", line=3, op="aten.linear", code="f(x)")) == ["vision", "m.py:3", "aten.linear", "f(x)"]
    assert spot(Site(line=3)) == []
    assert because(Site(module="projector", dtype="float32")) == "projector is float32"
    assert because(Site(dtype="float32")) == "float32"
    assert because(Site(module="projector")) == "projector"
    assert because(Site()) == ""


def test_lists_that_are_tables_of_the_report_are_no_facts_in_a_line() -> None:
    """Of a flow its numbers and texts are shown, not its cells and operators; of a subject without a table everything is."""
    report = Report(
        tool=Tool(version="1", tables="2026-11-23"),
        command="check",
        verdict=Answer.READY,
        exit_code=0,
        reason="",
        places=(),
        subjects={
            "flow": Subject(status="ok", fact={"model": "one", "cells": [{"way": "loaded"}], "steps": ["forward"], "misfit": ""}),
            "driver": Subject(status="ok", fact={"devices": [{"name": "T4"}]}),
        },
        rules=Rules(passed=0, failed=0),
    )
    assert [name for name, _ in facts(report)] == ["flow.model", "flow.steps", "driver.devices"]
