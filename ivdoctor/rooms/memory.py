"""How much memory a process may still take."""

import contextlib

GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
"""The limit and the use of a container's control group, version 2 and version 1."""


def free_mib() -> float:
    """What the machine can give without swapping, or the container where that is less; in MiB."""
    free = _available()
    for limit, used in GROUPS:
        with contextlib.suppress(OSError, ValueError), open(limit, encoding="ascii") as most, open(used, encoding="ascii") as now:
            free = min(free, max(0.0, float(most.read()) - float(now.read())))  # `max` where there is no limit: a ValueError
    return free / 2**20


def _available() -> float:
    """Bytes."""
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/meminfo", encoding="ascii") as listing:
        for line in listing:
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    import psutil

    return float(psutil.virtual_memory().available)
