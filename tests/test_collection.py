"""Collecting: order by need, absence that spreads with its reason, circles refused."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ivdoctor.collection import Collection, collect
from ivdoctor.facts import Asked
from ivdoctor.outcome import Outcome
from ivdoctor.probe import Probe, probe
from ivdoctor.rooms import Rooms

CHAIN = """
from dataclasses import dataclass
from ivdoctor.facts import Asked, Place
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

@probe(wants="model")
def with_a_model(asked: Asked) -> One:
    return One(text=asked.model)

@probe(wants="no-model")
def without_a_model(asked: Asked) -> One:
    return One(text=f"none {asked.model!r}")

@probe()
def either_way(asked: Asked, one: One) -> Two:
    return Two(text=f"{asked.model!r} {asked.input_dtype} {one.text}")

@probe(wants="model")
def here_with_a_model(place: Place, asked: Asked) -> Here:
    return Here(text=f"{place.name} {asked.model} {asked.inputs}")

@probe(wants="no-model")
def here_without_a_model(place: Place, asked: Asked) -> Here:
    return Here(text=f"{place.name} {asked}")
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


WANTING = ("with_a_model", "without_a_model", "either_way", "here_with_a_model", "here_without_a_model")


def test_a_model_that_is_asked_about_is_what_those_who_want_one_see(chain: Callable[..., list[Probe]]) -> None:
    """Those who want none are left out, and give no outcome; what was asked is a fact, of the machine and of every place."""
    asked = Asked(model="folder", inputs="mine.safetensors", input_dtype="bf16")

    outcomes = collect(chain(*WANTING), asked)

    assert by_subject(outcomes) == {"one": ("ok", "folder"), "two": ("ok", "'folder' bf16 folder"), "here": ("ok", "cpu folder mine.safetensors")}
    assert len(outcomes) == 3


@pytest.mark.parametrize("asked", [None, Asked(), Asked(dtype="fp16")])
def test_without_a_model_it_is_the_others(chain: Callable[..., list[Probe]], asked: Asked | None) -> None:
    """Nothing asked is the same as asking about the machine."""
    outcomes = collect(chain(*WANTING), asked)

    assert [(one.subject, one.status) for one in outcomes] == [("one", "ok"), ("two", "ok"), ("here", "ok")]
    assert by_subject(outcomes)["one"] == ("ok", "none ''")
    assert by_subject(outcomes)["two"] == ("ok", "'' None none ''")
    assert by_subject(outcomes)["here"] == ("ok", f"cpu {asked or Asked()}")


def test_who_needs_what_is_left_out_is_absent(chain: Callable[..., list[Probe]]) -> None:
    """A probe that is left out gives nothing to wait for."""
    assert by_subject(collect(chain("with_a_model", "either_way"))) == {"two": ("absent", "one: no probe gives it")}


def test_what_was_asked_is_no_outcome(chain: Callable[..., list[Probe]]) -> None:
    """It was not looked at: the path of a folder is not to be found in a snapshot."""
    outcomes = collect(chain("one"), Asked(model="/somewhere/private"))

    assert [one.subject for one in outcomes] == ["one"]
    assert "private" not in str(outcomes)


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
