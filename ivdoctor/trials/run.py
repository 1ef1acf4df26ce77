"""One forward pass of the miniature, with whatever dtypes its parts and its pixels have."""

import contextlib
import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..facts import TORCH_NAME, Attempt, Half, Site
from ..probe import DeviceFault
from .failure import device_is_lost, first_line, location
from .miniature import Miniature

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CODE = {os.path.join(PACKAGE, "trials", name) for name in ("miniature.py", "remedies.py")}
"""Where the miniature's own lines stand, a remedy's way of calling it included."""

EXPECTED = (RuntimeError, TypeError, ValueError, AssertionError, NotImplementedError)
"""What torch raises when a cast or an operator is refused; anything else is a fault of ours."""

Forward = Callable[[Miniature, Tensor, Tensor], Tensor]


def torch_dtype(short: Half) -> torch.dtype:
    """By its short name."""
    dtype: torch.dtype = getattr(torch, TORCH_NAME[short])
    return dtype


def forward(model: Miniature, pixels: Tensor, ids: Tensor) -> Tensor:
    """The plain call; a remedy may put another in its place."""
    logits: Tensor = model(pixels, ids)
    return logits


class LastFunction(TorchFunctionMode):
    """Remembers the innermost torch function that raised."""

    name = ""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            return function(*args, **(kwargs or {}))
        except Exception:
            self.name = self.name or getattr(function, "__name__", "")
            raise


def attempt(model: Miniature, pixels: Tensor, ids: Tensor, expected: Tensor, call: Forward = forward, *, locate: bool = True) -> Attempt:
    """
    Run it and say what happened.

    Args:
        expected: the fp32 model's logits on the CPU.
        locate: whether to say where a failure was raised, which costs a second run.

    Raises:
        DeviceFault: the device is lost to this process.
    """
    try:
        with torch.no_grad():
            logits = call(model, pixels, ids)
            distance = float((logits.cpu().double() - expected).norm() / expected.norm())  # an accelerator's errors come late
    except EXPECTED as error:
        failed = raised(error)
        if not locate:
            return failed
        site = location(error, model, _culprit(model, pixels, ids, call), own=CODE.__contains__, root=PACKAGE)
        return replace(failed, location=site, origin=_origin(site, model, pixels))
    return Attempt(
        status="ran",
        output=_name(logits.dtype),
        relative_l2=distance if math.isfinite(distance) else -1.0,
    )


def raised(error: BaseException) -> Attempt:
    """
    An exception as an attempt.

    Raises:
        DeviceFault: nothing more can be tried on this device in this process.
    """
    if device_is_lost(error):
        raise DeviceFault(first_line(error)) from error
    return Attempt(status="raised", error=type(error).__name__, message=first_line(error))


def _culprit(model: Miniature, pixels: Tensor, ids: Tensor, call: Forward) -> str:
    """The torch function that raises, from a second run: watching every run would double its cost."""
    watching = LastFunction()
    with contextlib.suppress(Exception), torch.no_grad(), watching:
        call(model, pixels, ids)
    return watching.name


def _origin(site: Site, model: Miniature, pixels: Tensor) -> Site:
    """What gave the operator its odd operand: the caller's pixels, or the part before this one."""
    if site.module.startswith("vision"):
        return Site(module="pixel_values", dtype=_name(pixels.dtype))
    maker = "vision" if site.module.startswith("projector") else "projector"
    return Site(module=maker, dtype=_name(next(getattr(model, maker).parameters()).dtype))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
