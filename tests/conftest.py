"""Shared by all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def _no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output as a pipe gets it."""
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module `faulty_probes` importable here and in every child."""
    folder = str(HERE / "rooms" / "faults")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH", "")])))
    return iter(())
