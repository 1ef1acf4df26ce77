"""Reading a living exception: where it was raised, in which module, by which operator, and what made the odd dtype."""

import linecache
import os
import re
from collections.abc import Callable
from types import TracebackType
from typing import Any

from ..facts import Site

OPERATORS = {
    "conv1d": "aten.convolution",
    "conv2d": "aten.convolution",
    "conv3d": "aten.convolution",
    "linear": "aten.linear",
    "layer_norm": "aten.native_layer_norm",
    "__setitem__": "aten.index_put_",
    "matmul": "aten.matmul",
    "__matmul__": "aten.matmul",
    "cat": "aten.cat",
}
"""torch functions to the operators they reach; others are named as they are."""

MESSAGES = {
    "Index put requires": "aten.index_put_",
    "Input type (": "aten.convolution",
    "Expected query, key, and value to have the same dtype": "aten.scaled_dot_product_attention",
    "Expected attn_mask dtype": "aten.scaled_dot_product_attention",
    "einsum(": "aten.einsum",
}
"""How an operator's message begins, for those that old torch (1.13 was seen) does not show to who watches its functions."""

LOST = (
    "device-side assert",
    "illegal memory access",
    "illegal instruction",
    "misaligned address",
    "unspecified launch failure",
    "launch timed out",
    "hardware stack error",
    "invalid program counter",
    "operation not supported on global/shared address space",
    "uncorrectable ECC error",
    "uncorrectable NVLink error",
    "context is destroyed",
    "device is lost",
    "DEVICE_LOST",
    "No CUDA GPUs are available",
    "no CUDA-capable device is detected",
    "invalid device ordinal",
    "devices are busy or unavailable",
    "CUDA unknown error",
)
"""
Errors after which nothing runs on that device in that process, and those of a device that is there no more. A missing kernel or a full memory is none.

Source: CUDA Runtime API, cudaError, those that leave the process in an inconsistent state; Level Zero's device loss (2026-11-22).
"""


def device_is_lost(error: BaseException) -> bool:
    """Whether the process must be given up with this error."""
    return any(mark in str(error) for mark in LOST)


PATH = re.compile(r"(?<![\w:/.])(?:[A-Za-z]:)?[\\/](?:[^\s\\/'\":;,<>|]+[\\/])+(?=[^\s\\/'\":;,<>|])")
"""The way to a file, up to its own name."""


def pathless(text: str) -> str:
    """Where things lie on a machine is its owner's business; what they are called is not."""
    return PATH.sub("", text)


def first_line(error: BaseException) -> str:
    """The message without the C++ frames and hints that follow it in some builds."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def location(error: BaseException, model: Any, operator: str, *, own: Callable[[str], bool], root: str) -> Site:
    """
    The innermost line of the model's own code, the innermost module on the way there, and the operator.

    Args:
        operator: the torch function that raised, empty where none was seen to.
        own: says of a file whether it is the model's code: lines of torch itself tell a user nothing.
        root: files are named relative to the folder above this one.
    """
    file, line, module = innermost(error, model, own)
    return Site(
        module=module,
        file=os.path.relpath(file, os.path.dirname(root)).replace(os.sep, "/") if file else "",
        line=line,
        op=operator_of(operator, error),
        code=linecache.getline(file, line).strip() if file else "",
    )


def innermost(error: BaseException, model: Any, own: Callable[[str], bool]) -> tuple[str, int, str]:
    """Of the way to where it was raised: the last file and line that is `own`, the file empty where none is, and the last module."""
    names = {id(module): name for name, module in model.named_modules()}
    file, line, module = "", 0, ""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        module = names.get(id(frame.f_locals.get("self")), module)
        if own(frame.f_code.co_filename):
            file, line = frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    return file, line, module


def operator_of(function: str, error: BaseException) -> str:
    """By the torch function that raised, or by how its message begins."""
    if function:
        return OPERATORS.get(function, f"torch.{function}")
    message = first_line(error)
    return next((operator for beginning, operator in MESSAGES.items() if message.startswith(beginning)), "")
