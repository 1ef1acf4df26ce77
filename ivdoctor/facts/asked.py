"""What the user asked about: the cell of the 3x3 that makes the verdict."""

from dataclasses import dataclass
from typing import Literal

from .dtype import Half


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Given by the command line, never looked up."""

    dtype: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """The model's precision; `auto` leaves it to the loader, so no single cell is judged."""
    input_dtype: Half | None = None
    """The float inputs' precision; None when the caller is unknown."""

    def concerns(self, dtype: str) -> bool:
        """Whether the user asked for this precision by name."""
        return dtype in (self.dtype, self.input_dtype)
