"""Which number formats really run at a place, and what torch's own flag says."""

from dataclasses import dataclass
from typing import Literal

from .dtype import Half


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation really run in one format."""

    dtype: Half
    name: str
    """The operator class: `matmul`, `linear`, `conv2d`, `attention`, `layer_norm`."""
    status: Literal["works", "refused", "wrong"]
    """wrong: it ran, and its result is not finite or not near the fp32 result."""
    message: str = ""
    """What torch said when it refused."""
    error: float = 0.0
    """Relative L2 distance from the fp32 result, where it ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """At one place."""

    bf16_flag: bool | None = None
    """The bare `is_bf16_supported()`; None where torch has no such question for this device."""
    bf16_flag_native: bool | None = None
    """The same with `including_emulation=False`; None before torch 2.4."""
    operations: tuple[Operation, ...]

    def refused(self, dtype: str) -> tuple[Operation, ...]:
        """The operations that do not give a usable result in this format."""
        return tuple(one for one in self.operations if one.dtype == dtype and one.status != "works")
