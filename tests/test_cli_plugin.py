"""The example plugin of tests/plugin, through the command line."""

import json
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
