"""Whole machines from their snapshots: verdict, exit code and findings beside each, and what holds for all of them."""

import json
import random
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ivdoctor import codec
from ivdoctor.checkup import judged
from ivdoctor.facts import HALVES, Asked
from ivdoctor.outcome import Outcome
from ivdoctor.plugins import plugins
from ivdoctor.redact import Redactor
from ivdoctor.report import Report
from ivdoctor.snapshot import Snapshot, load

FOLDER = Path(__file__).parent / "machines"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json") if ".expected" not in path.name)

QUESTIONS = [
    Asked(dtype=dtype, input_dtype=given)  # type: ignore[arg-type]  # the product of the words it takes
    for dtype in ("auto", *HALVES)
    for given in (None, *HALVES)
]


def snapshot_of(name: str) -> Snapshot:
    """As `check --snapshot` reads it."""
    return load((FOLDER / f"{name}.json").read_bytes(), plugins().facts())


def report_of(outcomes: tuple[Outcome, ...], asked: Asked | None = None) -> Report:
    """Judged by every rule that is installed with ivdoctor."""
    return judged(outcomes, asked or Asked(), registered=plugins())


def brief(report: Report) -> dict[str, Any]:
    """What stands in a machine's `.expected.json`."""
    return {
        "exit_code": int(report.exit_code),
        "verdict": report.verdict.value,
        "places": {place.name: place.verdict.value for place in report.places},
        "findings": [" ".join(filter(None, (one.severity.value, one.code, one.place))) for one in report.findings],
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_gets_the_verdict_and_the_findings_beside_it(name: str) -> None:
    """Exit code, verdict, the verdict of each place, and every finding with its severity and place."""
    expected = json.loads((FOLDER / f"{name}.expected.json").read_bytes())
    report = report_of(snapshot_of(name).outcomes)
    assert brief(report) == expected
    assert report.rules.errors == ()


def test_every_machine_has_its_expectations_and_no_expectation_stands_alone() -> None:
    """A snapshot without them would test nothing."""
    assert sorted(path.name.removesuffix(".expected.json") for path in FOLDER.glob("*.expected.json")) == NAMES
    assert len(NAMES) > 10


@pytest.mark.parametrize("name", NAMES)
def test_every_snapshot_says_where_it_is_from(name: str) -> None:
    """Recorded on a real machine, or made by hand and from what."""
    origin = snapshot_of(name).origin
    assert re.match(r"recorded\b|made by hand from cpu\.json and the tables: .{10}", origin)


def test_the_hand_made_snapshots_are_what_their_script_makes() -> None:
    """Run `python tests/machines/make.py` when facts have changed."""
    made = runpy.run_path(str(FOLDER / "make.py"))["snapshots"]()
    recorded = {name for name in NAMES if snapshot_of(name).origin.startswith("recorded")}
    assert set(made) == set(NAMES) - recorded
    assert [name for name, text in made.items() if text != (FOLDER / f"{name}.json").read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_snapshot_holds_nothing_that_shows_itself_as_personal(name: str) -> None:
    """Scrubbing it changes nothing, and it holds no path of this machine."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    outcomes = [codec.build(one, Outcome) for one in codec.load(text)["outcomes"]]
    assert [Redactor().outcome(one) for one in outcomes] == outcomes
    assert not re.search(r'"/|[A-Z]:\\\\|\\\\\\\\', text)


@pytest.mark.parametrize("name", NAMES)
def test_a_snapshot_survives_being_read_and_written(name: str) -> None:
    """Nothing is lost, and nothing added, on the way through the facts."""
    snapshot = snapshot_of(name)
    assert load(snapshot.dump(), plugins().facts()) == snapshot


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_outcomes_does_not_change_the_report(name: str) -> None:
    """Not one byte of the JSON."""
    outcomes = list(snapshot_of(name).outcomes)
    straight = plugins().format("json").render(report_of(tuple(outcomes)))
    shuffling = random.Random(243)
    for _ in range(5):
        shuffling.shuffle(outcomes)
        assert plugins().format("json").render(report_of(tuple(outcomes))) == straight


@pytest.mark.parametrize("name", NAMES)
def test_the_report_says_its_verdict_in_every_format(name: str) -> None:
    """At the terminal in the last line; in JSON as a field, and the findings in the same order."""
    report = report_of(snapshot_of(name).outcomes)
    *_, last = plugins().format("terminal").render(report).splitlines()
    word = {"ready": "READY", "not-ready": "NOT READY", "undetermined": "UNDETERMINED"}[report.verdict.value]
    assert re.sub(r"\x1b\[\d*m", "", last).startswith(f"{word}: ")
    machine = json.loads(plugins().format("json").render(report))
    assert (machine["verdict"], machine["exit_code"]) == (report.verdict.value, int(report.exit_code))
    assert [one["code"] for one in machine["findings"]] == [one.code for one in report.findings]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_never_passed(name: str) -> None:
    """A rule whose fact is not there is skipped with a reason, at every place; counts and lists agree."""
    report = report_of(snapshot_of(name).outcomes)
    assert all(one.reason for one in report.rules.skipped)
    assert report.rules.passed == len(report.rules.silent)
    passed = {(one.code, one.place) for one in report.rules.silent}
    assert not passed & {(one.code, one.place) for one in report.rules.skipped}
    assert not passed & {(one.code, one.place) for one in report.findings}


def test_equal_devices_are_one_place() -> None:
    """Two RTX 4090 are judged once and counted twice."""
    (place,) = [place for place in report_of(snapshot_of("rtx4090x2").outcomes).places if place.kind != "cpu"]
    assert (place.name, place.count) == ("cuda:0", 2)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("cpu-wheel-beside-gpu", "IVD101", "torch 2.13.0+cpu is built without CUDA, so Tesla T4 cannot be used"),
        ("driver-older-than-wheel", "IVD102", "built for CUDA 13.0; the driver 550.54.15 runs up to CUDA 12.4"),
        ("wheel-without-sm120", "IVD103", "no code for NVIDIA GeForce RTX 5090 (sm_120)"),
        ("wheel-without-sm61", "IVD103", "no code for Tesla P40 (sm_61)"),
        ("gpus-hidden", "IVD105", "CUDA_VISIBLE_DEVICES hides all 1 device(s)"),
        ("torch-crashed", "", "torch crashed: the process was killed by SIGSEGV"),
        ("no-torch", "", "torch absent: torch is not installed"),
    ],
)
def test_a_sick_machine_is_told_what_is_wrong_with_it(name: str, code: str, words: str) -> None:
    """In a finding that is no cast, or in the reason for not knowing."""
    report = report_of(snapshot_of(name).outcomes)
    if not code:
        assert report.reason.startswith(words)
        return
    (found,) = [one for one in report.findings if one.code == code]
    assert words in found.message
    assert found.fixes
    assert not any(fix.code for fix in found.fixes)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("h100", None),
        ("t4", None),
        ("cpu", "model = model.float()\npixel_values = pixel_values.float()"),
    ],
)
def test_the_founding_failure_is_shown_where_it_was_run(name: str, code: str | None) -> None:
    """fp32 on a CPU without half precision; nothing is claimed of a GPU that was written by hand."""
    found = [one for one in report_of(snapshot_of(name).outcomes).findings if one.code == "IVD401" and one.severity.value == "note"]
    shown = [one.fixes[0] for one in found if one.place == ("cuda:0" if code is None else "cpu")]
    assert [fix.code for fix in shown] == ([code] if code else [])
    assert all(fix.trial.status == "passed" for fix in shown)


@pytest.mark.parametrize("name", NAMES)
def test_naming_dtypes_never_breaks_a_rule_or_makes_a_machine_better(name: str) -> None:
    """Every cell of the 3x3 and every half-named one: the exit code is one of the documented ones, and no less than unasked."""
    outcomes = snapshot_of(name).outcomes
    order = ["ready", "undetermined", "not-ready"]
    unasked = report_of(outcomes)
    for asked in QUESTIONS:
        report = report_of(outcomes, asked)
        assert report.rules.errors == ()
        if unasked.verdict.value != "not-ready":
            assert order.index(report.verdict.value) >= order.index(unasked.verdict.value)


def test_judging_imports_no_torch() -> None:
    """A snapshot is judged on a machine without torch, by a process that never tries."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ivdoctor.checkup import judged\n"
        "from ivdoctor.facts import Asked\n"
        "from ivdoctor.plugins import plugins\n"
        "from ivdoctor.snapshot import load\n"
        "outcomes = load(Path(sys.argv[1]).read_bytes(), plugins().facts()).outcomes\n"
        "report = judged(outcomes, Asked(), registered=plugins())\n"
        "plugins().format('terminal').render(report), plugins().format('json').render(report)\n"
        "print(report.verdict.value, sorted({'torch', 'numpy', 'transformers', 'pynvml'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(FOLDER / "t4.json")], capture_output=True, text=True, check=True)
    assert done.stdout == "ready []\n"
    assert done.stderr == ""
