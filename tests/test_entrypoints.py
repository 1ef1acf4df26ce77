"""The quick way finds what the standard library finds."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.entrypoints import GROUP, _standard, parse, points


def test_agrees_with_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """On this environment, with the example plugin beside it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "plugin"))

    quick = {(one.group, one.name, one.value) for one in points()}

    assert quick == {(one.group, one.name, one.value) for one in _standard()}
    assert ("ivdoctor.rules", "acme", "ivdoctor_example:rack_is_cold") in quick


def test_own_entry_points_not_found_asks_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finder that is no folder may know them: nothing is lost by looking there."""
    monkeypatch.setattr(sys, "path", [])

    assert points() == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[ivdoctor.rules]\na = b:c\n", [("a", "b:c")]),
        ("[ivdoctor.rules]\n a=b.c [extra]  # why\n\n[console_scripts]\nx = y:z", [("a", "b.c")]),
        ("[other]\na = b:c\n", []),
        ("a = b:c\n", []),
        ("[ivdoctor.rules\na = b:c\n", []),
        ("", []),
    ],
)
def test_parse(text: str, found: list[tuple[str, str]]) -> None:
    """Comments, extras and other groups do not disturb."""
    assert found == [(one.name, one.value) for one in parse(text)]


@given(text=st.text())
def test_any_text_is_parsed(text: str) -> None:
    """A foreign file breaks nothing."""
    assert all(one.group.startswith(GROUP) for one in parse(text))
