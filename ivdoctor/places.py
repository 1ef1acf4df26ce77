"""Facts in, places out: where a model could run on this machine."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .facts import Cpu, Device, Driver, DtypeRow, Environ, Gpu, Host, NvmlDevice, Place
from .tables import architecture, cpu_dtype_row, dtype_row

UNLISTED = DtypeRow(note="not in the tables")


def places(facts: Mapping[type, Any]) -> tuple[Place, ...]:
    """
    The CPU, then each distinct accelerator; equal ones are one place with a count.

    torch's view comes first; what only the driver sees is a place too, one that torch cannot reach.
    """
    found = [_cpu(facts)]
    gpu, driver = facts.get(Gpu), facts.get(Driver)
    if isinstance(gpu, Gpu) and gpu.devices:
        found += _distinct([_device(device, facts) for device in gpu.devices])
    elif isinstance(driver, Driver) and not hidden(facts.get(Environ), len(driver.devices)):
        found += _distinct([_unreached(device) for device in driver.devices])
    return tuple(found)


def hidden(environ: object, devices: int) -> bool:
    """Whether CUDA_VISIBLE_DEVICES leaves none of this many devices: CUDA stops at the first entry that names none."""
    value = environ.get("CUDA_VISIBLE_DEVICES") if isinstance(environ, Environ) else None
    if value is None:
        return False
    first = value.partition(",")[0].strip()
    return not (first.startswith(("GPU-", "MIG-")) or (first.isascii() and first.isdigit() and int(first) < devices))


def _cpu(facts: Mapping[type, Any]) -> Place:
    cpu, host = facts.get(Cpu), facts.get(Host)
    known = cpu if isinstance(cpu, Cpu) else None
    return Place(
        name="cpu",
        kind="cpu",
        title=known.name if known else "CPU",
        memory_mib=host.memory_mib if isinstance(host, Host) else 0,
        architecture=known.microarchitecture if known else "",
        reachable=True,
        dtypes=cpu_dtype_row(known.features, host.machine if isinstance(host, Host) else "")
        if known
        else DtypeRow(note="the CPU could not be looked at"),
    )


def _device(device: Device, facts: Mapping[type, Any]) -> Place:
    cpu = facts.get(Cpu)
    if device.compute_capability:
        row = architecture("sm_%d%d" % device.compute_capability, device.name)
    elif device.gfx:
        row = architecture(device.gfx, device.name)
    else:
        title = cpu.name if device.kind == "mps" and isinstance(cpu, Cpu) else device.name
        row = architecture("", title)
    kind = "cuda" if device.kind == "rocm" else device.kind
    return Place(
        name="mps" if device.kind == "mps" else f"{kind}:{device.index}",
        kind=device.kind,
        title=device.name,
        memory_mib=device.memory_mib,
        architecture=row["architecture"] if row else "",
        compute_capability=device.compute_capability,
        gfx=device.gfx,
        reachable=True,
        dtypes=dtype_row(row) if row else UNLISTED,
    )


def _unreached(device: NvmlDevice) -> Place:
    row = architecture("sm_%d%d" % device.compute_capability, device.name)
    return Place(
        name=f"cuda:{device.index}",
        kind="cuda",
        title=device.name,
        memory_mib=device.memory_mib,
        architecture=(row["architecture"] if row else "") or device.architecture,
        compute_capability=device.compute_capability,
        reachable=False,
        dtypes=dtype_row(row) if row else UNLISTED,
    )


def _distinct(every: list[Place]) -> list[Place]:
    """The first of each kind of device, with the count of its equals."""
    groups: dict[object, list[Place]] = {}
    for place in every:
        groups.setdefault((place.title, place.compute_capability, place.gfx, place.memory_mib), []).append(place)
    return [replace(group[0], count=len(group), others=tuple(place.name for place in group[1:])) for group in groups.values()]
