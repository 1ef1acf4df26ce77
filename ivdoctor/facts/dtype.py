"""Names of number formats, and how well a place carries them."""

from dataclasses import dataclass
from typing import Literal

Half = Literal["fp32", "fp16", "bf16"]
"""The three formats of the 3x3, short names."""

HALVES: tuple[Half, ...] = ("fp32", "fp16", "bf16")

TORCH_NAME: dict[str, str] = {
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp64": "float64",
    "fp8_e4m3": "float8_e4m3fn",
    "fp8_e5m2": "float8_e5m2",
}
"""Short name to torch's: `torch.bfloat16` is `bfloat16` here."""

SHORT_NAME: dict[str, Half] = {TORCH_NAME[short]: short for short in HALVES}
"""The other way round."""

INTEGERS = frozenset({"int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool"})
"""torch's names of what is no floating format."""

Support = Literal["native", "emulated", "none", "unknown"]
"""native: matrix unit or full-rate vector arithmetic. emulated: by conversion, or at a crippled rate.
none: no route in PyTorch or the usual engines. unknown: neither a table row nor a probe says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DtypeRow:
    """What one place carries, from the tables; `source` says which row."""

    fp64: Support = "unknown"
    fp32: Support = "unknown"
    tf32: Support = "unknown"
    fp16: Support = "unknown"
    bf16: Support = "unknown"
    fp8_e4m3: Support = "unknown"
    fp8_e5m2: Support = "unknown"
    int8: Support = "unknown"
    int4: Support = "unknown"
    fp4: Support = "unknown"
    note: str = ""
    source: str = ""

    def of(self, dtype: str) -> Support:
        """The verdict for a column name; `unknown` for a format without a column."""
        support: Support = getattr(self, dtype, "unknown")
        return support
