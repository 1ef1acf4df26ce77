"""The processor, from the operating system's own description."""

import os
import platform
import subprocess
import sys
from pathlib import Path

from ..facts import Cpu
from ..probe import probe
from ..tables import table


@probe()
def cpu() -> Cpu:
    """The flags as the operating system names them; archspec names the microarchitecture."""
    flags, name, vendor = _darwin() if sys.platform == "darwin" else _linux() if sys.platform.startswith("linux") else _archspec_only()
    known = {row["feature"] for row in table("cpu_features")}
    return Cpu(
        name=name or platform.processor() or platform.machine(),
        vendor=vendor,
        microarchitecture=_microarchitecture(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        features=tuple(sorted(known & flags)),
    )


def _linux() -> tuple[set[str], str, str]:
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip().lower(), value.strip())
        elif fields:
            break  # the other processors are the same
    flags = set(fields.get("flags", fields.get("features", "")).split())
    return flags, fields.get("model name", ""), fields.get("vendor_id", fields.get("cpu implementer", ""))


def _darwin() -> tuple[set[str], str, str]:
    names = [row["feature"] for row in table("cpu_features") if row["feature"].startswith("hw.")]
    flags = {name for name in names if _sysctl(name) == "1"}
    return flags | set(_sysctl("machdep.cpu.features").lower().split()), _sysctl("machdep.cpu.brand_string"), "Apple"


def _sysctl(name: str) -> str:
    done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False)
    return done.stdout.strip()


def _archspec_only() -> tuple[set[str], str, str]:
    """Windows: archspec asks the processor itself."""
    import archspec.cpu

    host = archspec.cpu.host()
    return set(host.features), "", host.vendor


def _microarchitecture() -> str:
    import archspec.cpu

    return str(archspec.cpu.host().name)
