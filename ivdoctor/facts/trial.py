"""A remedy that was tried, and what came of it. Made by `trials/` alone."""

from dataclasses import dataclass, field
from typing import Literal

from .dtype import Half


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Verification is a fact: nothing may be called verified without one of these."""

    remedy: str
    """The slug of `trials/remedies.py`."""
    case: str
    """The failure it was tried on: `fp16/bf16`, or a tower combination `bf16/bf16/fp16`."""
    status: Literal["passed", "failed"]
    how: Literal["real-run", "miniature", "shadow", "table"]
    where: str
    """The place it ran on."""
    before: str
    """The failure's own message."""
    after: str
    """What happened with the remedy: `ran, output bfloat16`, or the new message."""
    computes_in: Half
    """The format the arithmetic is done in when the remedy is applied."""
    metrics: dict[str, float] = field(default_factory=dict)
    """`relative_l2` against the fp32 model; `weights_changed` of `weights` by double rounding."""
