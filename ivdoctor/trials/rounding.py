"""What a cast does to stored weights and to the tensors a loader keeps in fp32."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..facts import Half, Kept, Rounding

MOST = 1 << 28
"""Weights that are looked at: a quarter of a billion take a second or two."""

POSITION = 4096
"""Where a long prompt is; smaller for a model whose context ends before."""

GRID = 128
"""Rows or columns of patches in a large picture: the positions of a tower that sees."""

SEEING = re.compile(r"vision|visual|image")

OFF = 0.1
"""A cosine that is off by more has turned the pair of dimensions by another angle."""


def rounding(model: nn.Module, stored: str) -> Rounding | None:
    """
    `.half().to(torch.bfloat16)` against `.to(torch.bfloat16)`, on a model loaded without loss, so that nothing is read twice.

    Args:
        stored: torch's name of the dtype of the files.
    """
    if stored not in ("float32", "bfloat16"):
        return None
    weights = changed = 0
    for parameter in model.parameters():
        if weights >= MOST or not parameter.is_floating_point():
            continue
        once = parameter.data.to(torch.bfloat16)
        weights += once.numel()
        changed += int((parameter.data.half().to(torch.bfloat16) != once).sum())
    return Rounding(stored=stored, weights=weights, changed=changed)


def kept(model: nn.Module, config: Any, loaded: dict[Half, dict[str, torch.dtype]]) -> tuple[Kept, ...]:
    """
    Tensors that a loader left in fp32, and `.to(dtype)` casts.

    Args:
        model: in its baseline, for their values.
        loaded: by format, the dtype of every parameter and buffer of the model as `from_pretrained(dtype=)` gave it.
    """
    tensors = dict(itertools.chain(model.named_parameters(), model.named_buffers()))
    formats: dict[str, tuple[Half, ...]] = {}
    for short, dtypes in loaded.items():
        for name, dtype in dtypes.items():
            if dtype == torch.float32 and name in tensors and "original_" not in name:
                formats[name] = (*formats.get(name, ()), short)
    context = min(POSITION, _context(config))
    return tuple(replace(_kept(name, tensors[name], context), formats=formats[name]) for name in sorted(formats))


def _kept(name: str, tensor: Tensor, position: int) -> Kept:
    leaf = name.rpartition(".")[2]
    if SEEING.search(name):
        position = min(position, GRID)
    what: Literal["rotary", "router", "other"] = "rotary" if leaf.endswith("inv_freq") else "router" if "correction_bias" in leaf else "other"
    off = {short: turned(tensor, dtype, position) for short, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16))} if what == "rotary" else {}
    return Kept(name=name, what=what, off=off, position=position if off else 0)


def turned(frequencies: Tensor, dtype: torch.dtype, position: int) -> float:
    """The share of rotary frequencies whose cosine at this position is off by more than a tenth after a cast."""
    angle, cast = (one.double() * position for one in (frequencies.detach().cpu(), frequencies.detach().cpu().to(dtype)))
    return float(((angle.cos() - cast.cos()).abs() > OFF).double().mean()) if frequencies.numel() else 0.0


def _context(config: Any) -> int:
    parts: Iterator[Any] = (part for part in (config, getattr(config, "text_config", None)) if part is not None)
    return next((int(found) for part in parts if (found := getattr(part, "max_position_embeddings", None))), POSITION)
