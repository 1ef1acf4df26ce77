"""How long a call takes: warmed up, the least of three."""

import time
from collections.abc import Callable
from typing import Any

REPEATS = 3


def least(call: Callable[[], Any], settle: Callable[[], Any]) -> float:
    """
    Seconds of the fastest of three runs after a first one, which pays for choosing kernels.

    Args:
        settle: waits until the device is done; nothing on a CPU.
    """
    call()
    settle()
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        settle()
        best = min(best, time.perf_counter() - began)
    return best


def settler(torch: Any, device: str) -> Callable[[], Any]:
    """What waits for this device."""
    kind = device.partition(":")[0]
    if kind == "cpu":
        return lambda: None
    wait = getattr(getattr(torch, kind, None), "synchronize", None)
    if wait is None:  # MPS before torch 2.0
        return lambda: torch.zeros(1, device=device).item()
    return wait if kind == "mps" else lambda: wait(device)
