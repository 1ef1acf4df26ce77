"""Registering a rule: everything comes from its annotations and its docstring, and what is missing is refused at once."""

from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.facts import Driver, Mismatch, Torch
from ivdoctor.finding import Problem, Severity
from ivdoctor.rule import Rule, rule


@rule("ACME001", severity=Severity.WARNING, confidence="possible", category="neg-driver-runtime", since="1.2.0", status="deprecated")
def driver_below_baseline(driver: Driver, mismatch: Mismatch | None, torch: Torch) -> Iterator[Problem]:
    """
    The driver is below the fleet's baseline.

    What the fleet runs was tested on newer ones.

    ## Fix
    Ask for a new image.
    """
    yield Problem(message=f"{driver.version} {mismatch} {torch.version}")


def test_everything_comes_from_the_function() -> None:
    """Name in kebab case, title without its full stop, the docstring as manual, needs by type and order."""
    assert driver_below_baseline.name == "driver-below-baseline"
    assert driver_below_baseline.title == "The driver is below the fleet's baseline"
    assert driver_below_baseline.manual.splitlines()[-2:] == ["## Fix", "Ask for a new image."]
    assert driver_below_baseline.needs == (("driver", Driver), ("mismatch", Mismatch), ("torch", Torch))
    assert driver_below_baseline.optional == {"mismatch"}


def test_the_decorators_words_are_kept() -> None:
    """Severity, confidence, category, since and status."""
    one = driver_below_baseline
    assert (one.severity, one.confidence, one.category) == (Severity.WARNING, "possible", "neg-driver-runtime")
    assert (one.since, one.status, one.family) == ("1.2.0", "deprecated", "ACME0xx")


def test_a_rule_from_elsewhere_is_not_builtin() -> None:
    """What breaks in it is its own failure."""
    assert not driver_below_baseline.builtin


def test_a_rule_is_frozen() -> None:
    """Nobody changes a registered rule."""
    with pytest.raises(FrozenInstanceError):
        driver_below_baseline.code = "ACME002"  # type: ignore[misc]  # that is the point


def documented(torch: Torch) -> Iterator[Problem]:
    """A title."""
    yield Problem(message=torch.version)


def undocumented(torch: Torch) -> Iterator[Problem]:
    yield Problem(message=torch.version)


def untyped(torch) -> Iterator[Problem]:  # type: ignore[no-untyped-def]  # noqa: ANN001  # that is the point
    """A title."""
    yield Problem(message=torch.version)


def asks_nothing() -> Iterator[Problem]:
    """A title."""
    yield Problem(message="always")


@pytest.mark.parametrize(
    ("check", "code", "complaint"),
    [
        (documented, "acme001", "not a rule code"),
        (documented, "AC001", "not a rule code"),
        (documented, "ACME1", "not a rule code"),
        (documented, "ACME0011", "not a rule code"),
        (undocumented, "ACME001", "no docstring, which is its manual page"),
        (untyped, "ACME001", "each parameter by its type"),
        (asks_nothing, "ACME001", "at least one fact"),
    ],
)
def test_what_is_missing_is_refused_with_file_and_line(check: Callable[..., Any], code: str, complaint: str) -> None:
    """At import, and with the place in the author's code."""
    with pytest.raises(TypeError, match=complaint) as raised:
        rule(code, severity=Severity.NOTE)(check)
    assert Path(__file__).name in str(raised.value)
    assert f":{check.__code__.co_firstlineno}: " in str(raised.value)


def test_a_good_rule_is_accepted() -> None:
    """The same function with a proper code."""
    assert isinstance(rule("ACME001", severity=Severity.NOTE)(documented), Rule)
