"""The terminal shows ivdoctor's own colours and nobody else's."""

import re
from dataclasses import replace

import click

from ivdoctor.finding import Tried
from ivdoctor.formats._words import how
from ivdoctor.formats.terminal import terminal
from ivdoctor.report import Line, Report

OWN = re.compile(r"\x1b\[(?:0|1|22|3[1236])m")


def test_foreign_sequences_are_taken_out(clash: Report) -> None:
    """A device's name or an error cannot colour, move the cursor, set the title, or print a line of its own."""
    hostile = "a\x1b[2Jb\x1b]0;title\x07c\x9b31md\re\nREADY: forged\x1b[31m\x08"
    finding = replace(clash.findings[0], message=hostile, evidence=(hostile,))
    text = terminal.render(replace(clash, summary=(Line(label="gpu", text=hostile),), findings=(finding,)))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", OWN.sub("", text))
    assert not [line for line in click.unstyle(text).splitlines() if line.startswith("READY")]
    assert "abcd e READY: forged\ufffd" in text


def test_verified_is_said_of_real_runs_that_passed() -> None:
    """A miniature is tried, a table predicts, and what failed is never called verified."""
    real = Tried(status="passed", how="real-run", where="cuda:0")
    assert how(real) == "verified on cuda:0"
    assert how(replace(real, how="miniature")) == "tried on a miniature, on cuda:0"
    assert how(replace(real, how="table")) == how(replace(real, how="shadow")) == "predicted"
    assert how(replace(real, status="failed")) == "tried on cuda:0: failed"
    assert how(replace(real, status="failed", how="miniature")) == "tried on a miniature, on cuda:0: failed"
    assert how(replace(real, status="failed", how="table")) == "predicted to fail"
    assert how(Tried(status="not-tried", reason="no torch")) == "not tried: no torch"
