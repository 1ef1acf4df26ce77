"""One rule asked by itself."""

from pathlib import Path
from typing import Any

from ..engine import Verdict, judge
from ..facts import (
    Asked,
    Place,
)
from ..finding import Finding
from ..outcome import known
from ..places import places
from ..plugins import plugins
from ..rule import Rule
from ..snapshot import load


def verdict(rule: Rule, *facts: object) -> Verdict:
    """
    What one rule says of these facts, through the real engine.

    `Asked` is always known, as it is in a checkup: `auto` unless one is given. Every other fact that is not given is missing.
    """
    given: dict[type, Any] = {Asked: Asked()} | {type(fact): fact for fact in facts}
    place = given.get(Place)
    (one,) = judge([rule], given, place=place.name if place else "")
    return one


def findings(rule: Rule, *facts: object) -> list[Finding]:
    """
    What one rule finds in these facts; empty when it was asked and had nothing to say.

    Raises:
        AssertionError: it was not asked for want of a fact, or it raised. Neither may look like a pass.
    """
    one = verdict(rule, *facts)
    if one.skipped or one.error:
        raise AssertionError(f"{rule.code} {'was skipped' if one.skipped else 'broke'}: {one.skipped or one.error}")
    return list(one.findings)


def recorded(snapshot: Path, place: str = "cpu") -> tuple[object, ...]:
    """
    The facts of a snapshot file as a rule sees them at one place, the `Place` itself among them.

    Raises:
        ValueError: the file is no snapshot, or has no such place.
    """
    outcomes = load(snapshot.read_bytes(), plugins().facts()).outcomes
    there = {one.name: one for one in places(known(outcomes))}
    if place not in there:
        raise ValueError(f"{snapshot.name} has no place {place!r}, only {', '.join(there)}")
    return (*known(outcomes, place).values(), there[place])
