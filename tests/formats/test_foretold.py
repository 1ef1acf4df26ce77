"""Hardware that is not here: every format says so, and none says that anything was run."""

import json
import re
from pathlib import Path

import click
import junitparser
import pytest

from ivdoctor.checkup import check
from ivdoctor.facts import Asked
from ivdoctor.finding import Severity
from ivdoctor.formats import Format
from ivdoctor.formats.json import json as json_format
from ivdoctor.formats.junit import junit
from ivdoctor.formats.markdown import markdown
from ivdoctor.formats.terminal import terminal
from ivdoctor.plugins import plugins
from ivdoctor.report import Report
from ivdoctor.snapshot import load

T4 = Asked(targets=("8xT4",), dtype="bf16", engine="vllm", torch="2.6+cu124")
RAN = re.compile(r"really run|verified|was run in it|measured here|\btried on\b")
"""What is said of runs."""


@pytest.fixture(scope="module")
def t4() -> Report:
    """By the tables as they are."""
    return check(T4)


def test_every_format_says_that_it_is_foretold(t4: Report, form: Format) -> None:
    """Beside the verdict, where its readers look for it; the device is named."""
    text = click.unstyle(form.render(t4))
    assert "by the tables alone: " in text
    assert "Tesla T4" in text
    assert RAN.findall(text) == []


def test_the_words_of_runs_are_found_where_something_ran(form: Format) -> None:
    """A machine that was recorded really ran; a format that tells of it does so in words that the test above looks for."""
    machine = Path(__file__).parents[1] / "machines" / "minilm-cpu.json"
    text = click.unstyle(form.render(check(snapshot=load(machine.read_bytes(), plugins().facts()))))
    assert "by the tables alone" not in text
    if form.name in {"html", "markdown", "terminal", "json"}:
        assert RAN.search(text)


def test_a_program_can_tell_a_target_from_a_machine(t4: Report) -> None:
    """By the kind of its place; no fact of a machine is there, and no fix claims a run."""
    told = json.loads(json_format.render(t4))
    (place,) = told["places"]
    assert (place["name"], place["kind"], place["count"], place["verdict"]) == ("Tesla T4", "target", 8, "not-ready")
    assert set(told["subjects"]) == {"torch"}
    assert {fix["trial"]["status"] for one in told["findings"] for fix in one.get("fixes", [])} == {"not-tried"}
    assert {one["place"] for one in told["findings"]} == {"Tesla T4"}


def test_a_suite_of_junit_is_the_target(t4: Report) -> None:
    """What was asked once, and what was asked of the target; the refusal is a failure of the latter."""
    suites = {suite.name: suite for suite in junitparser.JUnitXml.fromstring(junit.render(t4).encode())}
    assert set(suites) == {"machine", "Tesla T4"}
    assert suites["machine"].failures == 0
    assert suites["Tesla T4"].failures == len([one for one in t4.findings if one.severity is Severity.ERROR])


def test_the_outcome_of_every_cell_is_said(t4: Report) -> None:
    """At the terminal and in Markdown a cell that has words beside its outcome keeps the outcome."""
    (engines,) = [one for one in t4.grids if one.title == "Engines"]
    outcomes = {row[0].text: row[1].brief for row in engines.rows}
    assert outcomes["bf16"] == "refused"
    for text in (click.unstyle(terminal.render(t4)), markdown.render(t4)):
        for checkpoint, outcome in outcomes.items():
            assert re.search(rf"^[| ]*`?{re.escape(checkpoint)}`?[ |]+{outcome}\b", text, re.MULTILINE), checkpoint


def test_a_line_of_markdown_is_never_without_its_outcome(foretold: Report) -> None:
    """Also in the folded tables, of which there is no brief version: `takes fp16 and bf16 only` alone could mean either."""
    folded = markdown.render(foretold).partition("<summary>Kernels and libraries (Tesla T4)</summary>")[2].partition("</details>")[0]
    (row,) = [line for line in folded.splitlines() if line.startswith("| sdpa-flash")]
    assert "refused" in row.split("|")[2]
    assert "takes fp16 and bf16 only" in row
