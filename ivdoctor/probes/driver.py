"""The NVIDIA driver, through NVML: the module pynvml of the package nvidia-ml-py."""

from typing import Any

from ..facts import Driver, NvmlDevice, Version
from ..probe import Absent, probe


@probe(room="driver", timeout=15)
def driver() -> Driver:
    """In a room: a driver that is half unloaded can hang or kill its caller."""
    try:
        import pynvml
    except ImportError as error:
        raise Absent("nvidia-ml-py is not installed, so NVML cannot be asked") from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound as error:
        raise Absent("no NVIDIA driver: its library libnvidia-ml is not on this machine") from error
    except pynvml.NVMLError_DriverNotLoaded as error:
        raise Absent("the NVIDIA driver is installed but not loaded") from error
    try:
        cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        return Driver(
            version=Version(_text(pynvml.nvmlSystemGetDriverVersion())),
            cuda=(cuda // 1000, cuda % 1000 // 10),
            devices=tuple(_device(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())),
        )
    finally:
        pynvml.nvmlShutdown()


def _device(nvml: Any, index: int) -> NvmlDevice:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    pci = nvml.nvmlDeviceGetPciInfo(handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return NvmlDevice(
        index=index,
        name=_text(nvml.nvmlDeviceGetName(handle)),
        architecture=_architecture(nvml, handle),
        compute_capability=(major, minor),
        memory_mib=int(nvml.nvmlDeviceGetMemoryInfo(handle).total / 2**20),
        pci=f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}",
        mig=_mig(nvml, handle),
    )


def _architecture(nvml: Any, handle: Any) -> str:
    """NVML's name of the architecture; empty for one younger than this nvidia-ml-py."""
    try:
        number = nvml.nvmlDeviceGetArchitecture(handle)
    except nvml.NVMLError:
        return ""
    prefix = "NVML_DEVICE_ARCH_"
    names = {getattr(nvml, name): name.removeprefix(prefix).capitalize() for name in dir(nvml) if name.startswith(prefix)}
    return names.get(number, "")


def _mig(nvml: Any, handle: Any) -> bool:
    try:
        current, _pending = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:  # most devices cannot be cut
        return False
    return bool(current == nvml.NVML_DEVICE_MIG_ENABLE)


def _text(value: str | bytes) -> str:
    """nvidia-ml-py gave bytes before 11.515."""
    return value.decode() if isinstance(value, bytes) else value
