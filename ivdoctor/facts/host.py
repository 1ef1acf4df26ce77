"""The operating system and the interpreter."""

from dataclasses import dataclass

from .version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What carries everything else."""

    system: str
    """`Linux`, `Darwin` or `Windows`."""
    release: Version
    """The kernel's release."""
    machine: str
    """`x86_64`, `aarch64`, `arm64`."""
    libc: str
    """Name and version of the C library, empty where Python does not know it."""
    python: Version
    implementation: str
    memory_mib: int
    """Physical memory, as the operating system gives it."""
    wsl: bool
    """Linux inside Windows: the driver is Windows' own."""
    container: bool
