"""One real operation of each class in each format, on one device: does it run, is it right, how fast beside fp32."""

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ..facts import HALVES, TORCH_NAME, Asked, Format, Operation, Place, Precision, Torch
from ..probe import Absent, DeviceFault, probe
from ..text import say
from ..trials.failure import device_is_lost, first_line
from ..trials.operators import Operator, missing, operators
from ..trials.timing import least, settler

TOLERANCE = {"fp64": 1e-2, "fp32": 1e-2, "fp16": 1e-2, "bf16": 5e-2, "fp8_e4m3": 1e-1, "fp8_e5m2": 2e-1}
"""
Relative L2 distance from the CPU's fp64 result that is still right.

Ten times and more what 11 and 8 bits of mantissa give on these shapes, three times what 4 and 3 bits do. fp32 has fp16's, for TF32 is on
for convolutions by default and oneDNN may be told to multiply fp32 as bf16: that is a setting, and no wrong result.
"""

FNUZ = {"fp8_e4m3": "float8_e4m3fnuz", "fp8_e5m2": "float8_e5m2fnuz"}
"""The fp8 of MI300 (gfx94): the same bits, half the value."""

THOROUGH: tuple[Format, ...] = ("fp32", "fp64", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2")

FULL = (
    *("out of memory", "can't allocate memory", "not enough memory", "memoryallocation", "alloc_failed", "allocfailed"),
    *("outofmemory", "out_of_resources", "out_of_device_memory"),
)
"""How torch and the backends say that a memory is full; cuBLAS and cuDNN do so at their first call: `CUBLAS_STATUS_ALLOC_FAILED`."""


@probe(room="trial", timeout=120)
def precision(torch: Torch, place: Place, asked: Asked) -> Precision:
    """The few operators of every model in the three formats; with `--thorough` every class in every format that torch has."""
    import torch as library

    from ..trials import threads

    if not place.reachable:
        raise Absent(say("torch {version} cannot reach {title}", version=torch.version, title=place.title))
    threads.one()
    library.manual_seed(0)
    flag, native = _flags(library, place)
    formats = THOROUGH if asked.thorough else HALVES
    kinds = {one: getattr(library, _name(one, place), None) for one in formats}
    there = [one for one in formats if kinds[one] is not None]
    every = [one for one in operators(library) if one.plain or (asked.thorough and _chosen(one, place))]
    found: list[Operation] = []
    for operator in every:
        runs = [run_operator(library, place.name, dtype, operator, kinds[dtype]) for dtype in there if dtype in (operator.only or there)]
        found += timed(library, place.name, operator, runs, kinds)
    for other in place.others:  # equals by name are not equals by health
        runs = [run_operator(library, other, dtype, every[0]) for dtype in HALVES]
        found += [replace(one, name=f"{one.name} on {other}") for one in runs]
    lacking = [one for one in missing(library) if asked.thorough or one == "attention"] + [one for one in formats if one not in there]
    return Precision(bf16_flag=flag, bf16_flag_native=native, operations=tuple(found), missing=tuple(lacking))


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


def _name(dtype: Format, place: Place) -> str:
    return FNUZ.get(dtype, TORCH_NAME[dtype]) if (place.gfx or "").startswith("gfx94") else TORCH_NAME[dtype]


def _chosen(operator: Operator, place: Place) -> bool:
    """MPS took its own attention whatever backend was named: each would seem to work (pytorch/pytorch#184585, 2026-05-20)."""
    return place.kind != "mps" or not operator.name.startswith("attention_")


def run_operator(library: Any, device: str, dtype: Format, operator: Operator, kind: Any = None) -> Operation:
    """
    One call in one format on the device, against the same call in fp64 on the CPU.

    Args:
        kind: torch's own dtype, where the device has another one for this format.
    """
    kind = kind or getattr(library, TORCH_NAME[dtype])
    given = [library.rand(*shape, dtype=library.float64) for shape in operator.sizes.small]
    expected = (operator.reference or operator.call)(*given)
    try:
        with _quiet():
            result = operator.call(*(one.to(kind).to(device) for one in given)).cpu().double()
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        _unusable(error, device)
        return Operation(dtype=dtype, name=operator.name, status="refused", message=f"{type(error).__name__}: {first_line(error)}")
    distance = float((result - expected).norm() / expected.norm())
    if not math.isfinite(distance):
        return Operation(dtype=dtype, name=operator.name, status="wrong", error=-1.0)
    return Operation(dtype=dtype, name=operator.name, status="works" if distance < TOLERANCE[dtype] else "wrong", error=distance)


def timed(library: Any, device: str, operator: Operator, found: list[Operation], kinds: dict[Format, Any] | None = None) -> list[Operation]:
    """
    The same operations with their times beside that of fp32; what does not fit into memory is not timed.

    Args:
        kinds: torch's own dtypes, where the device has others for some formats.
    """
    shapes = operator.sizes.cpu if device == "cpu" else operator.sizes.accelerator
    if not shapes or not any(one.dtype == "fp32" and one.status == "works" for one in found):
        return found
    settle = settler(library, device)
    seconds: dict[str, float] = {}
    for one in found:
        if one.status != "works":
            continue
        try:
            with _quiet():
                kind = (kinds or {}).get(one.dtype) or getattr(library, TORCH_NAME[one.dtype])
                given = [library.rand(*shape, device=device).to(kind) for shape in shapes]
                seconds[one.dtype] = least(lambda given=given: operator.call(*given), settle)  # type: ignore[misc]  # bound now, called now
        except (RuntimeError, TypeError, ValueError, AssertionError) as error:
            if device_is_lost(error):
                raise DeviceFault(first_line(error)) from error
    base = seconds.get("fp32")
    return [replace(one, ratio=float(f"{seconds[one.dtype] / base:.2g}")) if base and one.dtype in seconds else one for one in found]


def _unusable(error: Exception, device: str) -> None:
    """A device that is lost, or full, says nothing about a format."""
    if device_is_lost(error):
        raise DeviceFault(first_line(error)) from error
    if type(error).__name__ == "OutOfMemoryError" or any(mark in str(error).lower() for mark in FULL):
        raise DeviceFault(say("the memory of {device} is full: {error}", device=device, error=first_line(error))) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Why a backend was not taken is told as a warning beside the refusal, and a kernel that will change is too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
