"""The NVIDIA driver, as NVML sees it."""

from dataclasses import dataclass

from .version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class NvmlDevice:
    """One device in NVML's order, which is neither torch's nor bound by CUDA_VISIBLE_DEVICES."""

    index: int
    name: str
    architecture: str
    compute_capability: tuple[int, int]
    memory_mib: int
    """0 where NVML cannot tell: integrated GPUs share the host's."""
    pci: str
    """Domain:bus:device, what joins it with the device that torch sees; empty where NVML cannot tell."""
    mig: bool
    """Whether the device is cut into MIG instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A driver that answers."""

    version: Version
    cuda: tuple[int, int]
    """The newest CUDA release this driver runs without a compatibility package."""
    devices: tuple[NvmlDevice, ...]
