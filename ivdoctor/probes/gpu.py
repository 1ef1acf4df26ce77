"""The accelerators that torch can use."""

from typing import Any

from ..facts import Device, Gpu, Torch
from ..probe import DeviceFault, probe
from ..trials.failure import first_line


@probe(room="trial:devices", timeout=60)
def gpu(torch: Torch) -> Gpu:
    """Needs the torch fact: a torch that cannot be imported has no devices."""
    import torch as library

    devices: list[Device] = []
    if torch.cuda_available:
        devices += [_cuda(library, index) for index in range(library.cuda.device_count())]
    mps = getattr(library.backends, "mps", None)  # torch 1.12
    if mps and _available(mps):
        devices.append(Device(index=0, kind="mps", name=_mps_name(mps), memory_mib=0))
    xpu = getattr(library, "xpu", None)  # torch 2.3
    if xpu and _available(xpu):
        devices += [_xpu(xpu, index) for index in range(xpu.device_count())]
    return Gpu(devices=tuple(devices))


def _available(backend: Any) -> bool:
    """Whether it is usable; a backend without the question is not there yet in this version."""
    question = getattr(backend, "is_available", None)
    return bool(question()) if callable(question) else False


def _mps_name(mps: Any) -> str:
    """Metal's name of the device, which torch tells since 2.9."""
    question = getattr(mps, "get_name", None)
    return str(question()) if callable(question) else "Apple GPU"


def _cuda(library: Any, index: int) -> Device:
    found = _properties(library.cuda, f"cuda:{index}", index)
    gfx = getattr(found, "gcnArchName", "") if library.version.hip else ""
    return Device(
        index=index,
        kind="rocm" if library.version.hip else "cuda",
        name=found.name,
        memory_mib=int(found.total_memory / 2**20),
        compute_capability=None if library.version.hip else (found.major, found.minor),
        gfx=gfx.partition(":")[0] or None,
        pci=_pci(found),
        mig="MIG" in found.name,
    )


def _pci(found: Any) -> str | None:
    """Where the device is, as NVML writes it; only newer torch tells."""
    try:
        return f"{found.pci_domain_id:04x}:{found.pci_bus_id:02x}:{found.pci_device_id:02x}"
    except AttributeError:
        return None


def _xpu(xpu: Any, index: int) -> Device:
    found = _properties(xpu, f"xpu:{index}", index)
    return Device(index=index, kind="xpu", name=found.name, memory_mib=int(found.total_memory / 2**20))


def _properties(backend: Any, name: str, index: int) -> Any:
    """
    What the backend says of a device.

    Raises:
        DeviceFault: it says there is one, and fails when asked about it.
    """
    try:
        return backend.get_device_properties(index)
    except Exception as error:  # an AssertionError for a vanished device, torch's own types for what its start-up ran into
        raise DeviceFault(f"{name}: {type(error).__name__}: {first_line(error)}") from error
