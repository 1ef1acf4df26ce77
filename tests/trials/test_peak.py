"""Time and memory of a call, on the CPU."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

torch = pytest.importorskip("torch")

from ivdoctor.trials.peak import LEAST, MOST, Cost, measured  # noqa: E402  # torch first

MIB = 2**20


def costs(mib: int) -> Cost:
    """Of a function that takes this much memory and gives it back."""
    return measured(lambda: torch.ones(mib * MIB // 4).sum(), "cpu")


@pytest.fixture(scope="module")
def _told() -> None:
    """Only Linux says how much memory a process has had at most, and only where the count can be set back."""
    if costs(1).extra_mib is None:
        pytest.skip("this system does not tell the peak of a process's memory")


def test_the_numbers_are_positive() -> None:
    """And the calls are as many as are counted."""
    calls: list[int] = []

    cost = measured(lambda: calls.append(1), "cpu")

    assert cost.seconds > 0
    assert cost.passes == len(calls) == MOST


def test_linux_tells() -> None:
    """The tests below are not skipped where people run this."""
    if not sys.platform.startswith("linux"):
        pytest.skip("VmHWM and clear_refs are Linux's")
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError as error:
        pytest.skip(f"this kernel does not let it be set back: {error}")
    assert costs(1).extra_mib is not None


@pytest.mark.usefixtures("_told")
def test_64_mib_are_seen(trim: Callable[[], None]) -> None:
    """Within a fifth; also the second time, when the process has had as much before, which a mark that only rises would hide."""
    for _ in range(2):
        trim()  # a hole in the heap that the first run filled would be filled by the second without taking anything
        extra = costs(64).extra_mib
        assert extra is not None
        assert 0.8 * 64 <= extra <= 1.2 * 64


@pytest.mark.usefixtures("_told")
def test_a_call_that_takes_nothing_takes_next_to_nothing() -> None:
    """After one that took much."""
    costs(64)

    extra = measured(lambda: None, "cpu").extra_mib

    assert extra is not None
    assert 0 <= extra < 8


@pytest.fixture
def child() -> Iterator[None]:
    """A process of ours that holds 100 MiB."""
    program = "import sys; held = b'x' * (100 * 2**20); print('ready', flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield
        process.kill()


@pytest.mark.usefixtures("_told", "child", "_trimmed")
def test_the_memory_of_children_is_not_taken_off() -> None:
    """The peak is this process's alone, and so must be what it is compared with."""
    extra = costs(64).extra_mib

    assert extra is not None
    assert 0.8 * 64 <= extra <= 1.2 * 64


def test_the_least_time_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of the test's: the first call is slow, the second quick, and there are no more than needed."""
    clock = iter([0.0, 5.0, 10.0, 10.5, 20.0, 22.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))

    cost = measured(lambda: None, "cpu")

    assert (cost.seconds, cost.passes) == (0.5, LEAST)


def test_a_long_call_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 25 seconds."""
    clock = iter([0.0, 25.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))

    assert measured(lambda: None, "cpu").passes == 1


def test_what_the_call_raises_comes_out() -> None:
    with pytest.raises(ZeroDivisionError):
        measured(lambda: 1 / 0, "cpu")
