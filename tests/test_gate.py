"""The gate: findings and gaps in, verdict and exit code out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.finding import Finding, Severity
from ivdoctor.gate import Answer, Exit, FailOn, answer, exit_code

severities = st.lists(st.sampled_from(Severity))
levels = st.sampled_from(FailOn)


def of(severity: Severity) -> Finding:
    """A finding of this severity."""
    return Finding(code="TST001", name="test", title="Test", severity=severity, confidence="certain", message="test")


@pytest.mark.parametrize(
    ("fail_on", "caught"),
    [
        (FailOn.ERROR, {Severity.ERROR}),
        (FailOn.WARNING, {Severity.ERROR, Severity.WARNING}),
        (FailOn.NEVER, set()),
    ],
)
def test_fail_on_catches_its_severity_and_the_graver_ones(fail_on: FailOn, caught: set[Severity]) -> None:
    """A note is never caught, and `never` catches nothing."""
    assert {severity for severity in Severity if fail_on.catches(of(severity))} == caught


@given(severities, levels, st.booleans())
def test_a_certain_no_beats_an_unknown_and_an_unknown_beats_a_yes(found: list[Severity], fail_on: FailOn, gaps: bool) -> None:
    """The three answers, from whatever was found."""
    caught = any(fail_on.catches(of(severity)) for severity in found)
    expected = Answer.NOT_READY if caught else Answer.UNDETERMINED if gaps else Answer.READY
    assert answer(map(of, found), fail_on=fail_on, gaps=gaps) is expected


@given(severities, levels, st.booleans(), st.booleans())
def test_the_exit_codes_precedence_is_4_1_3_0(found: list[Severity], fail_on: FailOn, gaps: bool, broken: bool) -> None:
    """ivdoctor's own failure first, then no, then unknown, then yes."""
    code = exit_code(answer(map(of, found), fail_on=fail_on, gaps=gaps), broken=broken)
    caught = any(fail_on.catches(of(severity)) for severity in found)
    applies = {4: broken, 1: caught, 3: gaps, 0: True}
    assert int(code) == next(value for value, applied in applies.items() if applied)


@given(severities, st.sampled_from(Severity), levels, st.booleans())
def test_another_finding_never_makes_the_answer_better(found: list[Severity], more: Severity, fail_on: FailOn, gaps: bool) -> None:
    """Ready, undetermined, not ready: more findings only lead to the right."""
    order = [Answer.READY, Answer.UNDETERMINED, Answer.NOT_READY]
    before = answer(map(of, found), fail_on=fail_on, gaps=gaps)
    after = answer(map(of, [*found, more]), fail_on=fail_on, gaps=gaps)
    assert order.index(after) >= order.index(before)


@given(severities, st.booleans())
def test_a_stricter_level_never_makes_the_answer_better(found: list[Severity], gaps: bool) -> None:
    """never, error, warning: what fails at one fails at every stricter one."""
    order = [Answer.READY, Answer.UNDETERMINED, Answer.NOT_READY]
    answers = [order.index(answer(map(of, found), fail_on=level, gaps=gaps)) for level in (FailOn.NEVER, FailOn.ERROR, FailOn.WARNING)]
    assert answers == sorted(answers)


def test_the_exit_codes_are_the_documented_ones() -> None:
    """Scripts and CI jobs rest on these numbers."""
    assert {code.name: int(code) for code in Exit} == {"READY": 0, "NOT_READY": 1, "USAGE": 2, "UNDETERMINED": 3, "BROKEN": 4}


def test_severities_are_ranked_from_the_gravest() -> None:
    """Sorting by rank puts errors first."""
    assert sorted(Severity, key=lambda one: one.rank) == [Severity.ERROR, Severity.WARNING, Severity.NOTE]
