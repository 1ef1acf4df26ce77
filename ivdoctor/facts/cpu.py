"""The processor, and the instructions that bear on number formats."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """The processor of this machine."""

    name: str
    """The brand string: `AMD EPYC 7763 64-Core Processor`."""
    vendor: str
    microarchitecture: str
    """archspec's name, such as `zen3` or `sapphirerapids`."""
    cores: int
    """Logical cores that this process may use."""
    features: tuple[str, ...]
    """Instruction sets of `tables/cpu_features.csv` that the processor has, sorted."""
