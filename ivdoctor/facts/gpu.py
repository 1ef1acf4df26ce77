"""The accelerators that the installed torch reports."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["cuda", "rocm", "mps", "xpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One accelerator in torch's order."""

    index: int
    kind: Kind
    name: str
    memory_mib: int
    """Total memory; 0 where torch does not tell (MPS shares the host's)."""
    compute_capability: tuple[int, int] | None = None
    """NVIDIA only."""
    gfx: str | None = None
    """AMD only: the architecture without its feature suffixes, `gfx942`."""
    pci: str | None = None
    mig: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """Every accelerator torch can use; none is an answer too."""

    devices: tuple[Device, ...]
