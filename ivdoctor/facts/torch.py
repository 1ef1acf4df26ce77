"""The installed PyTorch."""

from dataclasses import dataclass

from .version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A setting that changes precision, by the name one would write to read it."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Torch:
    """What was built and what is switched on, before any tensor exists."""

    version: Version
    cuda: tuple[int, int] | None = None
    """The CUDA release of the build; None for a build without CUDA."""
    hip: Version | None = None
    """The ROCm release of the build."""
    cudnn: Version | None = None
    arch_list: tuple[str, ...] = ()
    """Device code in the build: `sm_80` runs as it is, `compute_90` is compiled on first use."""
    cuda_available: bool
    """torch.cuda.is_available(); also True for ROCm."""
    cpu_capability: str
    """The vector instructions torch's own CPU kernels use, or `unknown` before torch 2.1."""
    cpu_reports: tuple[str, ...]
    """Names of torch's own yes/no questions about the CPU that it answers with yes."""
    switches: tuple[Switch, ...]
