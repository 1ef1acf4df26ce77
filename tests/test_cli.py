"""The command line, run as a user runs it."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HEAVY = ["torch", "transformers", "numpy", "jinja2", "msgspec", "rich", "libcst", "importlib.metadata"]


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_the_start_path_is_light(argument: str) -> None:
    """Neither help nor version imports anything heavy."""
    program = (
        f"import sys; sys.argv = ['ivdoctor', {argument!r}]\n"
        "from ivdoctor.cli import main\n"
        "try: main()\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_help_names_the_exit_codes(doctor: Any) -> None:
    """The table is where one looks for it."""
    run = doctor("--help")

    assert run.code == 0
    assert "2 wrong usage" in run.out


def test_check_on_this_machine(doctor: Any) -> None:
    """A CPU machine with torch gets a verdict on the last line, and no colour in a pipe."""
    pytest.importorskip("torch")

    run = doctor("check")

    assert run.code in {0, 1}, run.out + run.err
    assert run.out.splitlines()[-1].startswith("READY: " if run.code == 0 else "NOT READY: ")
    assert "\x1b" not in run.out
    assert not [line for line in run.err.splitlines() if not re.fullmatch(r"looking at .+ \(\d+ s\) \.\.\.", line)]


def test_thorough_runs_every_class_of_operators_in_every_format(doctor: Any) -> None:
    """Each class and format has its cell with how it went; the table beside it is the one that every check shows, and longer."""
    pytest.importorskip("torch")

    run = doctor("check", "--thorough", "--format", "json")
    report = json.loads(run.out)
    (table,) = [one for one in report["grids"] if one["title"] == "Number formats"]
    rows = {row[0]["text"]: dict(zip(table["columns"][1:], row[1:], strict=True)) for row in table["rows"]}
    ran = {one["name"] for one in report["subjects"]["precision"][0]["fact"]["operations"]}

    assert run.code in {0, 1}, run.out + run.err
    assert next(iter(rows)) == "hardware"
    assert {"matmul", "linear", "conv2d", "layer_norm", "softmax", "fft", "rnn"} <= set(rows)
    assert {name.replace("attention_", "SDPA ") for name in ran} == set(rows) - {"hardware"}
    assert {rows["matmul"][dtype].get("mark") for dtype in ("fp64", "fp32", "bf16")} <= {"good", "poor"}
    assert rows["fft"]["bf16"]["brief"] == "refused", "no CPU has such a kernel"
    assert "The operations were really run. Slow: over twice" in table["caption"]


def test_a_snapshot_gives_the_same_report_without_torch(doctor: Any, host_json: Path, tmp_path: Path) -> None:
    """Judged twice it is equal to the byte, also where torch cannot be imported at all."""
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")

    first = doctor("check", "--snapshot", str(host_json), "--format", "json")
    second = doctor("check", "--snapshot", str(host_json), "--format", "json", PYTHONPATH=str(tmp_path))

    assert first == second
    assert json.loads(first.out)["subjects"]["torch"]["status"] == "ok"
    assert '"seconds"' not in first.out


def test_the_cell_that_was_named_is_judged(doctor: Any, host_json: Path) -> None:
    """Nothing named: a note; the model's dtype: a warning; both: an error, and exit code 1."""
    seen = {}
    for arguments in ((), ("--dtype", "fp16"), ("--dtype", "fp16", "--input-dtype", "bf16"), ("--dtype", "bf16", "--input-dtype", "bf16")):
        run = doctor("check", "--snapshot", str(host_json), "--format", "json", *arguments)
        report = json.loads(run.out)
        found = [one["severity"] for one in report["findings"] if one["code"] == "IVD401"]
        seen[arguments] = (run.code, found)

    assert list(seen.values()) == [(0, ["note"]), (0, ["warning"]), (1, ["error"]), (0, [])]


def test_fail_on(doctor: Any, host_json: Path) -> None:
    """A warning fails under --fail-on warning, and nothing fails under never."""
    named = ("check", "--snapshot", str(host_json), "--dtype", "fp16")

    assert doctor(*named, "--fail-on", "warning").code == 1
    assert doctor(*named, "--input-dtype", "bf16", "--fail-on", "never").code == 0


def test_several_formats_into_a_folder(doctor: Any, host_json: Path, tmp_path: Path) -> None:
    """One file a format, nothing on stdout, no temporary file."""
    run = doctor("check", "--snapshot", str(host_json), "--format", "json", "--format", "terminal", "-o", "out/")

    assert (run.code, run.out) == (0, "")
    assert {"report.json", "report.txt"} == {path.name for path in (tmp_path / "out").iterdir()}


def test_the_suffix_names_the_format(doctor: Any, host_json: Path, tmp_path: Path) -> None:
    """`-o report.json` needs no --format, and the file can be read by others as umask says."""
    run = doctor("check", "--snapshot", str(host_json), "-o", "report.json")

    assert (run.code, run.out) == (0, "")
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "ready"
    mask = os.umask(0)
    os.umask(mask)
    assert 0o666 & ~mask == stat.S_IMODE((tmp_path / "report.json").stat().st_mode)


BAD_OUTPUTS = {
    "a directory": ["--format", "json", "-o", "there/is"],
    "no such folder": ["-o", "nowhere/report.json"],
    "a read-only place": ["-o", "/proc/report.json"],
    "no format": ["-o", "report.xyz"],
    "two formats, one file": ["--format", "json", "--format", "terminal", "-o", "report.json"],
    "an unknown format": ["--format", "pdf"],
    "a bad repro path": ["--repro", "nowhere/repro.py"],
}


@pytest.mark.parametrize("case", BAD_OUTPUTS)
def test_bad_outputs_are_one_clear_line(doctor: Any, host_json: Path, tmp_path: Path, case: str) -> None:
    """Exit code 2, before any work is done, and nothing is left behind."""
    (tmp_path / "there" / "is").mkdir(parents=True)
    (tmp_path / "there" / "is" / "report.json").mkdir()

    run = doctor("check", "--snapshot", str(host_json), *BAD_OUTPUTS[case])

    assert run.code == 2
    assert "Traceback" not in run.err
    assert len([line for line in run.err.splitlines() if line.startswith("Error: ")]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_full_disk_leaves_the_old_report(doctor: Any, host_json: Path, tmp_path: Path) -> None:
    """A write that really fails, by the kernel's own limit on file sizes, keeps what was there."""
    (tmp_path / "report.json").write_text("old")
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        f"sys.argv = ['ivdoctor', 'check', '--snapshot', {str(host_json)!r}, '-o', 'report.json']\n"
        "from ivdoctor.cli import main; main()"
    )

    done = subprocess.run([sys.executable, "-B", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, (tmp_path / "report.json").read_text()) == (2, "old")
    assert "File too large" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_device_is_written_straight(doctor: Any, host_json: Path) -> None:
    """/dev/full is a disk without room: one clear line, and the device stays a device."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")

    run = doctor("check", "--snapshot", str(host_json), "--format", "json", "-o", "/dev/full")

    assert run.code == 2
    assert "No space left" in run.err
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_stdout_that_goes_away_is_no_failure(host_json: Path) -> None:
    """`ivdoctor check | head -1` ends quietly."""
    command = f"{sys.executable} -m ivdoctor check --format json --snapshot {host_json} | head -c 1"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("{", "")


@pytest.mark.parametrize("where", ["/dev/full", "closed"])
def test_a_stdout_that_cannot_be_written_is_one_clear_line(host_json: Path, where: str) -> None:
    """No traceback, and not ivdoctor's own failure."""
    target = ">&-" if where == "closed" else f"> {where}"
    command = f"{sys.executable} -m ivdoctor check --format json --snapshot {host_json} {target}"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("Error: stdout")
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_goes_away_does_not_change_the_answer(host_json: Path) -> None:
    """The exit code under `pipefail` is the report's."""
    check = f"{sys.executable} -m ivdoctor check --format json --snapshot {host_json} --dtype fp16 --input-dtype bf16"

    done = subprocess.run(["bash", "-c", f"set -o pipefail; {check} | head -c 1"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (1, "{", "")


def test_a_summary_that_cannot_be_written_does_not_change_the_answer(doctor: Any, host_json: Path) -> None:
    """The annotations stand, and stderr says why there is no summary."""
    named = ("--dtype", "fp16", "--input-dtype", "bf16")

    run = doctor("check", "--snapshot", str(host_json), "--format", "github", *named, GITHUB_STEP_SUMMARY="/nowhere/summary")

    assert run.code == 1
    assert "GITHUB_STEP_SUMMARY: /nowhere/summary: No such file" in run.err


@pytest.mark.parametrize("arguments", [("-o", "host.json"), ("-o", "r.md", "--repro", "r.md"), ("--repro", "host.json")])
def test_nothing_is_written_over_an_input_or_another_output(doctor: Any, host_json: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Refused before any work."""
    (tmp_path / "host.json").write_text(host_json.read_text())

    run = doctor("check", "--snapshot", "host.json", *arguments)

    assert (run.code, run.err) == (2, "Error: two of the files named are the same\n")
    assert (tmp_path / "host.json").read_text() == host_json.read_text()


SNAPSHOTS: dict[str, Callable[[str], str]] = {
    "torn": lambda text: text[: len(text) // 2],
    "empty": lambda _: "",
    "binary": lambda _: "\x00\xff\x00",
    "another json": lambda _: '{"hello": 1}',
    "a list": lambda _: "[]",
    "a later schema": lambda text: text.replace("ivdoctor.snapshot/1", "ivdoctor.snapshot/9"),
    "a wrong type": lambda text: re.sub(r'"cuda_available": \w+', '"cuda_available": "perhaps"', text),
    "deep": lambda _: "[" * 100_000,
    "a subject twice": lambda text: json.dumps(json.loads(text) | {"outcomes": json.loads(text)["outcomes"] * 2}),
    "a run nowhere": lambda text: text.replace('"place": "cpu"', '"place": ""'),
    "a fact missing": lambda text: json.dumps(json.loads(text) | {"outcomes": [{"subject": "torch", "status": "ok"}]}),
}


@pytest.mark.parametrize("case", SNAPSHOTS)
def test_a_bad_snapshot_is_one_clear_line(doctor: Any, host_json: Path, tmp_path: Path, case: str) -> None:
    """Torn, foreign or forged: exit code 2 and no traceback."""
    (tmp_path / "bad.json").write_text(SNAPSHOTS[case](host_json.read_text()))

    run = doctor("check", "--snapshot", "bad.json")

    assert run.code == 2
    assert "Traceback" not in run.err
    assert len([line for line in run.err.splitlines() if line.startswith("Error: bad.json: ")]) == 1


def test_a_missing_snapshot_is_one_clear_line(doctor: Any) -> None:
    """The path and the reason."""
    run = doctor("check", "--snapshot", "nowhere.json")

    assert run.code == 2
    assert "nowhere.json: No such file" in run.err


def test_rule_pages(doctor: Any) -> None:
    """By code or name; an unknown one names the nearest."""
    assert doctor("rule", "ivd401").out == doctor("rule", "patch-convolution-dtype-differs").out
    assert "## Fix" in doctor("rule", "IVD401").out
    wrong = doctor("rule", "IVD4O1")
    assert wrong.code == 2
    assert "IVD401" in wrong.err
    assert len(doctor("rules").out.splitlines()) >= 12


def test_repro_fails_the_same_way(doctor: Any, host_json: Path, tmp_path: Path) -> None:
    """The script is short, knows nothing of ivdoctor, and raises what the report says."""
    pytest.importorskip("torch")
    report = json.loads(doctor("check", "--snapshot", str(host_json), "--format", "json", "--repro", "repro.py").out)
    message = next(one["message"] for one in report["findings"] if one["code"] == "IVD401")
    text = (tmp_path / "repro.py").read_text()

    done = subprocess.run([sys.executable, "repro.py"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert len(text.splitlines()) <= 40
    assert "ivdoctor" not in text.lower()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].removeprefix("RuntimeError: ") in message


def test_ctrl_c_leaves_nothing(doctor: Any, example_plugin: None, tmp_path: Path) -> None:
    """Neither a child nor a temporary file, and the shell's own exit code for it."""
    mark = f"IVDOCTOR_TEST_MARK={os.getpid()}-{time.time_ns()}"
    name, _, value = mark.partition("=")
    environment = os.environ | {name: value, "EXAMPLE_FAULT": "hang", "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "ivdoctor", "check", "-o", "report.json"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 30
    while len(marked(mark)) < 3 and time.monotonic() < until:  # the doctor, its server, a room
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert (process.returncode, err.strip()) == (130, "interrupted")
    assert marked(mark) == []
    assert list(tmp_path.iterdir()) == []


def marked(mark: str) -> list[str]:
    """Processes with this in their environment."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in environ.read_bytes():
                found.append(environ.parent.name)
        except OSError:
            continue
    return found


def test_no_internet_socket_is_opened(doctor: Any, tmp_path: Path) -> None:
    """With AF_INET and AF_INET6 forbidden in every process, the check is whole."""
    pytest.importorskip("torch")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import sys\n"
        "def forbid(event, arguments):\n"
        "    if event == 'socket.__new__' and int(arguments[1]) in (2, 10):\n"
        "        import os; os.write(2, b'AF_INET opened'); os._exit(99)\n"
        "sys.addaudithook(forbid)\n"
    )
    probe = subprocess.run(
        [sys.executable, "-c", "import socket; socket.socket(socket.AF_INET)"],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        check=False,
        capture_output=True,
    )
    assert probe.returncode == 99, "the forbidding itself works"

    run = doctor("check", "--format", "json", PYTHONPATH=str(tmp_path / "site"))

    assert run.code in {0, 1}, run.out + run.err
    assert "AF_INET" not in run.out + run.err


def test_the_github_summary_is_appended(doctor: Any, host_json: Path, tmp_path: Path) -> None:
    """Annotations on stdout, the Markdown in the file GitHub names."""
    (tmp_path / "summary.md").write_text("before\n")

    run = doctor("check", "--snapshot", str(host_json), "--format", "github", GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))

    assert run.code == 0
    assert run.out.startswith("::")
    assert (tmp_path / "summary.md").read_text().startswith("before\n")
    assert len((tmp_path / "summary.md").read_text()) > 500
