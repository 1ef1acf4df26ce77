"""What a message is about, once its operands and its traceback are known: the same words are said of a dtype, a device and a packed weight."""

import re
from collections.abc import Sequence

from ..facts import INTEGERS, Frame, Operand
from .dtypes import EIGHT_BITS, PACKED
from .messages import Told
from .patterns import Lazy

BITS = Lazy(r"bitwise|[lr]?shift|_xor", re.IGNORECASE)
EXTENSION = Lazy(r"roi_|roialign|roipool|deform|^nms|^_$|carafe|knn|cluster|furthest|three_nn|ball_query|voxel|_attn_forward", re.IGNORECASE)
"""Operators of torchvision, detectron2, mmcv and others, whose own kernels know few dtypes on any device."""
HALF = Lazy(r"\bfp16\b|(?<!b)float16|\.half\(\)|--half|dtype=half", re.IGNORECASE)
OTHER = Lazy(r"\bbf16\b|bfloat16|fp16[\"']?[ =:]{1,3}[\"']?(?:false|no\b|0)|float32", re.IGNORECASE)
"""What says that it is not float16, or not alone."""
PRODUCT = Lazy(r"addmm|bmm|gemm|addmv|matmul|\bdot(?:_general)?\b", re.IGNORECASE)
NORM = Lazy(r"layer_?norm|rms_?norm|group_?norm|batch_?norm|instance_?norm", re.IGNORECASE)
ATTENTION = Lazy(r"scaled_dot_product_attention|flash_attn_\w*func|memory_efficient_attention")
CONVOLUTION = Lazy(r"\bF\.conv(?:_transpose)?\dd|conv(?:_transpose)?\dd\(|_conv_forward")
FOUR_BIT = Lazy(r"linear4bit|matmul_4bit|linear8bit|matmul_8bit|bnb_4bit|dequantize_4bit", re.IGNORECASE)

CLASHES = frozenset({"conv-input-param-dtype-mismatch", "matmul-dtype-mismatch", "operand-dtype-mismatch"})
"""Said of two tensors whose types differ, whatever they are."""

KERNELS = {"float16": "cpu-half-op-unsupported", "bfloat16": "bf16-op-unsupported"}
NEEDS_HALF_ON_CPU = Lazy(r"cuda|mps|xpu|hip", re.IGNORECASE)


def category(told: Told, frames: Sequence[Frame], nearby: str) -> str:  # noqa: PLR0911  # one return a kind
    """
    The slug of the kind of failure.

    Args:
        nearby: a few lines around the message.
    """
    if told.family == "not-implemented":
        return _kernel(told)
    if told.family == "xformers-none":
        return _dispatch(nearby)
    if told.family == "cudnn-types":
        return _clash(told, frames, nearby) if "norm" not in told.op else "norm-dtype-mismatch"
    if told.family == "quant-method-gpu" and told.op.startswith("fp8"):
        return "fp8-unsupported-gpu"
    if told.family == "constant" and told.operands and told.operands[0].dtype == "float16":
        return "fp16-overflow"
    if told.category == "index-write-dtype-mismatch" and any(one.dtype in INTEGERS for one in told.operands):
        return "neg-integer-dtype"
    if told.category in CLASHES:
        return _clash(told, frames, nearby)
    if told.category == "op-dtype-unsupported" and _any(told.operands, EIGHT_BITS):
        return "fp8-dtype-mismatch"
    if told.category == "neg-nonprecision-nan" and HALF.search(nearby) and not OTHER.search(nearby):
        return "fp16-overflow"
    return told.category


def _kernel(told: Told) -> str:  # noqa: PLR0911  # one return a kind
    """Of `"…" not implemented for '…'`."""
    dtype = told.operands[0].dtype if told.operands else ""
    if BITS.search(told.op):
        return "quant-kernel-dtype" if dtype in KERNELS and "shift" in told.op else "neg-integer-dtype"
    if EXTENSION.search(told.op):
        return "op-dtype-unsupported"
    if dtype.startswith(EIGHT_BITS):
        return "fp8-dtype-mismatch"
    if dtype in INTEGERS:
        return "quant-kernel-dtype" if PRODUCT.search(told.op) and dtype in {"uint8", "int8", "int32"} else "neg-integer-dtype"
    if dtype == "float32":
        return "neg-integer-dtype"
    if "fft" in told.op.lower() and dtype in KERNELS:
        return "half-op-unsupported-fft"
    if dtype == "float16" and NEEDS_HALF_ON_CPU.search(told.op):
        return "op-dtype-unsupported"
    return KERNELS.get(dtype, "op-dtype-unsupported")


def _dispatch(nearby: str) -> str:
    """Of xformers, which lists why each of its kernels refuses: the reason that all of them share."""
    if "bf16 is only supported on A100+" in nearby:
        return "bf16-unsupported-gpu"
    if "requires device with capability" in nearby:
        return "flash-attn-needs-ampere"
    if "dtype=torch.float32 (supported:" in nearby and "torch.float32)" in nearby.partition("supported because")[0]:
        return "flash-attn-needs-half"
    if "built with CUDA support" in nearby or "xFormers can't load" in nearby:
        return "neg-missing-package"
    return ""


def _clash(told: Told, frames: Sequence[Frame], nearby: str) -> str:  # noqa: C901, PLR0911  # one return a kind
    dtypes = {one.dtype for one in told.operands}
    devices = {one.device for one in told.operands if one.device}
    if len(devices) > 1:
        return "neg-device-mismatch"
    if any(one.startswith(EIGHT_BITS) for one in dtypes):
        return "fp8-dtype-mismatch"
    if dtypes & INTEGERS:
        return _integers(told, dtypes & INTEGERS)
    if "for second argument" in nearby:  # torch.complex and its like; products name the argument
        return "operand-dtype-mismatch"
    if "_th_index" in nearby:
        return "index-write-dtype-mismatch"
    if told.family in ("jax-dtypes", "tf-types"):
        return (
            "matmul-dtype-mismatch" if PRODUCT.search(told.op) else "conv-input-param-dtype-mismatch" if "conv" in told.op.lower() else told.category
        )
    if any("bitsandbytes" in one.file for one in frames) or FOUR_BIT.search(nearby):
        return "peft-kbit-dtype-mismatch"
    innermost = " ".join(f"{one.code} {one.function}" for one in frames[-2:]) + " " + nearby
    if told.family == "scalar-type":
        if NORM.search(innermost):
            return "norm-dtype-mismatch"
        if ATTENTION.search(innermost):
            return "attention-qkv-dtype-mismatch"
        if CONVOLUTION.search(innermost):
            return "conv-input-param-dtype-mismatch"
    return told.category


def _integers(told: Told, integers: set[str]) -> str:
    """A packed weight in a product; else an index, a target or an image nobody converted."""
    packed = integers <= PACKED and told.category == "matmul-dtype-mismatch"
    image = told.family == "scalar-type" and any(one.role == "expected" and one.dtype in PACKED for one in told.operands)
    return "quant-kernel-dtype" if packed and not image else "neg-integer-dtype"


def _any(operands: Sequence[Operand], beginning: str) -> bool:
    return any(one.dtype.startswith(beginning) for one in operands)
