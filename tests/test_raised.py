"""Failures raised for real by the torch that is here, on its CPU, and explained from Python's own traceback."""

import runpy
import traceback
import warnings
from io import BytesIO
from pathlib import Path

import pytest

from ivdoctor.explanation import explain, read
from ivdoctor.facts import release

pytest.importorskip("torch", reason="what is raised is torch's")
from torch import __version__ as torch_version

WRITTEN_ON = (2, 13)
"""The torch that raises every one of these, in the words expected here; others may compute it, or say less."""

MATMUL, CONV, ATTENTION = "matmul-dtype-mismatch", "conv-input-param-dtype-mismatch", "attention-qkv-dtype-mismatch"
WRITE, NORM, OPERANDS = "index-write-dtype-mismatch", "norm-dtype-mismatch", "operand-dtype-mismatch"
HALF_ON_CPU, NO_BF16, FEW, FFT = "cpu-half-op-unsupported", "bf16-op-unsupported", "op-dtype-unsupported", "half-op-unsupported-fft"
NUMPY, FP8, PACKED, INTEGERS = "numpy-bf16-unsupported", "fp8-dtype-mismatch", "quant-kernel-dtype", "neg-integer-dtype"
SHAPES, DEVICES, INDEX, NAN = "neg-shape-mismatch", "neg-device-mismatch", "neg-index-out-of-range", "neg-nonprecision-nan"
OVERFLOW, CONSTANT, SCALER, MISSING = "fp16-overflow", "constant-overflow", "amp-gradscaler-misuse", "neg-missing-feature"

BF16, FP16, FP32, FP64 = "bfloat16", "float16", "float32", "float64"
I64, I32, I8, U8, E4M3 = "int64", "int32", "int8", "uint8", "float8_e4m3fn"

RAISED: list[tuple[str, str, tuple[str, ...]]] = [
    ("F.linear(ones(2, 3), ones(4, 3, dtype=float16))", MATMUL, (FP32, FP16)),
    ("nn.Linear(3, 4, dtype=bfloat16)(ones(2, 3))", MATMUL, (FP32, BF16)),
    ("nn.Linear(3, 4)(ones(2, 3, dtype=float16))", MATMUL, (FP16, FP32)),
    ("ones(2, 3, dtype=float16) @ ones(3, 4, dtype=bfloat16)", MATMUL, (FP16, BF16)),
    ("torch.mm(ones(2, 3), ones(3, 4, dtype=float64))", MATMUL, (FP32, FP64)),
    ("torch.bmm(ones(1, 2, 3), ones(1, 3, 4, dtype=bfloat16))", MATMUL, (FP32, BF16)),
    ("torch.baddbmm(ones(1, 2, 4), ones(1, 2, 3, dtype=float16), ones(1, 3, 4, dtype=float16))", MATMUL, (FP32, FP16, FP16)),
    ("torch.mv(ones(2, 3), ones(3, dtype=float16))", MATMUL, (FP16, FP32, FP16)),
    ("torch.dot(ones(3), ones(3, dtype=float16))", MATMUL, (FP32, FP16)),
    ("torch.addmm(ones(2, 4), ones(2, 3, dtype=bfloat16), ones(3, 4))", MATMUL, (BF16, FP32)),
    ("torch.linalg.multi_dot([ones(2, 3), ones(3, 4, dtype=float16), ones(4, 2)])", MATMUL, (FP32, FP16)),
    ("nn.Bilinear(3, 3, 2)(ones(1, 3), ones(1, 3, dtype=float16))", MATMUL, (FP32, FP16, FP32)),
    ("torch.sparse.mm(torch.eye(2).to_sparse(), ones(2, 2, dtype=float16))", MATMUL, (FP32, FP16)),
    ("nn.Conv2d(3, 4, 3, dtype=bfloat16)(ones(1, 3, 8, 8))", CONV, (FP32, BF16)),
    ("nn.Conv2d(3, 4, 3, dtype=float16)(ones(1, 3, 8, 8, dtype=bfloat16))", CONV, (BF16, FP16)),
    ("nn.Conv1d(3, 4, 3)(ones(1, 3, 8, dtype=float16))", CONV, (FP16, FP32)),
    ("nn.Conv3d(3, 4, 3)(ones(1, 3, 8, 8, 8, dtype=float64))", CONV, (FP64, FP32)),
    ("nn.LSTM(3, 4)(ones(2, 1, 3, dtype=float16))", CONV, (FP16, FP32)),
    ("nn.GRU(3, 4)(ones(2, 1, 3, dtype=bfloat16))", CONV, (BF16, FP32)),
    ("F.scaled_dot_product_attention(ones(1, 1, 2, 4, dtype=float16), ones(1, 1, 2, 4), ones(1, 1, 2, 4))", ATTENTION, (FP16, FP32, FP32)),
    ("F.scaled_dot_product_attention(ones(1, 1, 2, 4), ones(1, 1, 2, 4), ones(1, 1, 2, 4, dtype=bfloat16))", ATTENTION, (FP32, FP32, BF16)),
    ("F.scaled_dot_product_attention(*[ones(1, 1, 2, 4)] * 3, attn_mask=ones(2, 2, dtype=float16))", ATTENTION, (FP16, FP32)),
    ("ones(4)[torch.tensor([0])] = ones(1, dtype=float16)", WRITE, (FP32, FP16)),
    ("ones(4, dtype=bfloat16)[torch.tensor([True, False, True, False])] = ones(2)", WRITE, (BF16, FP32)),
    ("ones(4).masked_scatter(torch.tensor([True] * 4), ones(4, dtype=bfloat16))", WRITE, (FP32, BF16)),
    ("ones(4).scatter(0, torch.tensor([0]), ones(1, dtype=float16))", WRITE, ()),
    ("ones(4).scatter_add(0, torch.tensor([0]), ones(1, dtype=bfloat16))", WRITE, ()),
    ("ones(4).index_add(0, torch.tensor([0]), ones(1, dtype=float16))", WRITE, (FP32, FP16)),
    ("ones(4).index_copy(0, torch.tensor([0]), ones(1, dtype=float16))", WRITE, (FP32, FP16)),
    ("ones(4).put_(torch.tensor([0]), ones(1, dtype=float16))", WRITE, (FP32, FP16)),
    ("nn.LayerNorm(4, dtype=bfloat16)(ones(2, 4))", NORM, ()),
    ("nn.GroupNorm(2, 4, dtype=float16)(ones(1, 4, 2))", NORM, ()),
    ("nn.BatchNorm1d(4, dtype=bfloat16)(ones(2, 4, dtype=float16))", NORM, ()),
    ("torch.fft.rfft(ones(8, dtype=float16))", FFT, (FP16,)),
    ("torch.fft.fft(ones(8, dtype=bfloat16))", FFT, (BF16,)),
    ("ones(2, dtype=bfloat16).numpy()", NUMPY, (BF16,)),
    ("ones(2).to(torch.float8_e4m3fn).numpy()", NUMPY, (E4M3,)),
    ("ones(2).to(torch.float8_e4m3fn) + ones(2)", FP8, (E4M3, FP32)),
    ("ones(2).to(torch.float8_e4m3fn) + ones(2).to(torch.float8_e4m3fn)", FP8, (E4M3,)),
    ("ones(2, 2).to(torch.float8_e4m3fn) @ ones(2, 2, dtype=bfloat16)", FP8, (E4M3, BF16)),
    ("ones(2, dtype=torch.float8_e4m3fn).sum()", FP8, (E4M3,)),
    ("ones(2, 2) @ ones(2, 2, dtype=torch.int8)", PACKED, (FP32, I8)),
    ("ones(2, 2, dtype=float16) @ ones(2, 2, dtype=torch.uint8)", PACKED, (FP16, U8)),
    ("ones(2, 2) @ ones(2, 2, dtype=torch.long)", INTEGERS, (FP32, I64)),
    ("nn.Conv2d(3, 4, 3)(ones(1, 3, 8, 8, dtype=torch.uint8))", INTEGERS, (U8, FP32)),
    ("F.gelu(ones(2, dtype=torch.long))", INTEGERS, (I64,)),
    ("F.embedding(ones(2), ones(3, 4))", INTEGERS, (FP32,)),
    ("F.cross_entropy(ones(2, 3), ones(2))", INTEGERS, (FP32,)),
    ("F.cross_entropy(ones(2, 3), ones(2, dtype=torch.int32))", INTEGERS, (I32,)),
    ("ones(4)[ones(2)]", INTEGERS, ()),
    ("ones(2, dtype=torch.long, requires_grad=True)", INTEGERS, ()),
    ("ones(2).masked_fill(ones(2, dtype=torch.long), 0)", INTEGERS, (I64,)),
    ("torch.bitwise_and(ones(2), ones(2))", INTEGERS, (FP32,)),
    ("torch.tensor([2]) ** -1", INTEGERS, ()),
    ("torch.finfo(torch.long)", INTEGERS, ()),
    ("torch.linalg.inv(torch.eye(2, dtype=float16))", FEW, (FP16,)),
    ("torch.linalg.pinv(torch.eye(2, dtype=float16))", FEW, (FP16,)),
    ("torch.quantile(ones(4, dtype=float16), 0.5)", FEW, ()),
    ("torch.view_as_complex(ones(2, 2, dtype=bfloat16))", FEW, (BF16,)),
    ("torch.complex(ones(2, dtype=bfloat16), ones(2, dtype=bfloat16))", FEW, (BF16, BF16)),
    ("torch.kthvalue(ones(3, dtype=torch.complex64), 1)", FEW, ("complex64",)),
    ("torch.linalg.svd(torch.eye(2, dtype=bfloat16))", NO_BF16, (BF16,)),
    ("torch.linalg.cholesky(torch.eye(2, dtype=bfloat16))", NO_BF16, (BF16,)),
    ("torch.cdist(ones(2, 2, dtype=bfloat16), ones(2, 2, dtype=bfloat16))", NO_BF16, (BF16,)),
    ("torch.cdist(ones(2, 2, dtype=float16), ones(2, 2, dtype=float16))", HALF_ON_CPU, (FP16,)),
    ("torch.linalg.det(torch.eye(2, dtype=float16))", HALF_ON_CPU, (FP16,)),
    ("F.multi_margin_loss(ones(2, 3, dtype=float16), torch.tensor([0, 1]))", HALF_ON_CPU, (FP16,)),
    ("torch.linalg.solve(torch.eye(2), ones(2, 1, dtype=float64))", OPERANDS, (FP32, FP64)),
    ("torch.lerp(ones(2), ones(2, dtype=float16), 0.5)", OPERANDS, (FP32, FP16)),
    ("F.prelu(ones(2, dtype=float16), ones(1))", OPERANDS, (FP16, FP32)),
    ("torch.isclose(ones(2), ones(2, dtype=float16))", OPERANDS, (FP32, FP16)),
    ("torch.mm(ones(2, 2), ones(2, 2), out=ones(2, 2, dtype=float16))", OPERANDS, (FP32, FP16)),
    ("F.binary_cross_entropy(ones(2), ones(2, dtype=float16))", OPERANDS, (FP16, FP32)),
    ("ones(2, dtype=float16).masked_fill(torch.tensor([True, False]), -1e9)", OVERFLOW, (FP16,)),
    ("ones(2, dtype=bfloat16).masked_fill(torch.tensor([True, False]), -1e39)", CONSTANT, (BF16,)),
    ("ones(2, 3) @ ones(4, 5)", SHAPES, ()),
    ("nn.Linear(3, 4)(ones(2, 5))", SHAPES, ()),
    ("ones(3) + ones(4)", SHAPES, ()),
    ("nn.Conv2d(3, 4, 3)(ones(1, 1, 8, 8))", SHAPES, ()),
    ("ones(7).view(2, 4)", SHAPES, ()),
    ("ones(2, device='meta').cpu()", DEVICES, ()),
    ("nn.Linear(2, 2, device='meta').to('cpu')", DEVICES, ()),
    ("F.embedding(torch.tensor([5]), ones(3, 4))", INDEX, ()),
    ("torch.multinomial(torch.tensor([float('nan'), 1.0]), 1)", NAN, ()),
    ("torch.distributions.Categorical(probs=torch.tensor([float('nan'), 1.0]))", NAN, ()),
    ("torch.nn.RootNorm(4)", MISSING, ()),
    ("w = nn.Parameter(ones(2, dtype=float16)); w.grad = ones(2, dtype=float16); scaler.unscale_(torch.optim.SGD([w]))", SCALER, ()),
    ("scaler.step(torch.optim.SGD([nn.Parameter(ones(2))]))", SCALER, ()),
]
"""A line of somebody's script, the category of what it raises, and the dtypes that the message names, in its order."""

HEAD = "import torch\nfrom torch import bfloat16, float16, float64, nn, ones\nfrom torch.nn import functional as F\n"
NOTHING = "\n"
SCALED = "scaler = torch.amp.GradScaler('cpu'); scaler.scale(ones(1))\n"


def told(script: Path) -> str:
    """The traceback that running a script ends with; empty where it ends well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            runpy.run_path(str(script))
        except Exception:  # noqa: BLE001  # whatever torch raises
            return traceback.format_exc()
    return ""


@pytest.mark.parametrize(("code", "category", "dtypes"), RAISED, ids=[code[:60] for code, _, _ in RAISED])
def test_what_torch_raises_here_is_recognised(tmp_path: Path, code: str, category: str, dtypes: tuple[str, ...]) -> None:
    """One finding of the right category, the dtypes that were used, and the user's own line, whatever frames of torch's lie below it."""
    script = tmp_path / "script.py"
    script.write_text(f"{HEAD}{SCALED if category == SCALER else NOTHING}{code}\n", encoding="utf-8")
    text = told(script)
    if release(torch_version)[:2] != WRITTEN_ON and category not in [one.category for one in explain(read(BytesIO(text.encode()))).findings]:
        pytest.skip(f"torch {torch_version} {'says it otherwise' if text else 'computes it'}: {text.splitlines()[-1:]}")
    assert text, "nothing was raised"
    reading = read(BytesIO(text.encode()))
    (failure,) = reading.failures
    (found,) = explain(reading).findings
    assert (failure.category, found.category) == (category, category)
    assert failure.dtypes == dtypes or release(torch_version)[:2] != WRITTEN_ON
    assert failure.own is not None
    assert (Path(failure.own.file).name, failure.own.line, failure.own.code) == ("script.py", 5, code)
    assert failure.error
    assert any(line.startswith(f"{failure.error}: ") for line in text.splitlines())


def test_a_script_that_ends_well_has_no_failure(tmp_path: Path) -> None:
    """The table above can be wrong."""
    script = tmp_path / "script.py"
    script.write_text(f"{HEAD}{NOTHING}ones(2, 3) @ ones(3, 4)\n", encoding="utf-8")
    assert told(script) == ""
    assert read(BytesIO(b"")).failures == ()


def test_enough_is_raised() -> None:
    """Of a score of kinds."""
    assert len(RAISED) >= 40
    assert len({category for _, category, _ in RAISED}) >= 20
