"""The torch probe: the installed torch, torches of other times and builds, and torches that cannot be imported."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from ivdoctor import codec
from ivdoctor.facts import Cpu, Torch, release
from ivdoctor.probes.cpu import cpu
from ivdoctor.probes.torch import QUESTIONS, torch
from ivdoctor.rooms import Answer

Look = Callable[..., Answer]
StandIn = Callable[..., str]


def fact(answer: Answer) -> Torch:
    assert answer.status == "ok", answer.reason
    return codec.build(answer.fact, Torch)


def test_the_installed_torch_is_described(look: Look) -> None:
    """Its version is that of its metadata, and its switches and capabilities are what it says of itself."""
    library = pytest.importorskip("torch")

    found = fact(look(torch))

    assert found.version == library.__version__
    assert version("torch").startswith(found.version)  # a distribution may add to it
    assert (None if library.version.cuda is None else tuple(map(int, library.version.cuda.split(".")[:2]))) == found.cuda
    assert {one.name: one.value for one in found.switches}["torch.get_float32_matmul_precision()"] == library.get_float32_matmul_precision()
    assert set(found.cpu_reports) <= set(QUESTIONS)
    assert found.cpu_capability == (library.backends.cpu.get_cpu_capability() if release(found.version) >= (2, 1) else "unknown")


def test_a_cap_on_onednn_takes_answers_away(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ONEDNN_MAX_CPU_ISA in the room's environment torch's own answers about half precision are no longer yes."""
    pytest.importorskip("torch")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    free = set(fact(look(torch)).cpu_reports)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    capped = set(fact(look(torch)).cpu_reports)

    assert capped <= free
    assert not any("mkldnn_bf16" in one or "mkldnn_fp16" in one for one in capped)
    assert capped < free or "avx512f" not in codec.build(look(cpu).fact, Cpu).features


ROCM = """
class version: cuda, hip = None, "6.2.41133-dd7f95766"
__version__ = "2.6.0+rocm6.2.4"
class cuda:
    is_available = staticmethod(lambda: True)
class backends:
    class cudnn:
        allow_tf32 = True
        version = staticmethod(lambda: 3002000)  # MIOpen's
class _C:
    _cuda_getArchFlags = staticmethod(lambda: "gfx900 gfx90a:xnack- gfx90a:xnack+ gfx942")
"""

CUDA_1_13 = """
class version: cuda, hip = "11.7", None
__version__ = "1.13.1+cu117"
class cuda:
    is_available = staticmethod(lambda: False)
class backends:
    class cuda:
        class CuBLAS:
            def __getattr__(self, name):
                if name in ("allow_tf32", "allow_fp16_reduced_precision_reduction"):
                    return name != "allow_tf32"
                raise AssertionError("Unknown attribute " + name)
        matmul = CuBLAS()
    class cudnn:
        allow_tf32 = True
        version = staticmethod(lambda: 8500)
class ops:
    class Mkldnn:
        def __getattr__(self, name):
            raise RuntimeError(f"No such operator mkldnn::{name}")
    mkldnn = Mkldnn()
class _C:
    _cuda_getArchFlags = staticmethod(lambda: "sm_37 sm_50 sm_60 sm_70 sm_75 sm_80 sm_86")
def get_float32_matmul_precision():
    return "highest"
"""

CUDNN_DOES_NOT_FIT = """
class version: cuda, hip = "12.6", None
__version__ = "2.7.1+cu126"
class cuda:
    is_available = staticmethod(lambda: False)
class backends:
    class cudnn:
        @staticmethod
        def version():
            raise RuntimeError("cuDNN version incompatibility: PyTorch was compiled against (9, 5, 1) but found runtime version (8, 9, 7).")
class _C:
    _cuda_getArchFlags = staticmethod(lambda: None)
"""


def test_rocm_is_no_cuda(look: Look, stand_in: StandIn) -> None:
    """MIOpen's number is no cuDNN's, and an architecture's feature suffixes are no architectures."""
    stand_in("torch", ROCM)

    found = fact(look(torch))

    assert (found.cuda, found.hip, found.cudnn, found.cuda_available) == (None, "6.2.41133-dd7f95766", None, True)
    assert found.arch_list == ("gfx900", "gfx90a", "gfx942")


def test_torch_1_13_lacks_most_of_what_is_asked(look: Look, stand_in: StandIn) -> None:
    """It refuses attributes with AssertionError and operators with RuntimeError: what it does have is still read."""
    stand_in("torch", CUDA_1_13)

    found = fact(look(torch))

    assert (found.cuda, found.cudnn, found.cpu_capability, found.cpu_reports) == ((11, 7), "8.5.0", "unknown", ())
    assert {one.name: one.value for one in found.switches} == {
        "torch.backends.cuda.matmul.allow_tf32": "False",
        "torch.backends.cudnn.allow_tf32": "True",
        "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction": "True",
        "torch.get_float32_matmul_precision()": "highest",
    }


def test_a_cudnn_that_does_not_fit_is_left_out(look: Look, stand_in: StandIn) -> None:
    """It raises when asked for its version; the rest of torch is described all the same."""
    stand_in("torch", CUDNN_DOES_NOT_FIT)

    found = fact(look(torch))

    assert (found.cuda, found.cudnn, found.arch_list) == ((12, 6), None, ())


def test_warnings_of_torch_are_not_failures(look: Look, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """It warns on an old driver, and releases warn on reading older switches: not even `-W error` makes these facts unreadable."""
    warning = "__import__('warnings').warn('CUDA initialization: The NVIDIA driver on your system is too old')"
    stand_in(
        "torch",
        CUDA_1_13.replace("lambda: False", f"lambda: {warning}").replace('return name != "allow_tf32"', f'return {warning} or name != "allow_tf32"'),
    )
    monkeypatch.setenv("PYTHONWARNINGS", "error")

    found = fact(look(torch))

    assert not found.cuda_available
    assert "torch.backends.cuda.matmul.allow_tf32" in {one.name for one in found.switches}


@pytest.mark.parametrize(("number", "text"), [("8902", "8.9.2"), ("90100", "9.1.0"), ("91002", "9.10.2"), ("7605", "7.6.5"), ("None", None)])
def test_cudnn_writes_its_version_as_a_number(look: Look, stand_in: StandIn, number: str, text: str | None) -> None:
    """Three digits behind the major version until 8, four from 9 on."""
    stand_in("torch", CUDA_1_13.replace("8500", number))

    assert text == fact(look(torch)).cudnn


SICK = {
    "a library is missing": (
        "raise OSError('libcudart.so.12: cannot open shared object file: No such file or directory')",
        "failed",
        "import torch: OSError: libcudart.so.12: cannot open shared object file: No such file or directory",
    ),
    "a symbol is missing": (
        "raise ImportError('libtorch_cpu.so: undefined symbol: iJIT_NotifyEvent')",
        "failed",
        "import torch: ImportError: libtorch_cpu.so: undefined symbol: iJIT_NotifyEvent",
    ),
    "a package it needs is missing": (
        "import typing_extensions_that_are_not_there",
        "failed",
        "import torch: ModuleNotFoundError: No module named 'typing_extensions_that_are_not_there'",
    ),
    "it ends the process": ("raise SystemExit(0)", "failed", "import torch: SystemExit: 0"),
    "it aborts": ("import os; os.abort()", "crashed", "SIGABRT"),
    "it leaves": ("import os; os._exit(5)", "crashed", "exit code 5"),
    "it is another module of that name": ("flame = 'on'", "failed", "has no attribute '__version__'"),
    "it is not there": ("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')", "absent", "torch is not installed"),
}


@pytest.mark.parametrize("how", SICK)
def test_a_torch_that_cannot_be_used_leaves_the_answer_undetermined(check: Callable[..., Any], stand_in: StandIn, how: str) -> None:
    """The whole program: its documented outcome, exit code 3, a whole report on stdout, and no traceback."""
    source, status, reason = SICK[how]
    stand_in("torch", f"print('noise on stdout')\n{source}\n")

    done = check()

    told = done.report["subjects"]["torch"]
    assert (status, True) == (told["status"], reason in told["reason"]), told["reason"]
    assert (done.code, done.report["verdict"]) == (3, "undetermined")
    assert told["reason"] in done.report["reason"]
    for subject in ("precision", "mismatch"):
        (one,) = done.report["subjects"][subject]
        assert (one["status"], one["reason"].startswith("torch: ")) == ("absent", True)


def test_a_torch_that_never_finishes_its_import_is_a_timeout(look: Look, stand_in: StandIn) -> None:
    """A hanging network disk or driver costs the limit and nothing more."""
    stand_in("torch", "import time; time.sleep(600)")

    answer = look(torch, loading=1)

    assert (answer.status, answer.reason) == ("timeout", "no answer within 1 s")


def test_a_file_in_the_working_folder_is_not_taken_for_torch(check: Callable[..., Any], tmp_path: Path) -> None:
    """`torch.py` beside the user's script hides torch from that script, and from nobody else."""
    pytest.importorskip("torch")
    (tmp_path / "torch.py").write_text("raise SystemExit('the wrong torch')", encoding="utf-8")
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('the wrong sitecustomize')", encoding="utf-8")

    done = check()

    assert version("torch").startswith(done.report["subjects"]["torch"]["fact"]["version"])
