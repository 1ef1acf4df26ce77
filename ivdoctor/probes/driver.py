"""The NVIDIA driver, through NVML: the module pynvml of the package nvidia-ml-py."""

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from typing import Any

from ..facts import Driver, NvmlDevice, Version
from ..probe import Absent, probe
from ..text import say

LIBRARY = "libnvidia-ml.so.1"


@probe(room="driver", timeout=15)
def driver() -> Driver:
    """
    In a room: a driver that is half unloaded can hang or kill its caller.

    No library and no loaded driver are answers; whatever else NVML refuses is a failure, told in its own words.
    """
    try:
        import pynvml
    except ModuleNotFoundError as error:
        if error.name != "pynvml":
            raise
        raise Absent(say("nvidia-ml-py is not installed, so NVML cannot be asked")) from error
    _start(pynvml)
    try:
        return Driver(
            version=Version(_text(pynvml.nvmlSystemGetDriverVersion())),
            cuda=_cuda(pynvml),
            devices=tuple(_devices(pynvml)),
        )
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _start(nvml: Any) -> None:
    try:
        nvml.nvmlInit()
    except nvml.NVMLError_LibraryNotFound as error:
        broken = _unloadable()
        if broken:
            raise RuntimeError(say("the NVIDIA driver's library is here and cannot be loaded: {error}", error=broken)) from error
        raise Absent(say("no NVIDIA driver: its library libnvidia-ml is not on this machine")) from error
    except nvml.NVMLError_DriverNotLoaded as error:
        raise Absent(say("the NVIDIA driver is installed but not loaded")) from error
    except nvml.NVMLError_LibRmVersionMismatch as error:
        raise RuntimeError(
            say(
                "the loaded NVIDIA driver and its library libnvidia-ml differ in version: after an update it was not reloaded, a reboot does so ({error})",
                error=error,
            )
        ) from error


def _unloadable() -> str:
    """What the loader says of a library that is there and broken: pynvml calls that `not found` too, and an empty file is common in containers."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError as error:
        return "" if LIBRARY in str(error) and "No such file" in str(error) else str(error)
    return ""


def _cuda(nvml: Any) -> tuple[int, int]:
    """The first question needs libcuda, which a container with the capability `utility` lacks; the second one does not."""
    for name in ("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"):
        with contextlib.suppress(nvml.NVMLError_FunctionNotFound, nvml.NVMLError_LibraryNotFound, AttributeError):
            number = getattr(nvml, name)()
            return number // 1000, number % 1000 // 10
    raise RuntimeError(say("this NVIDIA driver does not tell which CUDA it runs"))


def _devices(nvml: Any) -> Iterator[NvmlDevice]:
    count = nvml.nvmlDeviceGetCount()
    for index in range(count):
        try:
            handle = _handle(nvml, index)
            if handle is not None:
                yield _device(nvml, index, handle)
        except nvml.NVMLError as error:  # most often one that has fallen off the bus since it was counted
            raise RuntimeError(
                say("NVML counts {count} device(s), and of device {index} it says: {error}", count=count, index=index, error=error)
            ) from error


def _handle(nvml: Any, index: int) -> Any:
    """None for a device that NVML counts and this user may not touch."""
    try:
        return nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError_NoPermission:
        return None


def _device(nvml: Any, index: int, handle: Any) -> NvmlDevice:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    pci = _optional(nvml, "nvmlDeviceGetPciInfo", handle)
    memory = _optional(nvml, "nvmlDeviceGetMemoryInfo", handle)
    mig = _optional(nvml, "nvmlDeviceGetMigMode", handle)
    return NvmlDevice(
        index=index,
        name=_text(nvml.nvmlDeviceGetName(handle)),
        architecture=_architecture(nvml, _optional(nvml, "nvmlDeviceGetArchitecture", handle)),
        compute_capability=(major, minor),
        memory_mib=int(memory.total / 2**20) if memory else 0,
        pci=f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}" if pci else "",
        mig=bool(mig and mig[0] == nvml.NVML_DEVICE_MIG_ENABLE),
    )


def _optional(nvml: Any, name: str, handle: Any) -> Any:
    """
    What NVML answers, or None where this device, driver or nvidia-ml-py has no such thing.

    Integrated GPUs share the host's memory and are on no PCI bus; most devices cannot be cut into MIG instances.
    """
    try:
        return getattr(nvml, name)(handle)
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound, AttributeError):
        return None


def _architecture(nvml: Any, number: int | None) -> str:
    """NVML's name of the architecture; empty for one younger than this nvidia-ml-py."""
    prefix = "NVML_DEVICE_ARCH_"
    names = {getattr(nvml, name): name.removeprefix(prefix).capitalize() for name in dir(nvml) if name.startswith(prefix)}
    return names.get(number, "").replace("Unknown", "")


def _text(value: str | bytes) -> str:
    """nvidia-ml-py gave bytes before 11.515."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
