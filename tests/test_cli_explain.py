"""`ivdoctor explain`, run as a user runs it."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from ivdoctor.schema import schema

TRACEBACK = """\
Traceback (most recent call last):
  File "train.py", line 12, in step
    y = model(x)
RuntimeError: Input type (c10::BFloat16) and bias type (c10::Half) should be the same
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "train.log"
    path.write_text(TRACEBACK + "GPU 0: Tesla T4\n", encoding="utf-8")
    return path


def piped(text: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """With the text on stdin."""
    return subprocess.run([sys.executable, "-m", "ivdoctor", "explain", *arguments], input=text, capture_output=True, check=False, timeout=120)


def test_a_file(doctor: Any, log: Path) -> None:
    """Exit code 0, the answer on the last line, nothing on stderr."""
    run = doctor("explain", str(log))

    assert (run.code, run.err) == (0, "")
    assert run.out.splitlines()[-1].startswith("EXPLAINED: IVD450 ")
    assert "\x1b" not in run.out


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_stdin(log: Path, arguments: tuple[str, ...], doctor: Any) -> None:
    """Without a FILE, or with `-`: the same report."""
    run = piped(log.read_bytes(), *arguments)

    assert (run.returncode, run.stderr) == (0, b"")
    assert run.stdout.decode() == doctor("explain", str(log)).out


@pytest.mark.parametrize(
    "text",
    [b"", b"\n", b"all is well\n", b"\x00\xff\xfe\x80" * 5000, Random(1).randbytes(100_000)],
    ids=["empty", "a line end", "clean", "binary", "random"],
)
def test_nothing_to_explain(text: bytes) -> None:
    """Exit code 3, and one line that says so."""
    run = piped(text)

    assert (run.returncode, run.stderr) == (3, b"")
    assert run.stdout.decode().splitlines()[-1].startswith("NO FAILURE FOUND: ")


def test_an_exception_nobody_knows() -> None:
    """Is not explained: exit code 3."""
    run = piped(b'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\nmy.WeirdError: nothing\n')

    assert run.returncode == 3
    assert b"WeirdError" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.log",), "nowhere.log: No such file"),
        ((".",), ".: Is a directory"),
        (("train.log", "--target", "Z100"), "there is no accelerator 'Z100'; the nearest: "),
        (("train.log", "--target", ""), "there is no accelerator ''"),
        (("train.log", "--target", "Arc Pro"), "--target: "),
        (("train.log", "--target", "T4", "--target", "nonsuch"), "nonsuch"),
        (("train.log", "--here", "--target", "T4"), "--here and --target exclude each other"),
        (("train.log", "--format", "pdf"), "pdf"),
        (("train.log", "-o", "nowhere/report.md"), "nowhere"),
        (("train.log", "-o", "train.log"), ""),
    ],
    ids=[
        "missing",
        "a directory",
        "no such target",
        "an empty target",
        "half a target",
        "one of two targets",
        "both",
        "format",
        "output",
        "over its input",
    ],
)
def test_wrong_usage_is_one_clear_line(doctor: Any, log: Path, arguments: tuple[str, ...], said: str) -> None:
    """Exit code 2, no traceback, nothing on stdout, and the input stays what it was."""
    before = log.read_bytes()

    run = doctor("explain", *arguments)

    assert (run.code, run.out) == (2, "")
    assert "Traceback" not in run.err
    (line,) = [line for line in run.err.splitlines() if line.startswith("Error: ")]
    assert said in line
    assert log.read_bytes() == before


def test_a_target_that_may_be_several_names_them(doctor: Any, log: Path) -> None:
    """A Turing and an Ada of one number have different formats: taking either would be a guess."""
    run = doctor("explain", str(log), "--target", "RTX 6000")

    assert (run.code, run.out) == (2, "")
    assert "Quadro RTX 6000, RTX 6000 Ada Generation" in run.err


def test_targets(doctor: Any, log: Path) -> None:
    """Each is judged, and what the text names is not."""
    report = json.loads(doctor("explain", str(log), "--target", "A100-SXM4-80GB", "--target", "sm_70", "--format", "json").out)

    assert [one["title"] for one in report["places"]] == ["A100 SXM4 80GB", "sm_70"]


@pytest.mark.parametrize(
    ("name", "begins"),
    [("r.json", "{"), ("r.md", "## ivdoctor: EXPLAINED"), ("r.html", "<!doctype html>"), ("r.xml", "<?xml"), ("r.txt", "ivdoctor ")],
)
def test_into_a_file(doctor: Any, log: Path, tmp_path: Path, name: str, begins: str) -> None:
    """The suffix names the format."""
    run = doctor("explain", str(log), "-o", name)

    assert (run.code, run.out, run.err) == (0, "", "")
    assert (tmp_path / name).read_text(encoding="utf-8").lower().startswith(begins.lower())


def test_every_format_at_once(doctor: Any, log: Path, tmp_path: Path) -> None:
    """One report, one exit code; JSON keeps to the schema that is published."""
    formats = ["terminal", "markdown", "html", "json", "junit", "github"]

    run = doctor("explain", str(log), *(part for one in formats for part in ("--format", one)), "-o", "out/")

    assert (run.code, run.err) == (0, "")
    written = list((tmp_path / "out").iterdir())
    assert len(written) == len(formats)
    assert all("IVD450" in one.read_text(encoding="utf-8") for one in written)
    raw = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema()).validate(raw)
    assert raw["exit_code"] == 0


def test_the_github_summary_is_appended(doctor: Any, log: Path, tmp_path: Path) -> None:
    """As `check` does."""
    run = doctor("explain", str(log), "--format", "github", GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))

    assert run.code == 0
    assert run.out.startswith("::error ")
    assert (tmp_path / "summary.md").read_text(encoding="utf-8").startswith("## ivdoctor: EXPLAINED")


def test_neither_homes_nor_tokens_leave(doctor: Any, tmp_path: Path) -> None:
    """Those in the text are another's, and go too."""
    text = TRACEBACK.replace("train.py", "/home/geheim/train.py").replace("model(x)", 'model(x, token="hf_abcdefghijklmnop")')
    (tmp_path / "train.log").write_text(text, encoding="utf-8")

    run = doctor("explain", "train.log", "--format", "json")

    assert run.code == 0
    assert "~/train.py" in run.out
    assert "geheim" not in run.out
    assert "hf_" not in run.out


@pytest.mark.parametrize("form", ["terminal", "markdown", "html", "json", "junit", "github"])
def test_nothing_heavy_is_imported(log: Path, form: str) -> None:
    """Neither torch nor what it brings, in any format."""
    program = (
        f"import sys; sys.argv = ['ivdoctor', 'explain', {str(log)!r}, '--target', 'T4', '--format', {form!r}]\n"
        "from ivdoctor.cli import main\n"
        "try: main()\n"
        "finally: print([name for name in ('torch', 'numpy', 'transformers', 'pynvml') if name in sys.modules], file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8", check=False)

    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_torch_is_not_needed(doctor: Any, log: Path, tmp_path: Path) -> None:
    """Also where importing it would end the process."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "torch.py").write_text("raise SystemExit('torch was imported')")

    assert doctor("explain", str(log), PYTHONPATH=str(tmp_path / "site")).code == 0


def test_here(doctor: Any, log: Path) -> None:
    """This machine chooses, and not the T4 of the text."""
    if find_spec("torch") is None:
        pytest.skip("--here looks at this machine's torch, and there is none")

    run = doctor("explain", str(log), "--here", "--format", "json")

    report = json.loads(run.out)
    assert run.code == 0
    assert report["subjects"]["host"]["status"] == "ok"
    assert report["subjects"]["torch"]["status"] == "ok"
    assert {one["name"] for one in report["places"]} == {one["place"] for one in report["findings"]}


def test_help_says_what_the_exit_codes_mean(doctor: Any) -> None:
    """Beside the command's own words."""
    run = doctor("explain", "--help")

    assert run.code == 0
    assert "3 where none was" in " ".join(run.out.split())
