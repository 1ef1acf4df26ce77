"""Every format's whole output for the reports made by hand."""

from importlib.metadata import entry_points

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from ivdoctor.formats import Format
from ivdoctor.report import Report


def test_renders_the_whole_file(by_hand: Report, form: Format, snapshot: SnapshotAssertion) -> None:
    """A report made by hand gives the file that was read and approved."""

    class WholeFile(SingleFileSnapshotExtension):
        _write_mode = WriteMode.TEXT
        file_extension = form.suffix.lstrip(".")

    assert form.render(by_hand) == snapshot(extension_class=WholeFile)


def test_is_stable_to_the_byte(report: Report, form: Format) -> None:
    """The same report rendered twice is the same text, and ends with one line break."""
    text = form.render(report)
    assert form.render(report) == text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_reads_no_environment(by_hand: Report, form: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the clock's zone nor colours, columns or the locale change a format."""
    text = form.render(by_hand)
    for name, value in {"TZ": "Asia/Tokyo", "NO_COLOR": "1", "COLUMNS": "20", "LC_ALL": "C", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert form.render(by_hand) == text


def test_comes_in_by_entry_point(form: Format) -> None:
    """Each format is registered under its own name, as a plugin's would be."""
    (point,) = entry_points(group="ivdoctor.formats", name=form.name)
    assert point.load() is form
