"""How long a call takes: warmed up, the least of three."""

import time
from collections.abc import Callable
from typing import Any

REPEATS = 3

LONG = 0.01
"""Seconds of a first run beside which choosing a kernel on a CPU, a millisecond or two, does not count."""


def least(call: Callable[[], Any], settle: Callable[[], Any] | None = None) -> float:
    """
    Seconds of the fastest of three runs after a first one, which pays for choosing kernels.

    Args:
        settle: waits until the device is done; None for a CPU, where a first run that is long is one of the three.
    """
    first = _seconds(call, settle)
    further = REPEATS - 1 if settle is None and first > LONG else REPEATS
    return min([_seconds(call, settle) for _ in range(further)] + ([first] if further < REPEATS else []))


def _seconds(call: Callable[[], Any], settle: Callable[[], Any] | None) -> float:
    began = time.perf_counter()
    call()
    if settle:
        settle()
    return time.perf_counter() - began


def settler(torch: Any, device: str) -> Callable[[], Any] | None:
    """What waits for this device; None for a CPU, which is done when the call is."""
    kind = device.partition(":")[0]
    if kind == "cpu":
        return None
    wait = getattr(getattr(torch, kind, None), "synchronize", None)
    if wait is None:  # MPS before torch 2.0
        return lambda: torch.zeros(1, device=device).item()
    return wait if kind == "mps" else lambda: wait(device)
