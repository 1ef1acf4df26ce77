"""Free memory: the machine's, or the container's where that is less; and the bounds of a probe that has no limit of its own."""

import dataclasses
import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ivdoctor.probe import Probe, probe
from ivdoctor.probes.host import host
from ivdoctor.rooms import Job, Rooms, linux, memory
from ivdoctor.rooms.memory import free_mib
from ivdoctor.rooms.watch import Bounds

GIB = 2**30

watching = sys.modules[Bounds.__module__]  # its package has a function of that name

Group = Callable[..., None]


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Group:
    """A control group of these files, on a machine that has 8 GiB available."""
    monkeypatch.setattr(memory, "_available", lambda: 8.0 * GIB)

    def put(limit: str, used: str, listing: str = "") -> None:
        files = [tmp_path / name for name in ("limit", "used", "stat")]
        for file, text in zip(files, (limit, used, listing), strict=True):
            file.write_text(text)
        monkeypatch.setattr(memory, "GROUPS", ((*map(str, files), "inactive_file"),))

    return put


def test_the_machine_gives_something() -> None:
    """Between what a test needs and what no machine has."""
    assert 50 < free_mib() < 64 * 2**20


def test_it_is_what_the_kernel_says_is_available() -> None:
    """Within what the machine's other processes take and give back meanwhile."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        pytest.skip("/proc/meminfo is Linux's")
    fields = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in meminfo.read_text().splitlines()}

    assert memory._available() / 2**20 == pytest.approx(fields["MemAvailable"], abs=fields["MemTotal"] / 4)
    assert free_mib() <= fields["MemTotal"]


@pytest.mark.parametrize(
    ("limit", "used", "listing", "mib"),
    [
        (f"{4 * GIB}\n", f"{1 * GIB}\n", "", 3072),
        ("max\n", f"{1 * GIB}\n", "", 8192),
        ("9223372036854771712\n", f"{1 * GIB}\n", "", 8192),
        (f"{16 * GIB}\n", f"{1 * GIB}\n", "", 8192),
        (f"{4 * GIB}\n", f"{5 * GIB}\n", "", 0),
        (f"{4 * GIB}\n", "", "", 8192),
        ("", "", "", 8192),
        ("nonsense", "1", "", 8192),
        (f"{4 * GIB}\n", f"{4 * GIB}\n", f"anon 5\nactive_file 7\ninactive_file {3 * GIB}\ninactive_file_not 9\n", 3072),
        (f"{4 * GIB}\n", f"{4 * GIB}\n", "inactive_file\n", 0),
    ],
)
def test_a_container_may_have_less(limit: str, used: str, listing: str, mib: float, group: Group) -> None:
    """Limit less use, never less than nothing; files that were read give way, and `max` is no limit."""
    group(limit, used, listing)

    assert free_mib() == mib


def test_without_control_groups_the_machine_counts(group: Group, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No such files, or folders in their place."""
    group("", "")
    monkeypatch.setattr(memory, "GROUPS", ((str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "c"), "x"), (str(tmp_path),) * 3 + ("x",)))

    assert free_mib() == 8192


def test_a_machine_without_meminfo_asks_psutil() -> None:
    """As on Windows and macOS; both agree where both are there."""
    psutil = pytest.importorskip("psutil")

    assert memory._available() == pytest.approx(psutil.virtual_memory().available, rel=0.25)


def test_a_probes_own_limit_is_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is free is not even asked."""
    monkeypatch.setattr(watching, "free_mib", lambda: pytest.fail("it was asked"))

    assert Bounds(probe=dataclasses.replace(host, memory_mib=777), deadline=0).memory_mib == 777


def test_without_a_limit_it_is_what_is_free_less_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked once, when it begins: what the probe itself takes must not lower its bound."""
    answers = iter([1000.0])
    monkeypatch.setattr(watching, "free_mib", lambda: next(answers))

    bounds = Bounds(probe=dataclasses.replace(host, memory_mib=0), deadline=0)

    assert (bounds.memory_mib, bounds.memory_mib) == (900, 900)


@pytest.mark.parametrize("forked", [pytest.param(True, marks=pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks")), False])
def test_a_probe_without_a_limit_leaves_a_tenth_to_others(forked: bool, faults: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped there, its reason says so, and the probe after it has a bound of its own."""
    import faulty_probes  # type: ignore[import-not-found]  # on the path by the fixture

    monkeypatch.setattr(watching, "free_mib", lambda: 400.0)
    probes: list[Probe] = [faulty_probes.good, faulty_probes.eats_what_is_free, faulty_probes.good]
    with Rooms(forked=forked) as rooms:
        before, stopped, after = rooms.visit("plain", [Job(probe=one, given={}) for one in probes])

    assert (before.status, stopped.status, after.status) == ("ok", "crashed", "ok")
    assert stopped.reason == "stopped: it used more than 360 MiB of memory"


def test_what_a_probe_wants_is_kept() -> None:
    """And is nothing where it says nothing."""

    @probe(wants="model", memory_mib=0)
    def look() -> Bounds:
        raise NotImplementedError

    assert (look.wants, look.memory_mib, host.wants) == ("model", 0, "")


@pytest.mark.usefixtures("_trimmed")
@pytest.mark.skipif(not linux.HERE, reason="elsewhere psutil counts")
def test_mapped_files_are_not_held_and_what_was_written_is(tmp_path: Path) -> None:
    """A checkpoint that is mapped can be given back; a copy of it cannot."""
    size = 64 << 20
    (tmp_path / "weights").write_bytes(b"x" * size)
    before = linux.held_mib(os.getpid())
    with (tmp_path / "weights").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[at] for at in range(0, size, 4096)) > 0, "every page is touched"
        mapping = linux.held_mib(os.getpid()) - before
    copy = bytearray(b"y" * size)
    held = linux.held_mib(os.getpid()) - before

    assert mapping < 16
    assert held > 48
    assert linux.held_mib(2**22 + 1) == 0, "nobody has that number"
    del copy
