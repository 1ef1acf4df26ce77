"""Rooms, stand-ins and a small NVML for the tests of probes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.probe import Probe
from ivdoctor.rooms import Answer, Job, Rooms

HERE = Path(__file__).parent
DOCTOR = [sys.executable, "-m", "ivdoctor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What `ivdoctor check --format json` left behind."""

    code: int
    report: dict[str, Any]
    stderr: str


@pytest.fixture
def look() -> Callable[..., Answer]:
    """One probe in a real room of its own."""

    def visit(probe: Probe, *, loading: float = 60, timeout: float | None = None, **given: object) -> Answer:
        asked = replace(probe, timeout=timeout) if timeout else probe
        with Rooms(loading=loading) as rooms:
            (answer,) = rooms.visit(probe.room, [Job(probe=asked, given=given)])
        return answer

    return visit


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., Checked]:
    """The whole program as its user starts it, with more in the environment."""

    def run(**environment: str) -> Checked:
        done = subprocess.run(
            [*DOCTOR, "check", "--format", "json"],
            env=os.environ | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Checked(code=done.returncode, report=json.loads(done.stdout), stderr=done.stderr)

    return run


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Puts a module of this source before any installed one of its name, for every process started from here; gives the folder."""

    def put(name: str, source: str) -> str:
        folder = tmp_path / "stand-ins"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")])))
        return str(folder)

    return put


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Builds the small libnvidia-ml.so.1, once for each set of compiler flags; gives its folder."""
    compiler = shutil.which("cc")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("no C compiler `cc`, or not Linux: the small NVML cannot be built")
    built: dict[tuple[str, ...], Path] = {}

    def build(*flags: str) -> Path:
        if flags not in built:
            folder = tmp_path_factory.mktemp("nvml")
            source, target = HERE / "nvml" / "fake_nvml.c", folder / "libnvidia-ml.so.1"
            subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", *flags, "-o", target, source], check=True)
            built[flags] = folder
        return built[flags]

    return build


@pytest.fixture
def nvml(nvml_library: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """An NVIDIA driver for every process started from here: devices, and settings of `fake_nvml.c` without their prefix."""

    def install(*devices: str, flags: tuple[str, ...] = (), **settings: str) -> None:
        monkeypatch.setenv("LD_LIBRARY_PATH", str(nvml_library(*flags)))
        monkeypatch.setenv("FAKE_NVML_DEVICES", ";".join(devices))
        for name, value in settings.items():
            monkeypatch.setenv(f"FAKE_NVML_{name}", value)

    return install
