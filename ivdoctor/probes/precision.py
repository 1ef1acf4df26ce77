"""One real operation of each common class in each of the three formats, on one device."""

from collections.abc import Callable
from typing import Any

from ..facts import HALVES, TORCH_NAME, Operation, Place, Precision, Torch
from ..probe import Absent, DeviceFault, probe
from ..trials.failure import device_is_lost

TOLERANCE = {"fp32": 1e-3, "fp16": 1e-2, "bf16": 5e-2}
"""Relative L2 distance from the CPU's fp64 result: ten times what 24, 11 and 8 bits of mantissa give here."""


@probe(room="trial", timeout=120)
def precision(torch: Torch, place: Place) -> Precision:
    """Small shapes: this asks whether it runs and is right, not how fast."""
    import torch as library

    if not place.reachable:
        raise Absent(f"torch {torch.version} cannot reach {place.title}")
    library.set_num_threads(1)
    library.manual_seed(0)
    flag, native = _flags(library, place)
    operations = [_run(library, place.name, dtype, name, call) for name, call in _calls(library) for dtype in HALVES]
    return Precision(bf16_flag=flag, bf16_flag_native=native, operations=tuple(operations))


def _flags(library: Any, place: Place) -> tuple[bool | None, bool | None]:
    """Torch's own answer, and the one without emulation (an argument since 2.4)."""
    if place.kind not in ("cuda", "rocm", "xpu"):
        return None, None
    backend = library.xpu if place.kind == "xpu" else library.cuda
    question = getattr(backend, "is_bf16_supported", None)
    if question is None:
        return None, None
    with backend.device(place.name):
        try:
            native = bool(question(including_emulation=False))
        except TypeError:
            native = None
        return bool(question()), native


def _calls(library: Any) -> list[tuple[str, Callable[..., Any]]]:
    """Each takes two fp64 tensors of 8x8, cast to the format asked, and gives one tensor."""
    functional = library.nn.functional
    calls: list[tuple[str, Callable[..., Any]]] = [
        ("matmul", lambda a, b: a @ b),
        ("linear", lambda a, b: functional.linear(a, b, a[0])),
        ("conv2d", lambda a, b: functional.conv2d(a.reshape(1, 1, 8, 8), b[:3, :3].reshape(1, 1, 3, 3), a[0, :1])),
        ("layer_norm", lambda a, b: functional.layer_norm(a, (8,), b[0], b[1])),
    ]
    if hasattr(functional, "scaled_dot_product_attention"):  # torch 2.0
        calls.insert(3, ("attention", lambda a, b: functional.scaled_dot_product_attention(*(x.reshape(1, 1, 8, 8) for x in (a, b, a)))))
    return calls


def _run(library: Any, device: str, dtype: Any, name: str, call: Callable[..., Any]) -> Operation:
    left, right = library.rand(8, 8, dtype=library.float64), library.rand(8, 8, dtype=library.float64)
    expected = call(left, right)
    kind = getattr(library, TORCH_NAME[dtype])
    try:
        result = call(left.to(kind).to(device), right.to(kind).to(device)).cpu().double()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        if device_is_lost(error):
            raise DeviceFault(str(error)) from error
        return Operation(dtype=dtype, name=name, status="refused", message=f"{type(error).__name__}: {error}")
    distance = float((result - expected).norm() / expected.norm())
    right_enough = distance < TOLERANCE[dtype]  # false for NaN
    return Operation(dtype=dtype, name=name, status="works" if right_enough else "wrong", error=distance if distance == distance else -1.0)
