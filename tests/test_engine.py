"""The engine: facts in, verdicts out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.engine import Unknown, Verdict, judge
from ivdoctor.facts import Asked, Driver, Place, Precision, Torch
from ivdoctor.finding import Fix, Problem, Severity, Tried
from ivdoctor.plugins import plugins
from ivdoctor.rule import Rule, rule
from ivdoctor.testing import a_driver, a_mismatch, a_place, a_precision, a_torch, an_environ, some_packages, verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """A plugin's fact."""

    rain: bool


@rule("TST001", severity=Severity.WARNING, confidence="likely", category="neg-oom")
def it_rains(weather: Weather) -> Iterator[Problem]:
    """It rains."""
    if weather.rain:
        yield Problem(message="wet", evidence=("drops",), fixes=(Fix(title="an umbrella", trial=Tried(status="not-tried", reason="none here")),))


@rule("TST002", severity=Severity.NOTE)
def graver_than_it_says(weather: Weather) -> Iterator[Problem]:
    """A rule whose problem has another severity and another category."""
    yield Problem(message=f"rain: {weather.rain}", severity=Severity.ERROR, category="neg-shape-mismatch")


@rule("TST003", severity=Severity.NOTE)
def asks_two(weather: Weather, torch: Torch, driver: Driver | None) -> Iterator[Problem]:
    """A rule with an optional fact."""
    yield Problem(message=f"{weather.rain} {torch.version} {driver.version if driver else 'no driver'}")


@rule("TST004", severity=Severity.NOTE)
def breaks_at_once(weather: Weather) -> Iterator[Problem]:
    """A rule that raises before it yields anything."""
    if weather.rain:
        raise ZeroDivisionError("rain is True")
    yield Problem(message="dry")


@rule("TST005", severity=Severity.NOTE)
def breaks_later(weather: Weather) -> Iterator[Problem]:
    """A rule that yields a problem and then raises."""
    yield Problem(message="one")
    raise KeyError(weather)


@rule("TST006", severity=Severity.NOTE)
def yields_nonsense(weather: Weather) -> Iterator[Any]:
    """A rule that yields what is no Problem."""
    yield f"rain: {weather.rain}"


OWN = [it_rains, graver_than_it_says, asks_two, breaks_at_once, breaks_later, yields_nonsense]
WET: dict[type, Any] = {Weather: Weather(rain=True)}


def one(asked: Rule, facts: dict[type, Any], place: str = "") -> Verdict:
    """The verdict of one rule."""
    (found,) = judge([asked], facts, place=place)
    return found


def test_a_finding_is_the_problem_with_its_rules_name_on_it() -> None:
    """Code, name, title, severity, confidence and category come from the rule; the rest from the problem; the place from the caller."""
    (found,) = one(it_rains, WET, place="cuda:0").findings
    assert (found.code, found.name, found.title, found.confidence, found.category) == ("TST001", "it-rains", "It rains", "likely", "neg-oom")
    assert (found.severity, found.message, found.evidence, found.place) == (Severity.WARNING, "wet", ("drops",), "cuda:0")
    assert found.fixes[0].title == "an umbrella"


def test_a_problem_may_be_graver_and_of_another_category_than_its_rule() -> None:
    """Where the problem says so, it is believed."""
    (found,) = one(graver_than_it_says, WET).findings
    assert (found.severity, found.category) == (Severity.ERROR, "neg-shape-mismatch")


def test_nothing_found_is_no_skip_and_no_error() -> None:
    """Asked and silent: the only pass there is."""
    assert one(it_rains, {Weather: Weather(rain=False)}) == Verdict(rule=it_rains)


def test_a_missing_fact_skips_the_rule_with_its_reason() -> None:
    """Every missing fact by its parameter's name, and never a pass."""
    found = one(asks_two, {Torch: Unknown(reason="import torch: killed")})
    assert found.skipped == "weather: no probe gave it; torch: import torch: killed"
    assert found.findings == ()


def test_an_optional_fact_that_is_missing_is_none() -> None:
    """Both when nobody looked for it and when there is a reason."""
    absences: list[dict[type, Any]] = [{}, {Driver: Unknown(reason="no library")}]
    for absent in absences:
        (found,) = one(asks_two, {**WET, Torch: a_torch(), **absent}).findings
        assert found.message == "True 2.6.0+cu124 no driver"
    (found,) = one(asks_two, {**WET, Torch: a_torch(), Driver: a_driver()}).findings
    assert found.message == "True 2.6.0+cu124 550.54.15"


def test_a_rule_that_raises_is_an_error_with_its_type() -> None:
    """The exception's type and text; no finding of a broken rule is believed, not even one it had already yielded."""
    assert one(breaks_at_once, WET).error == "ZeroDivisionError: rain is True"
    later = one(breaks_later, WET)
    assert later.error.startswith("KeyError: ")
    assert later.findings == ()
    assert one(yields_nonsense, WET).error.startswith("Malformed: ")


def test_a_rule_that_raises_stops_no_other() -> None:
    """One verdict a rule, in the order given."""
    verdicts = list(judge(OWN, {**WET, Torch: a_torch()}))
    assert [verdict.rule for verdict in verdicts] == OWN
    assert [bool(verdict.error) for verdict in verdicts] == [False, False, False, True, True, True]
    assert [len(verdict.findings) for verdict in verdicts] == [1, 1, 1, 0, 0, 0]


FACTS: dict[type, Any] = {
    type(fact): fact
    for fact in (
        Weather(rain=True),
        Asked(),
        a_place("sm_75", "Tesla T4"),
        a_torch(),
        a_driver(),
        an_environ({"CUDA_VISIBLE_DEVICES": "-1"}),
        some_packages({"pynvml": "11.0"}),
        a_precision(bf16_flag=True, bf16_flag_native=False),
        a_mismatch("cuda:0"),
    )
}
RULES = [*plugins().rules, *OWN]


@given(st.permutations(RULES))
def test_the_order_of_rules_changes_no_verdict(rules: list[Rule]) -> None:
    """No rule sees another."""
    straight = {verdict.rule.code: verdict for verdict in judge(RULES, FACTS, place="cuda:0")}
    assert {verdict.rule.code: verdict for verdict in judge(rules, FACTS, place="cuda:0")} == straight


@given(st.permutations(list(FACTS.items())))
def test_the_order_of_facts_changes_no_verdict(facts: list[tuple[type, Any]]) -> None:
    """Facts are found by their type."""
    assert list(judge(RULES, dict(facts))) == list(judge(RULES, FACTS))


@given(st.sets(st.sampled_from(list(FACTS))))
def test_a_rule_is_skipped_exactly_when_a_fact_it_needs_is_missing(missing: set[type]) -> None:
    """Whatever is missing: no rule is asked without its facts, none is skipped that has them, and no fact is made up or changed."""
    facts = {kind: fact for kind, fact in FACTS.items() if kind not in missing}
    before = dict(facts)
    for found in judge(RULES, facts):
        needed = {need for name, need in found.rule.needs if name not in found.rule.optional}
        assert bool(found.skipped) == (not needed <= facts.keys())
        assert not (found.skipped and (found.findings or found.error))
    assert facts == before


def test_judging_twice_gives_the_same() -> None:
    """No clock, no chance, nothing remembered."""
    assert list(judge(RULES, FACTS)) == list(judge(RULES, FACTS))


def test_a_rule_is_judged_lazily_one_by_one() -> None:
    """The first verdict is there before the second rule is asked."""
    verdicts = judge([it_rains, breaks_at_once], WET)
    assert next(verdicts).findings
    assert next(verdicts).error


def test_every_builtin_rule_that_needs_a_place_says_so_by_type() -> None:
    """What is judged per place asks for the place or for what was looked at there; the machine's rules ask for neither."""
    local = {rule.code for rule in plugins().rules if {Place, Precision} & {need for _, need in rule.needs}}
    assert "IVD201" in local
    assert "IVD101" not in local
    assert verdict(it_rains, Weather(rain=False)) == Verdict(rule=it_rains)
