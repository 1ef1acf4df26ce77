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


def kept(model: nn.Module, config: Any) -> tuple[Kept, ...]:
    """
    Tensors that `from_pretrained(dtype=)` leaves in fp32, and `.to(dtype)` does not.

    Floating buffers that no checkpoint holds; parameters that a model class lists as `_keep_in_fp32_modules_strict`; and in float16
    alone those it lists as `_keep_in_fp32_modules`.
    """
    tensors = dict(itertools.chain(model.named_parameters(), model.named_buffers()))
    floats = {name for name, tensor in tensors.items() if tensor.is_floating_point()}
    always = {name for name in floats - set(model.state_dict()) if "original_" not in name} & {name for name, _ in model.named_buffers()}
    always |= _matching(floats, _listed(model, "_keep_in_fp32_modules_strict"))
    in_fp16 = _matching(floats, _listed(model, "_keep_in_fp32_modules")) - always
    position = min(POSITION, _context(config))
    both: tuple[Half, ...] = ("bf16", "fp16")
    return tuple(replace(_kept(name, tensors[name], position), formats=both if name in always else ("fp16",)) for name in sorted(always | in_fp16))


def _matching(names: set[str], parts: list[str]) -> set[str]:
    """Those one of whose dotted parts is listed."""
    pattern = re.compile(rf"(?:^|\.)(?:{'|'.join(map(re.escape, parts))})(?:\.|$)")
    return {name for name in names if parts and pattern.search(name)}


def _kept(name: str, tensor: Tensor, position: int) -> Kept:
    leaf = name.rpartition(".")[2]
    what: Literal["rotary", "router", "other"] = "rotary" if leaf.endswith("inv_freq") else "router" if "correction_bias" in leaf else "other"
    off = {short: turned(tensor, dtype, position) for short, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16))} if what == "rotary" else {}
    return Kept(name=name, what=what, off=off, position=position if off else 0)


def turned(frequencies: Tensor, dtype: torch.dtype, position: int) -> float:
    """The share of rotary frequencies whose cosine at this position is off by more than a tenth after a cast."""
    angle, cast = (one.double() * position for one in (frequencies.detach().cpu(), frequencies.detach().cpu().to(dtype)))
    return float(((angle.cos() - cast.cos()).abs() > OFF).double().mean()) if frequencies.numel() else 0.0


def _listed(model: nn.Module, attribute: str) -> list[str]:
    """Of the model's class and of the classes of its parts."""
    found: list[str] = []
    for module in model.modules():
        found += getattr(type(module), attribute, None) or []
    return sorted(set(found))


def _context(config: Any) -> int:
    parts: Iterator[Any] = (part for part in (config, getattr(config, "text_config", None)) if part is not None)
    return next((int(found) for part in parts if (found := getattr(part, "max_position_embeddings", None))), POSITION)
