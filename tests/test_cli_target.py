"""`ivdoctor check --target`: hardware that is not here, judged by the tables, without a look at this machine."""

import contextlib
import gc
import io
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivdoctor.builds import carried
from ivdoctor.checkup import check
from ivdoctor.cli import ENGINES, PRECISIONS, main
from ivdoctor.facts import HALVES, Asked, Place
from ivdoctor.kernels import engine_row
from ivdoctor.schema import schema
from ivdoctor.tables import table
from ivdoctor.targets import AmbiguousTarget, target

FORMATS = {"terminal", "markdown", "html", "json", "junit", "github"}
UNSET = "is empty: is a variable unset?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command said, run in this process."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """What `--format json` printed."""
        return json.loads(self.out)  # type: ignore[no-any-return]  # an object

    @property
    def errors(self) -> list[str]:
        """Codes of the findings that make the answer no, and nothing else."""
        return [one["code"] for one in self.report["findings"] if one["severity"] == "error"]


def ivdoctor(*arguments: str) -> Ran:
    """The command line without a process: it starts in half a second, and these are hundreds."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main.main(list(arguments), prog_name="ivdoctor")
    return Ran(code=int(ended.value.code or 0), out=out.getvalue(), err=err.getvalue())


def judged(*arguments: str) -> Ran:
    """`check ... --format json`."""
    return ivdoctor("check", *arguments, "--format", "json")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """The command switches the collector off, for it lives short; the tests do not."""
    yield
    gc.enable()


@pytest.fixture
def bf16_model(tmp_path: Path) -> str:
    """A folder that says of itself that it is saved in bfloat16; no weights."""
    folder = tmp_path / "bf16-model"
    folder.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


# --- nothing is run, nothing is looked at

WATCH = """
import os, sys
WATCHED = {"torch", "numpy", "transformers", "pynvml", "psutil"}
def watch(event, arguments, told=[0]):
    if told[0]:
        return
    name = str(arguments[0]) if event == "import" else ""
    if name in WATCHED or event in ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "socket.connect"):
        told[0] = 1
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {name}\\n")
        told[0] = 0
sys.addaudithook(watch)
"""


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Every process that is started from here writes down what it imports of the heavy kind, and the processes that it starts."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WATCH)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])))
    monkeypatch.setenv("WATCHED", str(tmp_path / "watched.txt"))
    subprocess.run([sys.executable, "-c", "import sys; sys.path.clear()\ntry: import torch\nexcept ImportError: pass"], check=True)
    assert "import torch" in (tmp_path / "watched.txt").read_text(), "the watching itself works"
    (tmp_path / "watched.txt").unlink()
    return lambda: (tmp_path / "watched.txt").read_text() if (tmp_path / "watched.txt").exists() else ""


def test_with_a_target_no_process_is_started_and_nothing_heavy_imported(doctor: Any, watched: Callable[[], str]) -> None:
    """One process with neither torch nor numpy in it, which starts no other; no fact is in its report."""
    run = doctor("check", "--target", "T4", "--target", "8xH200", "--dtype", "fp16", "--engine", "vllm", "--format", "json")

    assert (run.code, run.err) == (0, "")
    assert json.loads(run.out)["subjects"] == {}
    assert watched() == ""


def test_of_a_model_its_files_are_read_and_the_packages_listed(doctor: Any, watched: Callable[[], str], bf16_model: str) -> None:
    """Without torch anywhere."""
    run = doctor("check", bf16_model, "--target", "T4", "--torch", "2.6+cu124", "--format", "json")
    subjects = json.loads(run.out)["subjects"]

    assert (run.code, run.err) == (1, "")
    assert set(subjects) == {"adapter", "anatomy", "checkpoint", "model", "native", "packages", "torch"}
    assert subjects["torch"]["fact"]["version"] == "2.6.0+cu124", "the one that was named, and not one that is installed"
    assert "torch" not in watched()


@pytest.mark.usefixtures("example_plugin")
def test_a_plugins_probe_is_not_run_and_its_rule_is_asked_nothing(doctor: Any) -> None:
    """One that would crash the room does no harm; its format is there."""
    run = doctor("check", "--target", "T4", "--format", "json", EXAMPLE_FAULT="segfault", EXAMPLE_RACK="cold")
    report = json.loads(run.out)

    assert (run.code, report["subjects"]) == (0, {})
    (skipped,) = [one for one in report["rules"]["skipped"] if one["code"] == "ACME001"]
    assert "this machine is not judged, but Tesla T4" in skipped["reason"]
    assert doctor("check", "--target", "T4", "--dtype", "bf16", "--format", "codes").out.split()[0] == "IVD201"


# --- verdicts and exit codes

VERDICTS = {
    "T4 bf16": (["--target", "T4", "--dtype", "bf16"], 1, ["IVD201"]),
    "T4 fp16": (["--target", "T4", "--dtype", "fp16"], 0, []),
    "T4 unasked": (["--target", "T4"], 0, []),
    "T4 inputs bf16": (["--target", "T4", "--dtype", "fp32", "--input-dtype", "bf16"], 1, ["IVD201"]),
    "A100 bf16": (["--target", "A100", "--dtype", "bf16"], 0, []),
    "P40 fp16": (["--target", "P40", "--dtype", "fp16"], 1, ["IVD205"]),
    "P40 fp32": (["--target", "P40", "--dtype", "fp32"], 0, []),
    "P40 torch 2.11": (["--target", "P40", "--torch", "2.11"], 1, ["IVD103"]),
    "P40 torch 2.11 cu126": (["--target", "P40", "--torch", "2.11+cu126"], 0, []),
    "V100 torch 2.11": (["--target", "V100", "--torch", "2.11"], 1, ["IVD103"]),
    "RTX 5090 torch 2.6": (["--target", "RTX 5090", "--torch", "2.6+cu124"], 1, ["IVD103"]),
    "RTX 5090 torch 2.7": (["--target", "RTX 5090", "--torch", "2.7+cu128"], 0, []),
    "T4 torch cpu": (["--target", "T4", "--torch", "2.6+cpu"], 1, ["IVD110"]),
    "T4 torch rocm": (["--target", "T4", "--torch", "2.6+rocm6.2.4"], 1, ["IVD110"]),
    "MI300X torch cuda": (["--target", "MI300X", "--torch", "2.6+cu124"], 1, ["IVD110"]),
    "MI300X torch rocm": (["--target", "MI300X", "--torch", "2.6+rocm6.2.4", "--dtype", "bf16"], 0, []),
    "zen3 torch cpu": (["--target", "zen3", "--torch", "2.6+cpu", "--dtype", "fp32"], 0, []),
    "zen3 fp16 before its kernels": (["--target", "zen3", "--torch", "2.1+cpu", "--dtype", "fp16"], 1, ["IVD505"]),
    "T4 vllm bf16": (["--target", "T4", "--engine", "vllm", "--dtype", "bf16"], 1, ["IVD201", "IVD503"]),
    "T4 vllm fp16": (["--target", "T4", "--engine", "vllm", "--dtype", "fp16"], 0, []),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_the_verdict_and_what_makes_it(case: str) -> None:
    """The exit code, and the findings behind a no; of each it is said that it is from the tables."""
    arguments, code, errors = VERDICTS[case]
    run = judged(*arguments)

    assert (run.code, run.errors, run.err) == (code, errors, "")
    assert (run.report["exit_code"], run.report["places"][0]["kind"]) == (code, "target")
    assert run.report["reason"].startswith("by the tables alone: ")


def test_a_build_without_code_is_no_matter_of_dtype() -> None:
    """A Pascal under torch 2.11 is cured by another build, and by no cast; and the build that is named carries it."""
    (found,) = [one for one in judged("--target", "P40", "--torch", "2.11").report["findings"] if one["code"] == "IVD103"]

    assert found["fixes"]
    for fix in found["fixes"]:
        assert fix["kind"] == "command"
        assert "code" not in fix
        assert not {"float()", "half()", "dtype", "bfloat16", "float32"} & set(fix["title"].replace(".", " ").split())
        assert fix["command"].endswith("/whl/cu126")


def test_vllm_refuses_in_its_own_words() -> None:
    """What its log would say, with this device in it, and what it would take instead."""
    (found,) = [
        one
        for one in judged("--target", "T4", "--engine", "vllm", "--dtype", "bf16").report["findings"]
        if (one["code"], one["severity"]) == ("IVD503", "error")
    ]
    said = found["evidence"][0]

    assert said.startswith(
        "Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has compute capability 7.5."
    )
    assert "--dtype float16" in found["fixes"][0]["title"]


def test_each_target_has_its_own_verdict() -> None:
    """A no at one of two is a no, and says where."""
    run = judged("--target", "T4", "--target", "A100", "--dtype", "bf16")

    assert {one["name"]: one["verdict"] for one in run.report["places"]} == {"Tesla T4": "not-ready", "A100 SXM4 40GB": "ready"}
    assert run.code == 1
    assert {one["place"] for one in run.report["findings"] if one["severity"] == "error"} == {"Tesla T4"}


def test_a_model_is_judged_in_its_own_format_and_never_ready_where_it_was_not_run(bf16_model: str, tmp_path: Path) -> None:
    """Saved in bf16: a T4 is a certain no; an A100 would take it, and of this family nobody has run one. That fp16 was asked for helps on neither."""
    (tmp_path / "config.json").write_text('{"model_type": "ernie", "architectures": ["ErnieForMaskedLM"], "dtype": "bfloat16"}')
    t4, fp16 = judged(bf16_model, "--target", "T4"), judged(bf16_model, "--target", "T4", "--dtype", "fp16")
    a100 = judged(str(tmp_path), "--target", "A100")

    assert (t4.code, t4.errors) == (1, ["IVD201"])
    assert (a100.code, a100.errors) == (3, [])
    assert a100.report["reason"].startswith("by the tables alone: the model was not run: A100 SXM4 40GB is not here")
    assert (fp16.code, fp16.errors) == (3, [])


def test_a_model_whose_family_was_run_in_its_format_is_ready_where_it_fits(bf16_model: str) -> None:
    """With the release that is installed; its seven billion weights are too many for the smallest card that computes in bfloat16."""
    transformers = pytest.importorskip("transformers")
    if not transformers.__version__.startswith("5.23."):
        pytest.skip("the tables are about transformers 5.23")
    assert judged(bf16_model, "--target", "A100").code == 0
    assert judged(bf16_model, "--target", "RTX 3050").errors == ["IVD303"]


UNKNOWN = {
    "an engine that nobody has read there": ["--target", "MI50", "--engine", "sglang", "--dtype", "fp16"],
    "a format of which nobody knows what the engine does": ["--target", "MI100", "--engine", "vllm", "--dtype", "bf16"],
    "an engine without a row for fp32": ["--target", "A100", "--engine", "sglang", "--dtype", "fp32"],
    "a build for XPU": ["--target", "Arc A770", "--torch", "2.6+cu124", "--dtype", "fp16"],
    "a build for macOS": ["--target", "M1", "--torch", "2.6+cu124", "--dtype", "fp16"],
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_no_table_knows_is_undetermined_and_never_ready(case: str) -> None:
    """Exit code 3, with what is not known as the reason; what is asked without it is ready."""
    arguments = UNKNOWN[case]
    run = judged(*arguments)

    assert (run.code, run.report["verdict"]) == (3, "undetermined")
    assert [one["verdict"] for one in run.report["places"]] == ["undetermined"]
    assert run.report["reason"].endswith("is not known")
    assert judged(*arguments[:2], *arguments[4:]).code == 0


@pytest.mark.parametrize("name", ["Gaudi2", "TPU v4", "Ascend 910B"])
def test_what_a_plug_in_of_torchs_drives_is_undetermined(name: str) -> None:
    """With a format that the hardware computes natively, too."""
    run = judged("--target", name, "--dtype", "bf16", "--engine", "vllm", "--torch", "2.6")

    assert (run.code, run.report["verdict"]) == (3, "undetermined")
    assert "driven by a plug-in of torch's" in run.report["reason"]


@pytest.mark.parametrize(("level", "code"), [("error", 0), ("warning", 1), ("never", 0)])
def test_the_gate_moves_with_fail_on(level: str, code: int) -> None:
    """bf16 on a T4 is a warning where nobody asked for it."""
    assert judged("--target", "T4", "--dtype", "fp16", "--fail-on", level).code == code


def test_a_count_is_kept_and_one_name_is_one_place() -> None:
    """`8xH200` is eight of one place; the same device by two names is judged once."""
    (eight,) = judged("--target", "8xH200").report["places"]
    once = judged("--target", "T4", "--target", "Tesla T4", "--target", "tesla t4").report["places"]

    assert (eight["name"], eight["count"]) == ("H200 SXM 141GB", 8)
    assert [one["name"] for one in once] == ["Tesla T4"]


# --- wrong usage

WRONG = {
    "unknown": (["--target", "T5"], "there is no accelerator 'T5'; the nearest: "),
    "ambiguous": (["--target", "rtx 5000"], "'rtx 5000' may be any of these, whose formats differ: Quadro RTX 5000, RTX 5000 Ada Generation"),
    "empty": (["--target", ""], "there is no accelerator ''"),
    "blank": (["--target", "  \t "], "there is no accelerator"),
    "one of two": (["--target", "T4", "--target", "T5"], "there is no accelerator 'T5'"),
    "no count": (["--target", "0xT4"], "there is no accelerator '0xT4'"),
    "a count alone": (["--target", "8x"], "there is no accelerator '8x'"),
    "torch alone": (["--torch", "2.6"], "--torch is about a --target"),
    "torch empty": (["--target", "T4", "--torch", ""], f"--torch {UNSET}"),
    "no such torch": (["--target", "T4", "--torch", "9.9"], "there is no known torch '9.9'; the nearest: "),
    "no such patch": (["--target", "T4", "--torch", "2.6.7"], "there is no known torch '2.6.7'"),
    "no such build": (["--target", "T4", "--torch", "2.6+cu999"], "torch 2.6.0 for 'x86_64' has no known build 'cu999'; known: 2.6.0+cu126"),
    "a build of another release": (["--target", "T4", "--torch", "2.6+cu130"], "has no known build 'cu130'"),
    "a nightly": (["--target", "T4", "--torch", "2.7.0.dev20250101+cu128"], "there is no known torch '2.7.0.dev20250101+cu128'"),
    "a source build": (["--target", "T4", "--torch", "2.6.0a0+git1234567"], "there is no known torch '2.6.0a0+git1234567'"),
    "no version": (["--target", "T4", "--torch", "latest"], "there is no known torch 'latest'"),
    "no x86 build on ARM": (["--target", "GH200", "--torch", "2.6+cu118"], "torch 2.6.0 for 'aarch64' has no known build 'cu118'"),
    "snapshot": (["--target", "T4", "--snapshot", "host.json"], "a snapshot is judged as it is: it takes no --target"),
    "inputs": (["--target", "T4", "--inputs", "x.safetensors"], "nothing is run for a --target: it takes no --inputs"),
    "limit": (["--target", "T4", "--limit", "kl=1"], "nothing is run for a --target: it takes no --limit"),
    "thorough": (["--target", "T4", "--thorough"], "nothing is run for a --target: it takes no --thorough"),
    "repro": (["--target", "T4", "--repro", "r.py"], "nothing is run for a --target: it takes no --repro"),
    "engine": (["--target", "T4", "--engine", "llama.cpp"], "'llama.cpp' is not one of"),
    "dtype": (["--target", "T4", "--dtype", "fp8"], "'fp8' is not one of"),
    "no model": (["nowhere", "--target", "T4"], "nowhere: there is no file or folder of that name"),
    "control characters": (["--target", "T4\x1b[31m\x07\x00"], r"'T4\x1b[31m\x07\x00'"),
    "two lines": (["--target", "A\nREADY: forged"], r"'A\nREADY: forged'"),
    "no text": (["--target", "T5\udcff"], r"'T5\udcff'"),
    "a million letters": (["--target", "x" * 1_000_000], "there is no accelerator 'xxx"),
    "a million digits": (["--target", "9" * 1_000_000 + "xT4"], "there is no accelerator '999"),
    "a million brackets": (["--target", "[" * 1_000_000], "there is no accelerator '[[["),
    "torch of two lines": (["--target", "T4", "--torch", "2.6\n::error::forged"], r"'2.6\n::error::forged'"),
    "torch of a million letters": (["--target", "T4", "--torch", "2" * 1_000_000], "there is no known torch '222"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_one_clear_line(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2 and nothing on stdout; the line is short, and nothing in it moves a cursor or forges a line of its own."""
    monkeypatch.chdir(tmp_path)
    arguments, said = WRONG[case]
    run = ivdoctor("check", *arguments)
    (line,) = [line for line in run.err.splitlines() if line.startswith("Error: ")]

    assert (run.code, run.out) == (2, "")
    assert said in line
    assert line == run.err.splitlines()[-1]
    assert len(line) < 700
    assert "Traceback" not in run.err
    assert run.err.replace("\n", "").isprintable()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_told_the_three_nearest() -> None:
    """Each of which is taken."""
    line = ivdoctor("check", "--target", "GTX 1081 Ti").err.splitlines()[-1]
    nearest = line.partition("the nearest: ")[2].split(", ")

    assert len(nearest) == 3
    assert "GeForce GTX 1080 Ti" in nearest
    assert all(ivdoctor("check", "--target", one).code == 0 for one in nearest)


def test_wrong_usage_of_a_process_ends_with_two(doctor: Any) -> None:
    """As a shell sees it: the exit code, and not one line on stdout."""
    run = doctor("check", "--target", "T5")

    assert (run.code, run.out) == (2, "")
    assert "Traceback" not in run.err


# --- formats


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_tells_of_a_target(name: str) -> None:
    """The exit code is the same in all, and each says that it is by the tables."""
    run = ivdoctor("check", "--target", "T4", "--target", "8xA100", "--dtype", "bf16", "--torch", "2.6+cu124", "--engine", "vllm", "--format", name)

    assert (run.code, run.err) == (1, "")
    assert "by the tables alone: IVD201 Tesla T4 (Turing) has no bfloat16 arithmetic" in run.out
    assert "A100 SXM4 40GB" in run.out or name == "github"


def test_the_json_keeps_to_the_contract() -> None:
    """With every field of a target in it."""
    run = judged("--target", "T4", "--target", "zen3", "--dtype", "bf16", "--torch", "2.6+cu124", "--engine", "vllm")

    jsonschema.Draft202012Validator(schema()).validate(run.report)
    assert [one["kind"] for one in run.report["places"]] == ["target", "target"]


def test_all_formats_into_a_folder(tmp_path: Path) -> None:
    """One file each, and nothing on stdout."""
    run = ivdoctor("check", "--target", "T4", *(f"--format={name}" for name in sorted(FORMATS)), "-o", f"{tmp_path}/out/")

    assert (run.code, run.out, run.err) == (0, "", "")
    assert len(list((tmp_path / "out").iterdir())) == len(FORMATS)


# --- what the hardware computes in

GUIDE = "CUDA Programming Guide 13.x, section 5.1, Table 33: input types of the tensor cores by compute capability"
RATES = "CUDA C Programming Guide, Throughput of Native Arithmetic Instructions"
ROCM = "ROCm documentation, reference/precision-support (2025-03)"
WMMA = "gpuopen.com, How to accelerate AI applications on RDNA 3 using WMMA: f16, bf16, iu8, iu4"
APPLE = "pytorch#119641: MPS has no float8; transformers#40458: bf16 is emulated on M1 and M2, native from M3 (uncertain, Apple has no table)"
XMX = "intel.com support article 000098346: XMX of Arc A takes fp16, bf16, int8, int4, int2"

N, E, Z = "native", "emulated", "none"
KNOWN: dict[str, tuple[str, tuple[str, str, str, str], tuple[int, int], str]] = {
    # name: the product it means, the one of least memory; fp16, bf16, fp8_e4m3, int4; exit codes of --dtype fp16 and bf16; source
    "T4": ("Tesla T4", (N, E, E, N), (0, 1), f"{GUIDE}: 7.5 has fp16, int8, int4; fp8 weights by vLLM's Marlin from 7.5"),
    "V100": ("Tesla V100 SXM2 16GB", (N, E, Z, E), (0, 1), "NVIDIA Volta white paper: fp16 tensor cores alone; vLLM's Marlin begins at 7.5"),
    "P40": ("Tesla P40", (E, E, Z, E), (1, 1), f"{RATES}: 6.1 gives 2 results in fp16 a clock and SM, 128 in fp32"),
    "RTX 2080 Ti": ("GeForce RTX 2080 Ti", (N, E, E, N), (0, 1), f"{GUIDE}: 7.5, as the T4"),
    "A100": ("A100 SXM4 40GB", (N, N, E, N), (0, 0), f"{GUIDE}: 8.0 has bf16, fp16, int8, int4, no fp8"),
    "RTX 3090": ("GeForce RTX 3090", (N, N, E, N), (0, 0), f"{GUIDE}: 8.6, as 8.0 without fp64"),
    "RTX 4090": ("GeForce RTX 4090", (N, N, N, N), (0, 0), f"{GUIDE}: 8.9 has fp8 beside all of 8.6; pytorch#118703"),
    "L40S": ("L40S", (N, N, N, N), (0, 0), f"{GUIDE}: 8.9"),
    "H100": ("H100 SXM5 80GB", (N, N, N, E), (0, 0), f"{GUIDE}: 9.0 has fp8 and no int4"),
    "H20": ("H20 96GB", (N, N, N, E), (0, 0), f"{GUIDE}: 9.0, the formats of an H100 at a seventh of its rate"),
    "B200": ("B200", (N, N, N, E), (0, 0), f"{GUIDE}: 10.0 has fp8, fp6, fp4 and no int4"),
    "RTX 5090": ("GeForce RTX 5090", (N, N, N, E), (0, 0), f"{GUIDE}: 12.x has fp8, fp6, fp4 and no int4"),
    "MI250": ("Instinct MI250", (N, N, Z, E), (0, 0), f"{ROCM}: CDNA2 has float16 and bfloat16 in its matrix cores, no float8"),
    "MI300X": ("Instinct MI300X", (N, N, N, E), (0, 0), f"{ROCM}: CDNA3 has float8, in the FNUZ encoding; no int4"),
    "RX 7900 XTX": ("Radeon RX 7900 XTX", (N, N, Z, N), (0, 0), WMMA),
    "M1": ("M1", (N, E, Z, E), (0, 0), f"{APPLE}; half as fast and no more, so a warning"),
    "M3": ("M3", (N, N, Z, E), (0, 0), APPLE),
    "Arc A770": ("Arc A770 8GB", (N, N, Z, N), (0, 0), XMX),
    "zen3": ("zen3", (E, E, E, E), (0, 0), "AMD64 Programmer's Manual: AVX2 and F16C, no AVX-512; it runs 50 to 180 times slower, so a warning"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_formats_of_hardware_that_is_well_known(name: str) -> None:
    """As its makers and those who wrote kernels for it say, and the verdict for either half format."""
    title, formats, codes, _ = KNOWN[name]
    place = target(name)

    assert place.title == title
    assert tuple(place.dtypes.of(one) for one in ("fp16", "bf16", "fp8_e4m3", "int4")) == formats
    assert tuple(judged("--target", name, "--dtype", one).code for one in ("fp16", "bf16")) == codes


@pytest.mark.parametrize(("name", "code"), [("M1", "IVD201"), ("zen3", "IVD204")])
def test_a_format_that_is_only_slow_is_a_warning(name: str, code: str) -> None:
    """Ready, and it is said."""
    found = judged("--target", name, "--dtype", "bf16").report["findings"]

    assert [one["severity"] for one in found if one["code"] == code] == ["warning"]


ONLY_SLOW = {("mps", "bf16"), ("cpu", "fp16"), ("cpu", "bf16"), ("", "fp32")}
"""Backends, and formats that they compute in another, and no worse than that: M1 and M2; processors; a TPU's fp32."""


def test_the_verdict_on_any_hardware_is_what_its_row_says() -> None:
    """Of every architecture and product: native is ready, what is emulated or not there is not, nothing unknown is, nor what torch does not drive."""
    names = [row["id"] for row in table("architectures")] + [row["product"] for row in table("accelerators")]
    seen: dict[object, Place] = {}
    for name in (*names, "zen2", "zen4", "icelake", "sapphirerapids", "neoverse_v2", "sm_130"):
        with contextlib.suppress(AmbiguousTarget):
            place = target(name)
            seen.setdefault((place.dtypes, place.backend), place)
    wrong = []
    for place in seen.values():
        for dtype in HALVES:
            support = place.dtypes.of(dtype)
            right = {"native": "ready", "emulated": "not-ready", "none": "not-ready", "unknown": "undetermined"}[support]
            if support == "emulated" and (place.backend, dtype) in ONLY_SLOW:
                right = "ready"
            if right == "ready" and (not place.backend or (place.backend in {"cuda", "rocm"} and not carried(place))):
                right = "undetermined"  # a plug-in's matter, or a build's that nobody has published
            verdict = check(Asked(targets=(place.title,), dtype=dtype)).verdict.value
            if verdict != right:
                wrong.append((place.title, dtype, support, verdict))
    assert len(seen) > 40
    assert wrong == []


def open_by_build(place: Place) -> tuple[str, ...]:
    """What a verdict may also be where nobody has published a build with code for the device."""
    return () if place.backend not in {"cuda", "rocm"} or carried(place) else ("undetermined",)


def test_no_engine_is_ready_where_it_refuses_or_nobody_knows() -> None:
    """Of every architecture, engine and format: what is refused is a no, and what has no row is never a yes."""
    wrong, counted = [], Counter[str]()
    for name in dict.fromkeys(row["id"] for row in table("architectures")):
        place = target(name)
        for engine, dtype in product(ENGINES, HALVES):
            row = engine_row(engine, dtype, place)
            verdict = check(Asked(targets=(name,), engine=engine, dtype=dtype)).verdict.value
            known = row.outcome if row else "unknown"
            counted[known] += 1
            if verdict not in {"refused": ("not-ready",), "unknown": ("not-ready", "undetermined")}.get(
                known, ("ready", "not-ready", *open_by_build(place))
            ):
                wrong.append((name, engine, dtype, known, verdict))
    assert min(counted["refused"], counted["unknown"], counted["native"]) > 50
    assert wrong == []


# --- anything at all

ANY_TARGET = st.one_of(
    st.sampled_from([*KNOWN, "8xH200", "sm_75", "sm_130", "gfx942", "7.5", "rtx 5000", "T5", "", "GH200", "A100 MIG 1g.5gb"]),
    st.sampled_from([row["product"] for row in table("accelerators")]),
    st.text(max_size=30),
    st.from_regex(r"(?:[0-9]{1,3}x)?(?:sm_|gfx|compute_|cc )?[0-9a-f.]{1,6}", fullmatch=True),
)
ANY_TORCH = st.one_of(
    st.sampled_from(["2.6", "2.6+cu124", "2.6+cpu", "2.15", "1.10", "2.11", "v2.4.1", "2.6+rocm6.2.4", "torch==2.8.0", "2.7.0.dev1", ""]),
    st.builds("{}.{}".format, st.integers(0, 3), st.integers(0, 20)),
    st.builds("{0[torch]}+{1[build]}".format, st.sampled_from(table("torch_releases")), st.sampled_from(table("wheels"))),
    st.text(max_size=12),
)


def _options(name: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """The option, or nothing."""
    return st.just([]) | values.map(lambda value: [f"--{name}={value}"])


COMMANDS = st.tuples(
    st.lists(ANY_TARGET.map("--target={}".format), min_size=1, max_size=3),  # without one this machine would be looked at
    _options("torch", ANY_TORCH),
    _options("engine", st.sampled_from(ENGINES)),
    _options("dtype", st.sampled_from(["auto", *PRECISIONS])),
    _options("input-dtype", st.sampled_from(PRECISIONS)),
    _options("format", st.sampled_from(sorted(FORMATS))),
).map(lambda parts: [one for part in parts for one in part])


@given(COMMANDS)
@settings(max_examples=150)
def test_any_combination_ends_in_a_documented_code(arguments: list[str]) -> None:
    """Never a failure of ivdoctor's own, never a traceback; a no or an unknown at one target is never ready over all."""
    run = ivdoctor("check", *arguments)

    assert run.code in {0, 1, 2, 3}
    assert "Traceback" not in run.err + run.out
    assert (run.out == "") == (run.code == 2)
    assert (run.err == "") == (run.code != 2)
    if "--format=json" in arguments and run.out:
        verdicts = {one["verdict"] for one in run.report["places"]}
        worst = next(one for one in ("not-ready", "undetermined", "ready") if one in verdicts)
        assert (run.report["verdict"], run.code) == (worst, {"ready": 0, "not-ready": 1, "undetermined": 3}[worst])


@given(
    targets=st.lists(ANY_TARGET, min_size=1, max_size=2), torch=ANY_TORCH, engine=st.text(max_size=8), dtype=st.sampled_from(["auto", *PRECISIONS])
)
@settings(max_examples=100)
def test_the_api_judges_or_says_what_it_does_not_know(targets: list[str], torch: str, engine: str, dtype: Any) -> None:
    """A report with a documented exit code, or a LookupError; an engine that nobody knows makes nothing ready."""
    try:
        report = check(Asked(targets=tuple(targets), torch=torch, engine=engine, dtype=dtype))
    except LookupError:
        return
    assert report.exit_code in {0, 1, 3}
    assert report.rules.errors == ()
    if engine and engine not in ENGINES:
        assert report.exit_code != 0
