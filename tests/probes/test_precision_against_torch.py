"""The live operations against torch itself: every class in every format, and the times of older processors."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ivdoctor import codec
from ivdoctor.facts import COLLAPSED, Asked, Precision
from ivdoctor.probes.precision import TOLERANCE, precision
from ivdoctor.rooms import Job, Rooms
from ivdoctor.testing import a_place, a_torch_without_cuda

torch = pytest.importorskip("torch")
operators = pytest.importorskip("ivdoctor.trials.operators")


@pytest.fixture(scope="module")
def thorough() -> Precision:
    """Every operator in every format, once."""
    with Rooms() as rooms:
        given = {"torch": a_torch_without_cuda(), "place": a_place(), "asked": Asked(thorough=True)}
        (answer,) = rooms.visit("trial", [Job(probe=precision, given=given)])
    return codec.build(answer.fact, Precision)


DIRECT: dict[str, Callable[[Any], Any]] = {
    "matmul": lambda x: x @ x,
    "linear": lambda x: torch.nn.functional.linear(x, x, x[0]),
    "conv1d": lambda x: torch.nn.Conv1d(8, 8, 3).to(x.dtype)(x[None]),
    "conv2d": lambda x: torch.nn.Conv2d(1, 1, 3).to(x.dtype)(x[None, None]),
    "conv3d": lambda x: torch.nn.Conv3d(1, 1, 2).to(x.dtype)(x.reshape(1, 1, 4, 4, 4)),
    "attention": lambda x: torch.nn.functional.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None]),
    "layer_norm": lambda x: torch.nn.LayerNorm(8).to(x.dtype)(x),
    "rms_norm": lambda x: torch.nn.RMSNorm(8).to(x.dtype)(x),
    "group_norm": lambda x: torch.nn.GroupNorm(2, 8).to(x.dtype)(x),
    "batch_norm": lambda x: torch.nn.BatchNorm1d(8).to(x.dtype)(x),
    "softmax": lambda x: x.softmax(-1),
    "elementwise": torch.nn.GELU(),
    "reductions": lambda x: x.cumsum(0) + x.mean(),
    "interpolate": lambda x: torch.nn.Upsample(scale_factor=2, mode="bicubic")(x[None, None]),
    "fft": lambda x: torch.fft.rfft(x).abs(),
    "linalg": torch.linalg.inv,
    "index": lambda x: x.index_add(0, torch.tensor([0, 1]), x[:2]),
    "rnn": lambda x: torch.nn.LSTM(8, 8).to(x.dtype)(x[:, None])[0],
}
"""The same classes, written as a user would, by torch's modules; equal weights for equal seeds."""

NAMES = {"fp64": "float64", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "fp8_e4m3": "float8_e4m3fn", "fp8_e5m2": "float8_e5m2"}


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("name", DIRECT)
def test_every_cell_agrees_with_torch(name: str, dtype: str, thorough: Precision) -> None:
    """A class works where torch itself runs it in that format and near fp32, is wrong where that is far from it, and refused where torch raises."""
    if dtype in thorough.missing or name in thorough.missing:
        pytest.skip(f"this torch has no {name} or no {dtype}")
    kind = getattr(torch, NAMES[dtype])
    given = (torch.rand(8, 8, generator=torch.Generator().manual_seed(0)) + torch.eye(8)).to(kind)
    try:
        with torch.no_grad():
            torch.manual_seed(1)
            right = DIRECT[name](given.float())
            torch.manual_seed(1)
            distance = float((DIRECT[name](given).float() - right).norm() / right.norm())
        expected = "works" if distance < TOLERANCE[dtype] else "wrong"
    except (RuntimeError, TypeError) as error:
        expected = f"refused {type(error).__name__}"
    (cell,) = [one for one in thorough.operations if (one.name, one.dtype) == (name, dtype)]

    assert cell.status == expected.partition(" ")[0], cell.message
    assert bool(cell.message) is (cell.status == "refused")


def test_thorough_looks_at_every_class_and_format(thorough: Precision) -> None:
    """And what this torch does not have is named, not passed over."""
    found = {one.name for one in thorough.operations}
    assert found | set(thorough.missing) >= {*DIRECT, "scaled_mm", *(f"attention_{one}" for one in operators.BACKENDS)}
    assert {one.dtype for one in thorough.operations} | set(thorough.missing) >= set(NAMES)
    assert not found & set(thorough.missing)


def test_the_backends_of_sdpa_are_told_apart(thorough: Precision) -> None:
    """On a CPU there are two; that the others are refused is no fault of a format."""
    if "attention_math" in thorough.missing:
        pytest.skip("this torch does not let the backend be chosen")
    status = {one.name: one.status for one in thorough.operations if one.dtype == "fp32"}

    assert (status["attention_math"], status["attention_cudnn"], status["attention_efficient"]) == ("works", "refused", "refused")
    assert [one.name for one in thorough.refused("fp32") + thorough.lacking("fp32")] == []


def test_what_is_timed_is_timed_in_every_format_that_works(thorough: Precision) -> None:
    """Ratios stand beside results, and fp32's is one."""
    for one in thorough.operations:
        if one.name in ("matmul", "conv2d", "layer_norm", "softmax"):
            assert (one.ratio > 0) is (one.status == "works")
        if one.dtype == "fp32" and one.ratio:
            assert one.ratio == 1


ISA = """
import json, sys, torch
from ivdoctor import codec
from ivdoctor.facts import Asked
from ivdoctor.probes.precision import precision
from ivdoctor.testing import a_place, a_torch_without_cuda
found = precision(torch=a_torch_without_cuda(), place=a_place(), asked=Asked())
print(json.dumps({one.dtype: one.ratio for one in found.operations if one.name == "matmul"}))
"""


def flags() -> set[str]:
    """The instruction sets of this processor, as Linux names them."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return set(next((line for line in text.splitlines() if line.startswith("flags")), "").split())


@pytest.mark.parametrize(
    ("isa", "needed", "collapsed", "slower"),
    [
        ("AVX2", {"avx2"}, {"fp16", "bf16"}, set()),
        ("AVX512_CORE", {"avx512f", "avx512bw", "avx512vl"}, {"fp16"}, {"bf16"}),
        ("ALL", {"avx512_bf16", "avx512_fp16"}, set(), set()),
    ],
)
def test_an_older_processor_collapses_where_it_must(isa: str, needed: set[str], collapsed: set[str], slower: set[str]) -> None:
    """oneDNN is told to use no more than an older processor has: the ratio shows plain loops, and conversion, for what they are."""
    if not needed <= flags():
        pytest.skip(f"this processor has no {', '.join(sorted(needed - flags()))}")
    if torch.__version__ < "2.3":
        pytest.skip("an older torch refuses float16 here")
    for _ in range(3):  # a busy machine may slow the fp32 that the others are compared with
        done = subprocess.run([sys.executable, "-c", ISA], env=os.environ | {"ONEDNN_MAX_CPU_ISA": isa}, capture_output=True, text=True, check=True)
        ratio = json.loads(done.stdout.splitlines()[-1])
        found = {dtype for dtype, one in ratio.items() if one >= COLLAPSED}
        if found == collapsed and all(2 <= ratio[dtype] <= 10 for dtype in slower):
            return
    pytest.fail(f"{isa}: {ratio}")
