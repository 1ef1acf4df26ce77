"""Time and peak memory of a forward pass."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

LEAST, MOST = 3, 20
"""Timed passes."""

ENOUGH, TOO_LONG = 0.6, 20.0
"""Seconds after which no more than the least number is made, and after which none is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one warm forward pass."""

    seconds: float
    extra_mib: float | None
    """Peak above what was held before it; None where this system does not tell."""
    passes: int


def measured(call: Callable[[], object], device: str) -> Cost:
    """
    The least time of a few calls, and the peak of the first.

    The kernel's high-water mark of a process is set back before it, or the accelerator's own; a CPU's would never fall.
    """
    before = _reset(device)
    least, spent, passes = float("inf"), 0.0, 0
    extra: float | None = None
    while (passes < LEAST and spent < TOO_LONG) or (passes < MOST and spent < ENOUGH):
        _wait(device)
        began = time.perf_counter()
        call()
        _wait(device)
        seconds = time.perf_counter() - began
        if not passes and before is not None:
            peak = _peak_mib(device)
            extra = None if peak is None else max(0.0, peak - before)
        least, spent, passes = min(least, seconds), spent + seconds, passes + 1
    return Cost(seconds=least, extra_mib=extra, passes=passes)


def _wait(device: str) -> None:
    """Accelerators answer before they are done."""
    kind, _, index = device.partition(":")
    backend = getattr(torch, kind, None)
    if kind != "cpu" and backend is not None and hasattr(backend, "synchronize"):
        backend.synchronize(*([device] if index else []))


def _reset(device: str) -> float | None:
    """Start counting anew; what is held now, in MiB."""
    if device == "cpu":
        try:
            with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        except OSError:
            return None
        return _told_mib("VmRSS:")  # of this process alone, as its peak is
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device) / 2**20
    return None


def _peak_mib(device: str) -> float | None:
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    return _told_mib("VmHWM:")


def _told_mib(name: str) -> float | None:
    """What the kernel tells of this process."""
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/self/status", encoding="utf-8", errors="replace") as status:
        return next((int(line.split()[1]) / 1024 for line in status if line.startswith(name)), None)
    return None
