"""Two outputs of the same inputs: how far one is from the other."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

FAR = 1e6
"""The distance from a baseline of nothing but zeros, which has no size to compare with: JSON has no infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Figures of one output against its baseline; a distance of -1 where it is not all finite."""

    relative_l2: float
    max_abs: float
    cosine: float
    top1: float | None
    kl: float | None
    nonfinite: int


def compared(output: Tensor, baseline: Tensor, *, logits: bool, mask: Tensor | None = None) -> Compared:
    """
    In fp64 on the CPU, where neither rounding nor overflow is added.

    Args:
        output: any shape and floating dtype.
        baseline: of the same shape.
        logits: whether the last dimension is a vocabulary or a set of classes.
        mask: batch x tokens, 0 where the input is padding: there is no next token to be right about.
    """
    mine, other = output.detach().cpu().double(), baseline.detach().cpu().double()
    nonfinite = int((~torch.isfinite(mine) & torch.isfinite(other)).sum())
    if nonfinite:
        return Compared(relative_l2=-1.0, max_abs=-1.0, cosine=0.0, top1=None, kl=None, nonfinite=nonfinite)
    both = torch.isfinite(other)
    mine, other = torch.where(both, mine, torch.zeros_like(mine)), torch.where(both, other, torch.zeros_like(other))
    top1, kl = _distributions(mine, other, both, mask) if logits else (None, None)
    return Compared(
        relative_l2=_ratio((mine - other).norm(), other.norm()),
        max_abs=float((mine - other).abs().max()) if mine.numel() else 0.0,
        cosine=1.0 if torch.equal(mine, other) else min(1.0, _ratio((mine * other).sum(), mine.norm() * other.norm(), empty=0.0)),
        top1=top1,
        kl=kl,
        nonfinite=0,
    )


def distance(output: Tensor, baseline: Tensor) -> float:
    """
    Relative L2 distance, in fp32: what a plain hook would compute; -1 where the output is not finite and the baseline is.

    Both may be anywhere; they are compared on the CPU.
    """
    mine, other = output.detach().to("cpu", torch.float32), baseline.to("cpu", torch.float32)
    apart = _ratio((mine - other).norm(), other.norm())
    if math.isfinite(apart):
        return apart
    sound = torch.isfinite(other)
    if bool((~torch.isfinite(mine) & sound).any()):
        return -1.0
    return _ratio((mine[sound].double() - other[sound].double()).norm(), other[sound].double().norm())


def floating(value: Any) -> Tensor | None:
    """The first floating tensor in a module's output, whatever it is wrapped in."""
    if isinstance(value, Tensor):
        return value if value.is_floating_point() else None
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return next((found for one in value if (found := floating(one)) is not None), None)
    return None


def main_output(value: Any) -> tuple[str, Tensor] | None:
    """
    The tensor to compare and its name: the logits where there are any, else the last hidden state, else the first there is.

    Returns None for a model that returns no floating tensor.
    """
    if isinstance(value, dict):
        for name in ("logits", "last_hidden_state"):
            one = value.get(name)
            if isinstance(one, Tensor) and one.is_floating_point():
                return name, one
        for name, one in value.items():
            if (found := floating(one)) is not None:
                return str(name), found
        return None
    found = floating(value)
    return None if found is None else ("output", found)


def _distributions(mine: Tensor, other: Tensor, both: Tensor, mask: Tensor | None) -> tuple[float | None, float | None]:
    """Share of equal first choices, and the mean divergence in nats; what the baseline forbids has the probability 0 in both."""
    if mine.dim() not in (2, 3) or mine.shape[-1] < 2:  # noqa: PLR2004  # batch, tokens, classes; elsewhere the last axis is no choice
        return None, None
    mine, other = mine.masked_fill(~both, -math.inf), other.masked_fill(~both, -math.inf)
    same = mine.argmax(-1) == other.argmax(-1)
    theirs = other.log_softmax(-1)
    apart = (theirs.exp() * (theirs - mine.log_softmax(-1))).masked_fill(~both, 0.0).sum(-1)
    if mask is not None and mask.shape == same.shape and bool(mask.any()):
        kept = mask.cpu().bool()
        same, apart = same[kept], apart[kept]
    if not same.numel():
        return None, None
    return float(same.double().mean()), max(0.0, float(apart.mean()))


def _ratio(top: Tensor, bottom: Tensor, *, empty: float = FAR) -> float:
    """Of two norms; `empty` where the second is zero and the first is not."""
    if float(bottom) == 0:
        return 0.0 if float(top) == 0 else empty
    return float(top / bottom)
