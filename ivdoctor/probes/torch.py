"""The installed PyTorch: how it was built and what is switched on."""

import re
from typing import Any

from ..facts import Switch, Torch, Version
from ..probe import probe

SWITCHES = (
    "backends.cuda.matmul.allow_tf32",
    "backends.cudnn.allow_tf32",
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_fp16_accumulation",
    "backends.fp32_precision",
    "backends.cuda.matmul.fp32_precision",
    "backends.cudnn.conv.fp32_precision",
    "backends.mkldnn.matmul.fp32_precision",
)
"""Attributes of torch; those a version does not have are left out."""

QUESTIONS = (
    "ops.mkldnn._is_mkldnn_bf16_supported",
    "ops.mkldnn._is_mkldnn_fp16_supported",
    "ops.mkldnn._is_mkldnn_acl_supported",
    "cpu._is_avx2_supported",
    "cpu._is_avx512_supported",
    "cpu._is_avx512_bf16_supported",
    "cpu._is_amx_tile_supported",
    "cpu._is_amx_fp16_supported",
)
"""Functions of torch without arguments, answering yes or no."""


@probe(room="torch", timeout=60)
def torch() -> Torch:
    """No tensor is made and no device is woken, so that a sick driver cannot spoil this."""
    import torch

    switches = [Switch(name=f"torch.{name}", value=str(value)) for name in SWITCHES if (value := _read(torch, name)) is not None]
    precision = getattr(torch, "get_float32_matmul_precision", None)
    if precision is not None:
        switches.append(Switch(name="torch.get_float32_matmul_precision()", value=str(precision())))
    return Torch(
        version=Version(str(torch.__version__)),
        cuda=_pair(torch.version.cuda),
        hip=Version(torch.version.hip) if torch.version.hip else None,
        cudnn=_cudnn(torch),
        arch_list=_arch_list(torch),
        cuda_available=bool(torch.cuda.is_available()),
        cpu_capability=str(_asked(torch, "backends.cpu.get_cpu_capability") or "unknown"),
        cpu_reports=tuple(name for name in QUESTIONS if _asked(torch, name) is True),
        switches=tuple(switches),
    )


def _read(torch: Any, path: str) -> Any:
    """An attribute of torch by its dotted path, or None where this version has none."""
    found = torch
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except (AttributeError, RuntimeError):  # an unknown operator raises the one, an unbuilt backend the other
            return None
    return found


def _asked(torch: Any, path: str) -> Any:
    question = _read(torch, path)
    try:
        return question() if callable(question) else None
    except (RuntimeError, NotImplementedError, TypeError):
        return None


def _pair(version: str | None) -> tuple[int, int] | None:
    numbers = re.match(r"(\d+)\.(\d+)", version or "")
    return (int(numbers[1]), int(numbers[2])) if numbers else None


def _cudnn(torch: Any) -> Version | None:
    """8902 is 8.9.2, and 90100 is 9.1.0."""
    try:
        number = torch.backends.cudnn.version()
    except RuntimeError:  # torch and the cuDNN found at run time do not fit
        return None
    if not number:
        return None
    major, rest = divmod(number, 10000 if number >= 90000 else 1000)
    return Version(f"{major}.{rest // 100}.{rest % 100}")


def _arch_list(torch: Any) -> tuple[str, ...]:
    """`torch.cuda.get_arch_list()` is empty without a device; the build's own string is not."""
    flags = getattr(torch._C, "_cuda_getArchFlags", None)
    return tuple((flags() or "").split()) if flags is not None else ()
