"""The remedies people try, each as it would be written, and the format it makes the model compute in."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..facts import HALVES, TORCH_NAME, Half
from .miniature import WIDTH, Miniature
from .run import Forward, forward

SHORT: dict[torch.dtype, Half] = {getattr(torch, TORCH_NAME[short]): short for short in HALVES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Treated:
    """A model and its pixels after the remedy, and how to call it."""

    model: Miniature
    pixels: Tensor
    call: Forward = forward
    computes_in: Half
    metrics: dict[str, float]


Remedy = Callable[[Miniature, Tensor], Treated]


def cast_model(model: Miniature, pixels: Tensor) -> Treated:
    """`model = model.to(pixel_values.dtype)`."""
    return _treated(model.to(pixels.dtype), pixels)


def cast_input(model: Miniature, pixels: Tensor) -> Treated:
    """`pixel_values = pixel_values.to(next(model.parameters()).dtype)`."""
    return _treated(model, pixels.to(next(model.vision.parameters()).dtype))


def cast_tower(model: Miniature, pixels: Tensor) -> Treated:
    """`model.vision = model.vision.to(pixel_values.dtype)`, and nothing else."""
    model.vision.to(pixels.dtype)
    return _treated(model, pixels)


def autocast(model: Miniature, pixels: Tensor) -> Treated:
    """`with torch.autocast(device, torch.bfloat16):` around the call."""

    def call(model: Miniature, pixels: Tensor, ids: Tensor) -> Tensor:
        with torch.autocast(pixels.device.type, torch.bfloat16):
            return forward(model, pixels, ids)

    return Treated(model=model, pixels=pixels, call=call, computes_in="bf16", metrics={})


def half_then_bf16(model: Miniature, pixels: Tensor) -> Treated:
    """`model = model.half().to(torch.bfloat16)` of fp32 weights, and bf16 pixels: every weight is rounded twice."""
    once = [weight.to(torch.bfloat16) for weight in model.parameters()]
    model = model.half().to(torch.bfloat16)
    changed = sum(int((one != two).sum()) for one, two in zip(once, model.parameters(), strict=True))
    treated = _treated(model, pixels.to(torch.bfloat16))
    treated.metrics.update(weights=float(sum(one.numel() for one in once)), weights_changed=float(changed))
    return treated


def everything_fp32(model: Miniature, pixels: Tensor) -> Treated:
    """`model = model.float()` and `pixel_values = pixel_values.float()`."""
    return _treated(model.float(), pixels.float())


def everything_bf16(model: Miniature, pixels: Tensor) -> Treated:
    """`model = model.to(torch.bfloat16)` and `pixel_values = pixel_values.to(torch.bfloat16)`."""
    return _treated(model.to(torch.bfloat16), pixels.to(torch.bfloat16))


def everything_fp16(model: Miniature, pixels: Tensor) -> Treated:
    """`model = model.half()` and `pixel_values = pixel_values.half()`."""
    return _treated(model.half(), pixels.half())


def cast_at_write(model: Miniature, pixels: Tensor) -> Treated:
    """`input_embeds[selected] = visual.to(input_embeds.dtype)`, the cast at the place that raises."""

    def call(model: Miniature, pixels: Tensor, ids: Tensor) -> Tensor:
        visual = model.projector(model.vision(pixels))
        input_embeds = model.lm.embed_tokens(ids).clone()
        input_embeds[ids == 0] = visual.reshape(-1, WIDTH).to(input_embeds.dtype)
        logits: Tensor = model.lm(input_embeds)
        return logits

    return Treated(model=model, pixels=pixels, call=call, computes_in=SHORT[model.lm.lm_head.weight.dtype], metrics={})


def unify(model: Miniature, pixels: Tensor) -> Treated:
    """`model = model.to(next(model.lm.parameters()).dtype)`, and the pixels with it."""
    dtype = model.lm.lm_head.weight.dtype
    return _treated(model.to(dtype), pixels.to(dtype))


FOR_CELLS: dict[str, Remedy] = {
    "cast-model": cast_model,
    "cast-input": cast_input,
    "cast-tower": cast_tower,
    "autocast": autocast,
    "half-then-bf16": half_then_bf16,
    "everything-bf16": everything_bf16,
    "everything-fp16": everything_fp16,
    "everything-fp32": everything_fp32,
}
"""Tried on every cell of the 3x3 that raised."""

FOR_TOWERS: dict[str, Remedy] = {
    "unify": unify,
    "cast-at-write": cast_at_write,
    "everything-bf16": everything_bf16,
    "everything-fp16": everything_fp16,
    "everything-fp32": everything_fp32,
}
"""Tried on combinations of towers that raised."""


def _treated(model: Miniature, pixels: Tensor) -> Treated:
    return Treated(model=model, pixels=pixels, computes_in=SHORT[model.lm.lm_head.weight.dtype], metrics={})
