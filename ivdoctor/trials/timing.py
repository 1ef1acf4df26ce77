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
    if kind == "mps":
        return torch.mps.synchronize  # type: ignore[no-any-return]  # torch 1.12 and newer, untyped in some
    backend = getattr(torch, kind)
    return lambda: backend.synchronize(device)
