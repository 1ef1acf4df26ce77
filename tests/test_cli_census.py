"""`ivdoctor census`, run as a user runs it."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.testing import a_safetensors_file

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16"}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two whole models and one of which a file is missing."""
    for name, dtype in (("one", "BF16"), ("two", "F16")):
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(LLAMA))
        (folder / "model.safetensors").write_bytes(a_safetensors_file({"x": (dtype, (4, 4) if dtype == "BF16" else (64, 64))}))
    (tmp_path / "models" / "three").mkdir()
    (tmp_path / "models" / "three" / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "models" / "three" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "gone.safetensors"}}))
    return tmp_path / "models"


def test_the_table(doctor: Any, models: Path) -> None:
    """A line a model, without the path to it; exit code 0, no talk and no colour."""
    run = doctor("census", str(models))

    assert (run.code, run.err) == (0, "")
    assert [line.split()[0] for line in run.out.splitlines()[4:7]] == ["one", "three", "two"]
    assert "three: missing: gone.safetensors" in run.out
    assert "two: config.json says bf16 and most weights are fp16" in run.out
    assert str(models.parent) not in run.out
    assert "\x1b" not in run.out


def test_every_format_tells_the_same(doctor: Any, models: Path) -> None:
    """Names, parameters and states agree."""
    told = json.loads(doctor("census", str(models), "--format", "json").out)["models"]
    sheet = list(csv.DictReader(io.StringIO(doctor("census", str(models), "--format", "csv").out)))
    table = doctor("census", str(models)).out
    markdown = doctor("census", str(models), "--format", "markdown").out

    assert [(one["name"], one["state"], str(one["parameters"] or "")) for one in told] == [
        (one["name"], one["state"], one["parameters"]) for one in sheet
    ]
    for line in (line for text in (table, markdown.replace("|", " ")) for line in text.splitlines() if line.split()[:1] == ["two"]):
        assert "4.1 K" in line
        assert "bf16 (cast from fp16)" in line


def test_the_order(doctor: Any, models: Path) -> None:
    """By size, the largest first."""
    told = json.loads(doctor("census", str(models), "--format", "json", "--sort", "size").out)

    assert [one["name"] for one in told["models"]] == ["two", "one", "three"]


def test_a_column_for_each_target(doctor: Any, models: Path) -> None:
    """In the order in which they were named; this machine's accelerators are not looked at, which is said where there is none."""
    run = doctor("census", str(models / "one"), "--target", "T4", "--target", "8xH200", "--engine", "vllm")
    bare = doctor("census", str(models / "one"))

    assert (run.code, run.err) == (0, "")
    assert run.out.splitlines()[2].split()[-2:] == ["T4", "8xH200"]
    assert "no accelerator" in bare.out
    assert "no accelerator" not in run.out


def test_the_cache_without_an_argument(doctor: Any, tmp_path: Path) -> None:
    """Gone through where its variables say."""
    snapshot = tmp_path / "hub" / "models--org--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(LLAMA))
    run = doctor("census", HF_HUB_CACHE=str(tmp_path / "hub"), MODELSCOPE_CACHE=str(tmp_path / "none"))

    assert run.code == 0
    assert run.out.splitlines()[4].startswith("org/name@abc  llama")


@pytest.mark.parametrize("format", ["table", "json"])
def test_nothing_there(doctor: Any, tmp_path: Path, format: str) -> None:
    """No failure, said on stderr, and JSON stays JSON."""
    run = doctor("census", str(tmp_path), "--format", format)

    assert (run.code, run.err) == (0, "there is no model\n")
    assert run.out.startswith("0 models") if format == "table" else json.loads(run.out)["models"] == []


def test_what_could_not_be_read(doctor: Any, models: Path) -> None:
    """Exit code 3, the row says why, and the others are there."""
    (models / "one" / "config.json").write_text("{")
    run = doctor("census", str(models))

    assert run.code == 3
    assert "one: config.json: no JSON" in run.out
    assert "\ntwo " in run.out


@pytest.mark.parametrize(("name", "begins"), [("out.json", "{"), ("out.csv", "name,revision"), ("out.md", "3 models"), ("out", "3 models")])
def test_a_file_by_its_suffix(doctor: Any, models: Path, tmp_path: Path, name: str, begins: str) -> None:
    """The suffix says the format; stdout stays empty."""
    run = doctor("census", str(models), "-o", name)

    assert (run.code, run.out, run.err) == (0, "", "")
    assert (tmp_path / name).read_text().startswith(begins)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere",), "nowhere: there is no file or folder of that name"),
        (("",), "FOLDER is empty: is a variable unset?"),
        ((".", "--target", "T5000"), "there is no accelerator 'T5000'"),
        ((".", "--engine", "vllm"), "--engine and --dtype are about a --target: name one"),
        ((".", "--dtype", "bf16"), "--engine and --dtype are about a --target: name one"),
        ((".", "--format", "html"), "'table', 'markdown', 'json', 'csv'"),
        ((".", "--sort", "date"), "'size', 'name'"),
        ((".", "-o", "no/such/folder/out.json"), "is not a directory"),
    ],
)
def test_wrong_usage(doctor: Any, arguments: tuple[str, ...], told: str) -> None:
    """Exit code 2 and one clear line, before anything is read; nothing on stdout."""
    run = doctor("census", *arguments)

    assert (run.code, run.out) == (2, "")
    assert told in run.err.splitlines()[-1]
    assert "Traceback" not in run.err


def test_nothing_heavy_is_imported(models: Path) -> None:
    """Neither torch nor what depends on it, with targets and without."""
    for more in ((), ("--target", "T4")):
        program = f"""
import sys
from ivdoctor.cli import main
sys.argv = ["ivdoctor", "census", {str(models)!r}, *{more!r}]
try:
    main()
finally:
    print(sorted({{"torch", "transformers", "numpy", "safetensors"}} & set(sys.modules)), file=sys.stderr)
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "[]\n")


@pytest.mark.skipif(os.name == "nt", reason="another way to interrupt")
def test_an_interrupted_census(tmp_path: Path) -> None:
    """Ends with one word and no traceback, and writes no half of a file."""
    for number in range(400):
        folder = tmp_path / "models" / str(number)
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(LLAMA))
    program = f"""
import os, signal, sys
from ivdoctor.cli import main
sys.argv = ["ivdoctor", "census", {str(tmp_path / "models")!r}, "--target", "T4", "-o", {str(tmp_path / "out.json")!r}]
signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
signal.setitimer(signal.ITIMER_REAL, 0.7)
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr.strip()) == (130, "interrupted")
    assert [one.name for one in tmp_path.iterdir()] == ["models"]


def test_what_census_lists_can_be_checked(doctor: Any, tmp_path: Path) -> None:
    """A repository in the cache by its name, as the table writes it; and one that is not there is told how to find those that are."""
    repository = tmp_path / "models--org--name"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    (snapshot / "config.json").write_text('{"model_type": "llama", "dtype": "bfloat16"}')
    there = {"HF_HUB_CACHE": str(tmp_path)}

    assert "org/name@main" in doctor("census", **there).out
    run = doctor("check", "org/name@main", "--target", "T4", **there)
    assert (run.code, "org/name" in run.out) == (1, True)
    assert "what `ivdoctor census` lists" in doctor("check", "org/other", "--target", "T4", **there).err


def test_an_unknown_suffix_is_refused(doctor: Any, tmp_path: Path) -> None:
    """It would be a table in a file that says it is something else."""
    run = doctor("census", str(tmp_path), "-o", str(tmp_path / "list.html"))
    assert (run.code, run.out) == (2, "")
    assert "the suffix tells the format" in run.err
