"""The accelerators that torch can use."""

from typing import Any

from ..facts import Device, Gpu, Torch
from ..probe import DeviceFault, probe


@probe(room="trial:devices", timeout=60)
def gpu(torch: Torch) -> Gpu:
    """Needs the torch fact: a torch that cannot be imported has no devices."""
    import torch as library

    devices: list[Device] = []
    if torch.cuda_available:
        devices += [_cuda(library, index) for index in range(library.cuda.device_count())]
    mps = getattr(library.backends, "mps", None)
    if mps is not None and mps.is_available():
        devices.append(Device(index=0, kind="mps", name="Apple GPU", memory_mib=0))
    xpu = getattr(library, "xpu", None)
    if xpu is not None and xpu.is_available():
        devices += [_xpu(xpu, index) for index in range(xpu.device_count())]
    return Gpu(devices=tuple(devices))


def _cuda(library: Any, index: int) -> Device:
    try:
        found = library.cuda.get_device_properties(index)
    except RuntimeError as error:
        raise DeviceFault(f"cuda:{index}: {error}") from error
    gfx = getattr(found, "gcnArchName", "") if library.version.hip else ""
    pci = None
    if hasattr(found, "pci_bus_id"):
        pci = f"{found.pci_domain_id:04x}:{found.pci_bus_id:02x}:{found.pci_device_id:02x}"
    return Device(
        index=index,
        kind="rocm" if library.version.hip else "cuda",
        name=found.name,
        memory_mib=int(found.total_memory / 2**20),
        compute_capability=None if library.version.hip else (found.major, found.minor),
        gfx=gfx.partition(":")[0] or None,
        pci=pci,
        mig="MIG" in found.name,
    )


def _xpu(xpu: Any, index: int) -> Device:
    found = xpu.get_device_properties(index)
    return Device(index=index, kind="xpu", name=found.name, memory_mib=int(found.total_memory / 2**20))
