"""The example plugin of tests/plugin, and one whose table is broken, through the command line."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.usefixtures("example_plugin")
class TestPlugin:
    """The example plugin of tests/plugin."""

    def test_probe_rule_and_format_take_part(self, doctor: Any) -> None:
        """Its fact reaches its rule, its finding reaches its format."""
        pytest.importorskip("torch")

        run = doctor("check", "--format", "codes", EXAMPLE_RACK="cold")

        assert run.code == 0
        assert "ACME001" in run.out.split()

    def test_a_probe_that_breaks_is_undetermined(self, doctor: Any) -> None:
        """Everything else is whole, the report names the probe, and nothing personal in its error leaves."""
        pytest.importorskip("torch")

        run = doctor("check", "--format", "json", EXAMPLE_FAULT="raise")
        report = json.loads(run.out)

        assert (run.code, report["verdict"]) == (3, "undetermined")
        assert report["subjects"]["rack"] == {"status": "failed", "reason": "RuntimeError: the rack is on fire at ~/rack", "fact": {}}
        assert report["subjects"]["torch"]["status"] == "ok"

    def test_a_probe_that_crashes_is_undetermined(self, doctor: Any) -> None:
        """A real SIGSEGV in a real room: named in the report, and the rest is whole."""
        pytest.importorskip("torch")

        run = doctor("check", "--format", "json", EXAMPLE_FAULT="segfault")
        report = json.loads(run.out)

        assert (run.code, report["subjects"]["rack"]["status"]) == (3, "crashed")
        assert "SIGSEGV" in report["reason"]
        assert report["subjects"]["mismatch"][0]["status"] == "ok"

    def test_a_rule_that_breaks_is_undetermined(self, doctor: Any) -> None:
        """A plugin's rule: 3, not 4, and the others still speak."""
        pytest.importorskip("torch")

        run = doctor("check", "--format", "json", EXAMPLE_RACK="broken-rule")
        report = json.loads(run.out)

        assert run.code == 3
        assert [one["code"] for one in report["rules"]["errors"]] == ["ACME001"]
        assert any(one["code"] == "IVD401" for one in report["findings"])

    def test_a_format_that_breaks_takes_no_other_with_it(self, doctor: Any, host_json: Path) -> None:
        """The other file is written, and ready is not said of a run that was not whole."""
        arguments = ("--snapshot", str(host_json), "--format", "codes", "--format", "json", "-o", "out/")

        run = doctor("check", *arguments, EXAMPLE_FAULT="format")

        assert run.code == 3
        assert run.err == "the format codes broke: ValueError: this format is broken\n"
        assert [path.name for path in (doctor.folder / "out").iterdir()] == ["report.json"]

    def test_its_subject_is_kept_where_it_is_not_installed(self, doctor: Any, host_json: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A snapshot with a foreign subject is judged, and says what it could not read."""
        raw = json.loads(host_json.read_text())
        raw["outcomes"].append({"subject": "rack", "status": "ok", "fact": {"name": "cold"}})
        (doctor.folder / "with-rack.json").write_text(json.dumps(raw))
        monkeypatch.delenv("PYTHONPATH")

        report = json.loads(doctor("check", "--snapshot", "with-rack.json", "--format", "json").out)

        assert report["subjects"]["rack"]["status"] == "absent"


TABLED = """
import csv, os
from ivdoctor.facts import Place
from ivdoctor.finding import Problem, Severity
from ivdoctor.rule import rule

@rule("ACME050", severity=Severity.NOTE)
def racks(place: Place):
    \"\"\"
    What stands in our own table.

    ## Fix
    None.
    \"\"\"
    with open(os.path.join(os.path.dirname(__file__), "racks.csv"), encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, strict=True):
            if row["product"] == place.title and int(row["watts"]) > 60:
                yield Problem(message=f"{place.title} takes {row['watts']} W")
"""

TABLES = {
    "torn": (b'product,watts\n"Tesla T4,70\n', "Error: unexpected end of data"),
    "of other columns": (b"title,power\nTesla T4,70\n", "KeyError: 'product'"),
    "with a word for a number": (b"product,watts\nTesla T4,many\n", "ValueError: invalid literal for int() with base 10: 'many'"),
    "with a row that ends early": (b"product,watts\nTesla T4\n", "TypeError: "),
    "binary": (b"\x00\xff\xfe\x00\n", "UnicodeDecodeError: "),
    "not there": (None, "FileNotFoundError: "),
}


@pytest.fixture
def tabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes | None], None]:
    """A plugin that is installed for child processes, whose rule reads this table."""
    plugin = tmp_path / "plugin"
    (plugin / "acme_tables-1.0.dist-info").mkdir(parents=True)
    (plugin / "acme_tables-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tables\nVersion: 1.0\n")
    (plugin / "acme_tables-1.0.dist-info" / "entry_points.txt").write_text("[ivdoctor.rules]\ntables = acme_tables:racks\n")
    (plugin / "acme_tables.py").write_text(TABLED)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(plugin), os.environ.get("PYTHONPATH", "")])))

    def install(table: bytes | None) -> None:
        if table is not None:
            (plugin / "racks.csv").write_bytes(table)

    return install


def test_a_plugins_table_is_read_where_it_is_whole(doctor: Any, tabled: Callable[[bytes | None], None]) -> None:
    """The rule speaks of the target that its row is about."""
    tabled(b"product,watts\nTesla T4,70\n")

    run = doctor("check", "--target", "T4", "--target", "L4", "--dtype", "fp16", "--format", "json")

    assert run.code == 0
    assert [(one["message"], one["place"]) for one in json.loads(run.out)["findings"] if one["code"] == "ACME050"] == [
        ("Tesla T4 takes 70 W", "Tesla T4")
    ]


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_read_is_undetermined_and_nothing_else_is_lost(doctor: Any, tabled: Callable[[bytes | None], None], case: str) -> None:
    """One line names the rule and what is wrong with its table; the other rules' findings are there; 3, and not 4."""
    table, error = TABLES[case]
    tabled(table)
    formats = ("--format", "json", "--format", "terminal", "-o", "out/")

    run = doctor("check", "--target", "T4", "--dtype", "fp16", *formats)
    report = json.loads((doctor.folder / "out" / "report.json").read_text())
    told = (doctor.folder / "out" / "report.txt").read_text()

    assert (run.code, run.out, run.err, report["verdict"]) == (3, "", "", "undetermined")
    (broken,) = report["rules"]["errors"]
    assert (broken["code"], broken["place"], broken["builtin"]) == ("ACME050", "Tesla T4", False)
    assert broken["error"].startswith(error)
    assert {"IVD201", "IVD502"} <= {one["code"] for one in report["findings"]}
    assert len([line for line in told.splitlines() if "ACME050 broke: " in line and not line.startswith("UNDETERMINED")]) == 1
    assert "Traceback" not in told


def test_a_table_that_cannot_be_read_does_not_hide_a_no(doctor: Any, tabled: Callable[[bytes | None], None]) -> None:
    """bf16 on a T4 is a no, whatever a plugin's table holds."""
    tabled(None)

    run = doctor("check", "--target", "T4", "--dtype", "bf16")

    assert run.code == 1
    assert run.out.splitlines()[-1].startswith("NOT READY: by the tables alone: IVD201")
