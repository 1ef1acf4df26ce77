"""Which number formats really run at a place, how fast beside fp32, and what torch's own flag says."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["fp64", "fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2"]
"""The formats a tensor can have in torch, of those that the tables have a column for."""

SLOW = 2.0
"""A ratio of times that is no noise."""

COLLAPSED = 20.0
"""
From here on no conversion explains it: a plain loop does the work.

A conversion costs 2 to 10 times; a loop was 25 times and more at 256^3, 60 and more at 1024^3 (torch 2.13.0, 2026-11-23).
"""


EVERYDAY = ("matmul", "linear", "conv2d", "attention", "layer_norm")
"""The operators without which a model does not run; a rarer one can be stepped around."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation really run in one format."""

    dtype: Format
    name: str
    """The operator: `matmul`, `linear`, `conv2d`, `attention`, `layer_norm`; `matmul on cuda:1` for an equal of the device."""
    status: Literal["works", "refused", "wrong"]
    """wrong: it ran, and its result is not finite or not near the fp64 result."""
    message: str = ""
    """What torch said when it refused."""
    error: float = 0.0
    """Relative L2 distance from the fp64 result, where it ran; -1 where that is not finite."""
    ratio: float = 0.0
    """Its time over that of fp32 in the same run, each the least of three after a first; 0 where it was not timed."""

    @property
    def everyday(self) -> bool:
        """Whether it is of EVERYDAY, on the device itself or on one of its equals."""
        return self.name.partition(" on ")[0] in EVERYDAY

    @property
    def slow(self) -> bool:
        """Whether it works, and takes more than twice as long as in fp32."""
        return self.status == "works" and self.ratio >= SLOW

    @property
    def collapsed(self) -> bool:
        """Whether it works only in name."""
        return self.status == "works" and self.ratio >= COLLAPSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """At one place."""

    bf16_flag: bool | None = None
    """The bare `is_bf16_supported()`; None where torch has no such question for this device."""
    bf16_flag_native: bool | None = None
    """The same with `including_emulation=False`; None before torch 2.4."""
    operations: tuple[Operation, ...]
    missing: tuple[str, ...] = ()
    """Operators and formats that this torch does not have at all."""

    def refused(self, dtype: str) -> tuple[Operation, ...]:
        """The everyday operations that do not give a usable result in this format."""
        return tuple(one for one in self.operations if one.dtype == dtype and one.status != "works" and one.everyday)

    def lacking(self, dtype: str) -> tuple[Operation, ...]:
        """The rarer operations that do not, SDPA's backends left out: torch takes another by itself."""
        found = [one for one in self.operations if one.dtype == dtype and one.status != "works" and not one.everyday]
        return tuple(one for one in found if not one.name.startswith("attention_"))

    def timed(self, dtype: str) -> tuple[Operation, ...]:
        """The operations that work in this format and were timed, slowest first."""
        found = [one for one in self.operations if one.dtype == dtype and one.status == "works" and one.ratio]
        return tuple(sorted(found, key=lambda one: -one.ratio))
