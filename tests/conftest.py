"""Shared by all tests."""

import contextlib
import ctypes
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).parent

settings.register_profile("ivdoctor", deadline=None, derandomize="CI" in os.environ)  # a busy machine is no fault; CI repeats itself
settings.load_profile("ivdoctor")


@pytest.fixture
def _no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output as a pipe gets it."""
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def trim() -> Callable[[], None]:
    """Gives the heap that was left free back to the system: what is taken out of it would not be seen as taken."""

    def give_back() -> None:
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # glibc's alone
            ctypes.CDLL(None).malloc_trim(0)

    return give_back


@pytest.fixture
def _trimmed(trim: Callable[[], None]) -> None:
    """Begin with a heap that earlier tests left nothing free in."""
    trim()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module `faulty_probes` importable here and in every child."""
    folder = str(HERE / "rooms" / "faults")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH", "")])))
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished command."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """Runs `ivdoctor` as a user does, in a folder of its own."""

    folder: Path

    def __call__(self, *arguments: str, timeout: float = 120, **environment: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "ivdoctor", *arguments],
            cwd=self.folder,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
        return Run(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(folder=tmp_path)


@pytest.fixture(scope="session")
def host_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This machine, collected once."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("host")
    done = Doctor(folder=folder)("collect", "-o", "host.json")
    assert done.code == 0, done.err
    return folder / "host.json"


@pytest.fixture
def example_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin of tests/plugin, installed for child processes."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(HERE / "plugin"), os.environ.get("PYTHONPATH", "")])))
