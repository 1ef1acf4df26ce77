"""One real operation of each common class in each of the three formats, on one device."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..facts import HALVES, TORCH_NAME, Half, Operation, Place, Precision, Torch
from ..probe import Absent, DeviceFault, probe
from ..text import say
from ..trials.failure import device_is_lost, first_line

TOLERANCE = {"fp32": 1e-2, "fp16": 1e-2, "bf16": 5e-2}
"""
Relative L2 distance from the CPU's fp64 result that is still right.

Ten times and more what 11 and 8 bits of mantissa give on these shapes. fp32 has fp16's, for TF32 is on for
convolutions by default and oneDNN may be told to multiply fp32 as bf16: that is a setting, and no wrong result.
"""


@probe(room="trial", timeout=120)
def precision(torch: Torch, place: Place) -> Precision:
    """Small shapes: this asks whether it runs and is right, not how fast."""
    import torch as library

    from ..trials import threads

    if not place.reachable:
        raise Absent(say("torch {version} cannot reach {title}", version=torch.version, title=place.title))
    threads.one()
    library.manual_seed(0)
    flag, native = _flags(library, place)
    operations = [run_call(library, place.name, dtype, name, call) for name, call in calls(library) for dtype in HALVES]
    for other in place.others:  # equals by name are not equals by health
        runs = [run_call(library, other, dtype, name, call) for name, call in calls(library)[:1] for dtype in HALVES]
        operations += [replace(one, name=f"{one.name} on {other}") for one in runs]
    return Precision(bf16_flag=flag, bf16_flag_native=native, operations=tuple(operations))


def _flags(library: Any, place: Place) -> tuple[bool | None, bool | None]:
    """The answer of torch itself, and the one without emulation; None for a question that this version does not have."""
    if place.kind not in ("cuda", "rocm", "xpu"):
        return None, None
    backend = library.xpu if place.kind == "xpu" else library.cuda
    question = getattr(backend, "is_bf16_supported", None)
    if question is None:
        return None, None
    with backend.device(place.name):
        return _answer(question), _answer(question, including_emulation=False)


def _answer(question: Callable[..., Any], **how: bool) -> bool | None:
    """The argument `including_emulation` is there since torch 2.4 for CUDA, and since 2.7 or so for XPU."""
    try:
        return bool(question(**how))
    except TypeError:
        return None
    except (RuntimeError, AssertionError) as error:
        if device_is_lost(error):
            raise DeviceFault(first_line(error)) from error
        return None


def calls(library: Any) -> list[tuple[str, Callable[..., Any]]]:
    """Each takes two tensors of 8x8 and gives one."""
    functional = library.nn.functional
    found: list[tuple[str, Callable[..., Any]]] = [
        ("matmul", lambda a, b: a @ b),
        ("linear", lambda a, b: functional.linear(a, b, a[0])),
        ("conv2d", lambda a, b: functional.conv2d(a.reshape(1, 1, 8, 8), b[:3, :3].reshape(1, 1, 3, 3), a[0, :1])),
        ("layer_norm", lambda a, b: functional.layer_norm(a, (8,), b[0], b[1])),
    ]
    if hasattr(functional, "scaled_dot_product_attention"):  # torch 2.0
        found.insert(3, ("attention", lambda a, b: functional.scaled_dot_product_attention(*(x.reshape(1, 1, 8, 8) for x in (a, b, a)))))
    return found


def run_call(library: Any, device: str, dtype: Half, name: str, call: Callable[..., Any]) -> Operation:
    """One call in one format on the device, against the same call in fp64 on the CPU."""
    left, right = library.rand(8, 8, dtype=library.float64), library.rand(8, 8, dtype=library.float64)
    expected = call(left, right)
    kind = getattr(library, TORCH_NAME[dtype])
    try:
        result = call(left.to(kind).to(device), right.to(kind).to(device)).cpu().double()
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        if device_is_lost(error):
            raise DeviceFault(first_line(error)) from error
        return Operation(dtype=dtype, name=name, status="refused", message=f"{type(error).__name__}: {first_line(error)}")
    distance = float((result - expected).norm() / expected.norm())
    if not math.isfinite(distance):
        return Operation(dtype=dtype, name=name, status="wrong", error=-1.0)
    return Operation(dtype=dtype, name=name, status="works" if distance < TOLERANCE[dtype] else "wrong", error=distance)
