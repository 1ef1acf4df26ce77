"""What is said while something takes its time."""

import time
from collections.abc import Iterator

import pytest

from ivdoctor import progress
from ivdoctor.progress import named, patient


def slowly(*seconds: float) -> Iterator[float]:
    for one in seconds:
        time.sleep(one)
        yield one


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.1)
    monkeypatch.setattr(progress, "AGAIN", 0.2)


@pytest.mark.usefixtures("_hasty")
def test_what_takes_its_time_is_named_and_again_and_what_does_not_is_not() -> None:
    """From another thread, with the seconds that have gone by."""
    told: list[tuple[str, float]] = []
    assert list(patient(slowly(0, 0.45, 0), ["one", "two", "three"], lambda what, seconds: told.append((what, seconds)))) == [0, 0.45, 0]
    assert {what for what, _ in told} == {"two"}
    assert len(told) >= 2
    assert 0.1 <= told[0][1] < told[1][1]


@pytest.mark.usefixtures("_hasty")
def test_nothing_is_said_when_it_is_over() -> None:
    """An error ends it too."""
    told: list[str] = []

    def breaking() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(patient(breaking(), ["one", "two"], lambda what, _seconds: told.append(what)))
    time.sleep(0.3)
    assert told == []


def test_it_gives_as_many_as_there_are() -> None:
    """Whoever counts them sees a missing or a superfluous one, and what comes after the last is run to its end."""
    ended = []

    def three() -> Iterator[int]:
        yield from (1, 2, 3)
        ended.append(True)

    assert list(patient(three(), ["one", "two", "three"], lambda *_: None)) == [1, 2, 3]
    assert ended == [True]
    assert list(patient(iter([1]), ["one", "two"], lambda *_: None)) == [1]


def test_subjects_are_named_in_words() -> None:
    """With the place, where there is one."""
    assert named("flow", "") == "the model's dtype flow"
    assert named("replay", "cuda:0") == "the model's operators on cuda:0"
    assert named("host", "") == "host"
