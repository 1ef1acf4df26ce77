"""`ivdoctor targets`, run as a user runs it."""

import json
import subprocess
import sys
from typing import Any

import pytest

from ivdoctor.tables import DTYPES, table


def test_the_list(doctor: Any) -> None:
    """Every product, exit code 0, no talk and no colour."""
    run = doctor("targets")

    assert (run.code, run.err) == (0, "")
    assert "\x1b" not in run.out
    lines = run.out.splitlines()
    assert [row["product"] for row in table("accelerators") if not any(line.startswith(f"{row['product']}  ") for line in lines)] == []


def test_the_list_as_json(doctor: Any) -> None:
    """Valid, and nothing else on stdout; short of what only one accelerator's page has."""
    run = doctor("targets", "--format", "json", "--vendor", "amd", "--memory", "128")
    told = json.loads(run.out)

    assert (run.code, run.err) == (0, "")
    assert "Instinct MI300X" in {one["name"] for one in told}
    assert {one["vendor"] for one in told} == {"AMD"}
    assert not {"builds", "kernels", "engines", "traps"} & set(told[0])


def test_filters(doctor: Any) -> None:
    """All of them together."""
    run = doctor("targets", "--vendor", "NVIDIA", "--arch", "7.5", "--memory", "24", "--dtype", "fp16", "--dtype", "int4", "--format", "json")

    assert [one["name"] for one in json.loads(run.out)] == ["TITAN RTX", "Quadro RTX 6000", "Quadro RTX 8000"]


@pytest.mark.parametrize(("format", "out"), [("table", ""), ("json", "[]\n")])
def test_nothing_left(doctor: Any, format: str, out: str) -> None:
    """Said in one line on stderr, and no failure."""
    run = doctor("targets", "--memory", "100000", "--format", format)

    assert (run.code, run.out, run.err) == (0, out, "no accelerator of the tables is all of that\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--vendor", "nvidea"), "there is no vendor 'nvidea', only NVIDIA, AMD, Apple, Intel"),
        (("--arch", "Touring"), "there is no architecture 'Touring', only Kepler, Maxwell, Pascal"),
        (("--dtype", "bf8"), "there is no format 'bf8', only fp64, fp32, tf32"),
        (("--memory", "-1"), "--memory"),
        (("--memory", "nan"), "--memory"),
        (("--format", "xml"), "'table', 'json'"),
        (("T5000",), "there is no accelerator 'T5000'; the nearest: "),
        (("",), "NAME is empty: is a variable unset?"),
        (("RTX 5000",), "may be any of these, whose formats differ"),
        (("T4", "--vendor", "nvidia"), "do not go with a NAME"),
        (("T4", "--memory", "0"), "do not go with a NAME"),
    ],
)
def test_wrong_usage(doctor: Any, arguments: tuple[str, ...], told: str) -> None:
    """Exit code 2, and one line with the choices after the usage; nothing on stdout."""
    run = doctor("targets", *arguments)

    assert (run.code, run.out) == (2, "")
    assert told in run.err.splitlines()[-1]
    assert [line for line in run.err.splitlines() if line.startswith("Error: ")] == run.err.splitlines()[-1:]
    assert "Traceback" not in run.err


def test_one_accelerator(doctor: Any) -> None:
    """The page of a T4: what is emulated although torch says it is supported, and which builds there are."""
    run = doctor("targets", "T4")

    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("Tesla T4\n  NVIDIA, Turing, sm_75, compute capability 7.5, 16 GiB\n")
    assert "  - bf16 is emulated (" in run.out
    assert "torch.cuda.is_bf16_supported() is True here from torch 2.4 on" in run.out
    assert "cu126  torch 2.6 to 2.14" in run.out
    assert "\x1b" not in run.out


def test_a_device_whose_builds_end_and_one_whose_begin(doctor: Any) -> None:
    """A P40 and an RTX 5090."""
    assert "the builds end there" in doctor("targets", "P40").out
    assert "x86_64: from torch 2.7 to " in doctor("targets", "RTX 5090").out


@pytest.mark.parametrize("name", ["T4", "MI300X", "M2", "Arc A770", "H100", "8xH200", "gfx942", "zen4", "GPU 0: Tesla T4 (UUID: GPU-1)"])
def test_one_as_json(doctor: Any, name: str) -> None:
    """Valid, and nothing else on stdout; every format with its status, note and source, in the columns' order."""
    run = doctor("targets", name, "--format", "json")
    told = json.loads(run.out)

    assert (run.code, run.err) == (0, "")
    assert list(told["dtypes"]) == list(DTYPES) == ["fp64", "fp32", "tf32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "int8", "int4", "fp4"]
    assert all(list(one) == ["status", "note", "source"] for one in told["dtypes"].values())
    assert {one["status"] for one in told["dtypes"].values()} <= {"native", "emulated", "none", "unknown"}


def test_names_are_those_of_check(doctor: Any) -> None:
    """What --target takes is what `targets` tells of."""
    report = json.loads(doctor("check", "--target", "8xH200", "--format", "json", "--fail-on", "never").out)
    told = json.loads(doctor("targets", "8xH200", "--format", "json").out)
    place = next(one for one in report["places"] if one["kind"] == "target")

    assert (place["title"], place["count"]) == (told["name"], told["count"])
    hardware = next(grid["rows"][0] for grid in report["grids"] if grid["place"] == place["name"])
    assert [told["dtypes"][dtype]["status"] for dtype in DTYPES] == [cell["text"] for cell in hardware[1:]]


def test_a_reader_that_goes_away_is_no_failure() -> None:
    """`ivdoctor targets | head -1`."""
    done = subprocess.run(["bash", "-c", f"{sys.executable} -m ivdoctor targets | head -c 1"], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert len(done.stdout) == 1


@pytest.mark.parametrize("arguments", [["targets"], ["targets", "T4"], ["targets", "--format", "json"]])
def test_it_is_light(arguments: list[str]) -> None:
    """Nothing heavy is imported: neither torch, nor templates, nor the rules."""
    heavy = ["torch", "numpy", "jinja2", "msgspec", "archspec", "difflib", "importlib.metadata", "ivdoctor.rules", "ivdoctor.checkup", "tabulate"]
    program = (
        f"import sys; sys.argv = ['ivdoctor', *{arguments!r}]\n"
        "from ivdoctor.cli import main\n"
        "try: main()\n"
        f"finally: print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "[]\n")
