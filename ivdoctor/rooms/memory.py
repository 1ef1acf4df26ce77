"""How much memory a process may still take."""

import contextlib

GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
        "total_inactive_file",
    ),
)
"""The limit and the use of a container's control group, version 2 and version 1, and what of the use is files that were read."""


def free_mib() -> float:
    """What the machine can give without swapping, or the container where that is less; in MiB."""
    free = _available()
    for limit, used, listing, cached in GROUPS:
        with contextlib.suppress(OSError, ValueError), open(limit, encoding="ascii") as most, open(used, encoding="ascii") as now:
            room = float(most.read()) - float(now.read())  # `max` where there is no limit: a ValueError
            free = min(free, max(0.0, room + _listed(listing, cached)))
    return free / 2**20


def _listed(path: str, name: str) -> float:
    """Bytes; a checkpoint read before fills the group's memory, and gives way as soon as it is wanted."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(path, encoding="ascii") as listing:
        return next((float(line.split()[1]) for line in listing if line.startswith(f"{name} ")), 0.0)
    return 0.0


def _available() -> float:
    """Bytes."""
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/meminfo", encoding="ascii") as listing:
        for line in listing:
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    import psutil

    return float(psutil.virtual_memory().available)
