"""The installed PyTorch: how it was built and what is switched on."""

import re
import warnings
from collections.abc import Iterator
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

CUDNN_9 = 90000
"""From here on the major version has four digits behind it, before it three."""


@probe(room="torch", timeout=60)
def torch() -> Torch:
    """No tensor is made and no device is woken, so that a sick driver cannot spoil this."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 2.9 and newer warn on reading the older switches
        return Torch(
            version=Version(str(torch.__version__)),
            cuda=_pair(torch.version.cuda),
            hip=Version(torch.version.hip) if torch.version.hip else None,
            cudnn=None if torch.version.hip else _cudnn(torch),
            arch_list=_arch_list(torch),
            cuda_available=bool(torch.cuda.is_available()),
            cpu_capability=str(_asked(torch, "backends.cpu.get_cpu_capability") or "unknown"),
            cpu_reports=tuple(name for name in QUESTIONS if _asked(torch, name) is True),
            switches=tuple(_switches(torch)),
        )


def _switches(torch: Any) -> Iterator[Switch]:
    for name in SWITCHES:
        value = _read(torch, name)
        if value is not None:
            yield Switch(name=f"torch.{name}", value=str(value))
    precision = _asked(torch, "get_float32_matmul_precision")
    if precision is not None:
        yield Switch(name="torch.get_float32_matmul_precision()", value=str(precision))


def _read(torch: Any, path: str) -> Any:
    """An attribute of torch by its dotted path, or None where this version has none."""
    found = torch
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except Exception:  # noqa: BLE001  # AttributeError; RuntimeError of an unbuilt backend; AssertionError of 1.13's cuBLASModule
            return None
    return found


def _asked(torch: Any, path: str) -> Any:
    """What a function of torch without arguments answers, or None where this version, or this build, has no answer."""
    question = _read(torch, path)
    try:
        return question() if callable(question) else None
    except Exception:  # noqa: BLE001  # a question is left out for whatever reason it has no answer
        return None


def _pair(version: str | None) -> tuple[int, int] | None:
    numbers = re.match(r"(\d+)\.(\d+)", version or "")
    return (int(numbers[1]), int(numbers[2])) if numbers else None


def _cudnn(torch: Any) -> Version | None:
    """8902 is 8.9.2 and 90100 is 9.1.0; None too where torch and the cuDNN found at run time do not fit. ROCm gives MIOpen's number there."""
    number = _asked(torch, "backends.cudnn.version")
    if not number:
        return None
    major, rest = divmod(number, 10000 if number >= CUDNN_9 else 1000)
    return Version(f"{major}.{rest // 100}.{rest % 100}")


def _arch_list(torch: Any) -> tuple[str, ...]:
    """
    `torch.cuda.get_arch_list()` is empty without a device; the build's own string is not.

    ROCm's may carry feature suffixes, `gfx90a:xnack-`, which are no part of the architecture.
    """
    flags = str(_asked(torch, "_C._cuda_getArchFlags") or "")
    return tuple(dict.fromkeys(one.partition(":")[0] for one in flags.split()))
