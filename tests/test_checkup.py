"""The pipeline's own decisions: gaps, exit codes, places."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ivdoctor.checkup import judged
from ivdoctor.facts import Asked, Place, Torch
from ivdoctor.finding import Problem, Severity
from ivdoctor.gate import Answer, FailOn
from ivdoctor.outcome import Outcome, Status
from ivdoctor.plugins import plugins
from ivdoctor.report import Report
from ivdoctor.rule import Rule, rule
from ivdoctor.snapshot import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The installed plugins with other rules."""

    rules: tuple[Rule, ...]

    def facts(self) -> dict[str, type]:
        return plugins().facts()


@rule("TEST001", severity=Severity.ERROR)
def always(torch: Torch) -> Iterator[Problem]:
    """Finds a problem."""
    yield Problem(message=f"torch {torch.version}")


@rule("TEST002", severity=Severity.NOTE)
def breaks(place: Place) -> Iterator[Problem]:
    """Breaks."""
    if place.name:
        raise ZeroDivisionError(f"at {place.name} in /home/jane/rules.py")
    yield Problem(message="never")


@pytest.fixture(scope="module")
def outcomes() -> tuple[Outcome, ...]:
    text = (Path(__file__).parent / "machines" / "cpu.json").read_bytes()
    return load(text, plugins().facts()).outcomes


def judge(outcomes: tuple[Outcome, ...], *rules: Rule, fail_on: FailOn = FailOn.ERROR) -> Report:
    return judged(outcomes, Asked(), registered=Registered(rules=rules), fail_on=fail_on)  # type: ignore[arg-type]  # the part that is used


def test_nothing_found_is_ready(outcomes: tuple[Outcome, ...]) -> None:
    """Exit code 0, and each place is ready."""
    report = judge(outcomes)

    assert (report.verdict, report.exit_code) == (Answer.READY, 0)
    assert [place.verdict for place in report.places] == [Answer.READY]


@pytest.mark.parametrize("status", ["failed", "timeout", "crashed"])
def test_looking_that_went_wrong_is_undetermined(outcomes: tuple[Outcome, ...], status: Status) -> None:
    """A broken probe turns a yes into unknown, and the reason names it."""
    broken = tuple(replace(one, status=status, fact=None, reason="it broke") if one.subject == "packages" else one for one in outcomes)

    report = judge(broken)

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert f"packages {status}: it broke" == report.reason


def test_a_certain_no_beats_an_unknown(outcomes: tuple[Outcome, ...]) -> None:
    """Exit code 1 with a gap beside it."""
    broken = tuple(replace(one, status="crashed", fact=None, reason="it broke") if one.subject == "packages" else one for one in outcomes)

    assert judge(broken, always).exit_code == 1


def test_torch_that_is_not_there_is_undetermined(outcomes: tuple[Outcome, ...]) -> None:
    """Absence is fine for a driver, and not for torch; no place is called ready."""
    without = tuple(
        replace(one, status="absent", fact=None, reason="torch is not installed") if one.subject in {"torch", "gpu", "precision", "mismatch"} else one
        for one in outcomes
    )

    report = judge(without)

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert report.reason == "torch absent: torch is not installed"
    assert [place.verdict for place in report.places] == [Answer.UNDETERMINED]


def test_nothing_at_all_is_undetermined() -> None:
    """An empty snapshot is no pass."""
    assert judge(()).exit_code == 3


def test_a_plugins_rule_that_breaks_is_undetermined(outcomes: tuple[Outcome, ...]) -> None:
    """Its error is shown without paths of home."""
    report = judge(outcomes, breaks)

    assert report.exit_code == 3
    assert [one.error for one in report.rules.errors] == ["ZeroDivisionError: at cpu in ~/rules.py"]


def test_a_built_in_rule_that_breaks_is_ivdoctors_failure(outcomes: tuple[Outcome, ...]) -> None:
    """4, whatever else was found, and the report is whole."""
    report = judge(outcomes, always, replace(breaks, builtin=True))

    assert report.exit_code == 4
    assert [one.code for one in report.findings] == ["TEST001"]


def test_the_gate_moves_with_fail_on(outcomes: tuple[Outcome, ...]) -> None:
    """The same finding, three levels."""
    warning = replace(always, severity=Severity.WARNING)

    assert [judge(outcomes, warning, fail_on=level).exit_code for level in (FailOn.ERROR, FailOn.WARNING, FailOn.NEVER)] == [0, 1, 0]


def test_machine_rules_run_once_and_place_rules_per_place(outcomes: tuple[Outcome, ...]) -> None:
    """A rule that needs nothing of a place has none in its finding."""

    @rule("TEST003", severity=Severity.NOTE)
    def at_place(place: Place, torch: Torch) -> Iterator[Problem]:
        """At a place."""
        yield Problem(message=f"{torch.version} at {place.name}")

    report = judge(outcomes, always, at_place)

    assert {("TEST001", ""), ("TEST003", "cpu")} == {(one.code, one.place) for one in report.findings}


@pytest.mark.parametrize("kept", [{"torch"}, {"torch", "host", "cpu", "gpu"}, {"torch", "driver"}])
def test_ready_means_that_something_was_run(outcomes: tuple[Outcome, ...], kept: set[str]) -> None:
    """With the live probes left out, absent or empty, the answer is unknown, and no place is called ready."""
    without = tuple(one for one in outcomes if one.subject in kept)
    live = tuple(one for one in outcomes if one.subject in {"precision", "mismatch"})
    absent = tuple(replace(one, status="absent", fact=None, reason="of an older ivdoctor") for one in live)
    empty = tuple(
        replace(one, fact=replace(one.fact, operations=()) if one.subject == "precision" else replace(one.fact, cells=(), towers=(), trials=()))
        for one in live
    )

    for given in (without, without + absent, without + empty):
        report = judge(given)
        assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
        assert "nothing was run on cpu" in report.reason
        assert Answer.READY not in {place.verdict for place in report.places}


def test_numbers_that_are_wrong_are_no_pass(outcomes: tuple[Outcome, ...]) -> None:
    """Finite and farther from the truth than its own size: the agreeing cells fail."""

    def spoilt(one: Outcome) -> Outcome:
        if one.subject != "mismatch":
            return one
        cells = tuple(replace(cell, attempt=replace(cell.attempt, relative_l2=7.5)) if cell.model == cell.input else cell for cell in one.fact.cells)
        return replace(one, fact=replace(one.fact, cells=cells))

    report = judged(tuple(map(spoilt, outcomes)), Asked(dtype="fp32", input_dtype="fp32"), registered=plugins())

    assert report.exit_code == 1
    assert "relative L2 7.5e+00" in report.reason
