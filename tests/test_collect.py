"""Collecting: order by need, absence that spreads with its reason, circles refused."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ivdoctor.collect import Collection, collect
from ivdoctor.outcome import Outcome
from ivdoctor.probe import Probe, probe
from ivdoctor.rooms import Rooms

CHAIN = """
from dataclasses import dataclass
from ivdoctor.facts import Place
from ivdoctor.probe import Absent, probe

@dataclass(frozen=True, slots=True, kw_only=True)
class One:
    text: str

@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    text: str

@dataclass(frozen=True, slots=True, kw_only=True)
class Three:
    text: str

@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    text: str

@probe()
def two(one: One) -> Two:
    return Two(text=one.text + "2")

@probe()
def one() -> One:
    return One(text="1")

@probe()
def no_one() -> One:
    raise Absent("nobody home")

@probe()
def three(two: Two, one: One) -> Three:
    return Three(text=two.text + one.text)

@probe()
def one_of_three(three: Three) -> One:
    return One(text=three.text)

@probe()
def here(place: Place, one: One) -> Here:
    return Here(text=place.name + one.text)
"""


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Probe]]:
    (tmp_path / "chain_probes.py").write_text(CHAIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    sys.modules.pop("chain_probes", None)
    module = importlib.import_module("chain_probes")
    return lambda *names: [getattr(module, name) for name in names]


def by_subject(outcomes: list[Outcome]) -> dict[str, tuple[str, str]]:
    return {one.subject: (one.status, one.reason if one.fact is None else one.fact.text) for one in outcomes}


def test_probes_run_as_their_needs_demand(chain: Callable[..., list[Probe]]) -> None:
    """Whatever the order they are named in."""
    found = by_subject(collect(chain("three", "two", "one")))

    assert found == {"one": ("ok", "1"), "two": ("ok", "12"), "three": ("ok", "121")}


def test_absence_spreads_with_its_reason(chain: Callable[..., list[Probe]]) -> None:
    """Who needs a fact that is not there is absent too, and says whose fault it is."""
    found = by_subject(collect(chain("three", "two", "no_one")))

    assert found["one"] == ("absent", "nobody home")
    assert found["two"] == ("absent", "one: nobody home")
    assert found["three"] == ("absent", "two: one: nobody home; one: nobody home")


def test_a_need_that_nobody_fills_is_absence(chain: Callable[..., list[Probe]]) -> None:
    """The probe is not run."""
    assert by_subject(collect(chain("two"))) == {"two": ("absent", "one: no probe gives it")}


def test_circles_are_failures(chain: Callable[..., list[Probe]]) -> None:
    """And not an endless wait."""
    found = by_subject(collect(chain("one_of_three", "two", "three")))

    assert {"failed"} == {status for status, _ in found.values()}


def test_probes_of_a_place_see_it(chain: Callable[..., list[Probe]]) -> None:
    """A machine without accelerators has one place, its CPU."""
    outcomes = collect(chain("here", "one"))

    assert [(one.place, one.subject) for one in outcomes] == [("", "one"), ("cpu", "here")]
    assert outcomes[1].fact.text == "cpu1"


def test_a_fact_of_the_wrong_shape_is_a_failure() -> None:
    """What a room says is checked against the fact's type."""
    from ivdoctor.facts import Host
    from ivdoctor.rooms import Answer

    @probe()
    def host() -> Host:
        """Never run here."""
        raise NotImplementedError

    with Rooms() as rooms:
        collection = Collection(rooms=rooms)
        collection._note(host, Answer(status="ok", fact={"system": 7}))

    (outcome,) = collection.outcomes
    assert outcome.status == "failed"
    assert "$.system" in outcome.reason
