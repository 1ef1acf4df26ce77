"""The processor, from the operating system's own description."""

import os
import platform
import subprocess
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from ..facts import Cpu
from ..probe import Absent, probe
from ..tables import table
from ..text import say

SYSCTL = ("/usr/sbin/sysctl", "hw.optional", "machdep.cpu")
"""By its full path: what cron and launchd start has no /usr/sbin on its PATH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What one description of a processor says; empty where it says nothing."""

    name: str = ""
    vendor: str = ""
    flags: AbstractSet[str] = frozenset()


@probe()
def cpu() -> Cpu:
    """The flags as the operating system names them; archspec names the microarchitecture."""
    described = _described()
    microarchitecture, vendor = _archspec()
    return Cpu(
        name=described.name or platform.processor() or platform.machine(),
        vendor=described.vendor or vendor,
        microarchitecture=microarchitecture,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        features=listed(described.flags, machine()),
    )


def machine() -> str:
    """The architecture of this interpreter, as `tables/cpu_features.csv` names it: macOS and Linux name ARM's features apart."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "arm64" if platform.system() == "Darwin" else "aarch64"}.get(name, name)


def listed(flags: AbstractSet[str], architecture: str) -> tuple[str, ...]:
    """
    The features of the table that these flags hold, sorted.

    Raises:
        Absent: no flags at all on an architecture that has some: to call its half precision missing would be a guess.
    """
    rows = [row for row in table("cpu_features") if row["machine"] == architecture]
    if rows and not flags:
        raise Absent(say("the operating system does not list this processor's instruction sets"))
    return tuple(sorted(row["feature"] for row in rows if row["feature"] in flags))


def from_cpuinfo(text: str) -> Described:
    """
    Linux: the first processor of /proc/cpuinfo, as x86, ARM, POWER, s390 and RISC-V write it.

    Some ARM kernels list the processors first and the features after them: reading on until there are any.
    """
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip().lower(), value.strip())
        elif fields.keys() & {"flags", "features"}:
            break  # the other processors are the same
    names = (fields.get(key, "") for key in ("model name", "cpu model", "uarch", "cpu"))
    return Described(
        name=next(filter(None, names), ""),
        vendor=fields.get("vendor_id", ""),
        flags=frozenset((fields.get("flags") or fields.get("features", "")).split()),
    )


def from_sysctl(text: str) -> Described:
    """MacOS: `key: value` lines. Apple's chips have a key a feature, Intel's three lists of names."""
    values = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    flags = {key for key, value in values.items() if value == "1"}
    if "hw.optional.neon_fp16" in flags:
        flags.add("hw.optional.arm.FEAT_FP16")  # its name in macOS 11
    for key in ("features", "leaf7_features", "extfeatures"):
        flags |= set(values.get(f"machdep.cpu.{key}", "").lower().split())
    name = values.get("machdep.cpu.brand_string", "")
    vendor = values.get("machdep.cpu.vendor", "Apple" if name.startswith("Apple") else "")
    return Described(name=name, vendor=vendor, flags=flags)


def from_cpuid() -> Described:
    """Windows on x86: archspec asks the processor itself, and names what it has as Linux does."""
    from archspec.cpu import brand_string
    from archspec.cpu.detect import CpuidInfoCollector

    asked = CpuidInfoCollector()
    return Described(name=(brand_string() or "").strip(), vendor=asked.vendor, flags=asked.features)


def _described() -> Described:
    """Nothing where there is no way to ask; `listed` judges what that means."""
    if platform.system() == "Linux":
        try:
            return from_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
        except OSError:  # a sandbox without it
            return Described()
    if platform.system() == "Darwin":
        # A fixed program; it exits with 1 where one key of several is unknown, and still prints the others.
        done = subprocess.run(SYSCTL, capture_output=True, timeout=5, check=False)  # noqa: S603
        return from_sysctl(done.stdout.decode(errors="replace"))
    return from_cpuid() if platform.system() == "Windows" and machine() == "x86_64" else Described()


def _archspec() -> tuple[str, str]:
    """Its names of microarchitecture and vendor; the machine's own name where archspec knows none."""
    try:
        import archspec.cpu

        host = archspec.cpu.host()
    except Exception:  # noqa: BLE001  # it raises anything on an architecture that it does not list
        return platform.machine(), ""
    return str(host.name), "" if host.vendor == "generic" else str(host.vendor)
