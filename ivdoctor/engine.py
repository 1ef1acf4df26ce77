"""The whole judgement: facts in, verdicts out; no input, no output, no clock."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import codec
from .finding import Finding, Problem
from .rule import Rule
from .text import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A fact that is not there."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one rule said at one place: problems, or that it could not be asked, or that it broke."""

    rule: Rule
    place: str = ""
    findings: tuple[Finding, ...] = ()
    skipped: str = ""
    error: str = ""


def judge(rules: Iterable[Rule], facts: Mapping[type, Any], *, place: str = "") -> Iterator[Verdict]:
    """One verdict a rule, in the order given; a rule never stops another, and a missing fact is never a pass."""
    for rule in rules:
        given = {name: facts.get(fact, Unknown(reason=say("no probe gave it"))) for name, fact in rule.needs}
        missing = {name: value.reason for name, value in given.items() if isinstance(value, Unknown)}
        needed = [f"{name}: {reason}" for name, reason in missing.items() if name not in rule.optional]
        if needed:
            yield Verdict(rule=rule, place=place, skipped="; ".join(needed))
            continue
        try:
            problems = rule.check(**given | dict.fromkeys(missing))
            findings = tuple(_finding(rule, problem, place) for problem in problems)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a rule that breaks is a verdict about the rule
            yield Verdict(rule=rule, place=place, error=f"{type(error).__name__}: {error}")
        else:
            yield Verdict(rule=rule, place=place, findings=findings)


def _finding(rule: Rule, problem: Problem, place: str) -> Finding:
    if not rule.builtin:
        problem = codec.build(codec.plain(problem), Problem)  # mypy has not seen a plugin's
    return Finding(
        code=rule.code,
        name=rule.name,
        title=rule.title,
        severity=problem.severity or rule.severity,
        confidence=problem.confidence or rule.confidence,
        category=problem.category or rule.category,
        place=place,
        message=problem.message,
        evidence=problem.evidence,
        location=problem.location,
        origin=problem.origin,
        fixes=problem.fixes,
        avoid=problem.avoid,
        look_next=problem.look_next,
    )
