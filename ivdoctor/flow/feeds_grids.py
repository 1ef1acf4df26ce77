"""Pictures cut into patches before the model sees them, and how the patches lie."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from .sizes import first_of, number

Feed = dict[str, Any]

IMAGES = ("image_grid_thw", "grid_thw")
PATCH = ("patch_size", "spatial_patch_size")
MERGE = ("spatial_merge_size", "merge_size", "merge_kernel_size")
DEPTH = ("temporal_patch_size", "patch_temporal")


def gridded(model: Any, vision: Any, takes: set[str], name: str) -> Iterator[Feed]:
    """Patches in a row, and a grid of two merged patches a side."""
    merge = number(first_of(vision, *MERGE), 2)
    side = 2 * merge
    key = next((one for one in IMAGES if one in takes), "video_grid_thw")
    grid = torch.tensor([[1, side, side]])
    more: Feed = {one: torch.tensor([merge]) for one in ("merge_sizes", "image_merge_sizes") if one in takes}
    for shape in shapes(model, vision):
        yield {name: torch.randn(side * side, *shape), key: grid, **more}
        if len(shape) > 1:
            yield {name: torch.randn(1, side * side, *shape), key: grid, **more}


def shapes(model: Any, vision: Any) -> list[tuple[int, ...]]:
    """Of one patch: in a row as its embedding takes it, in a row as the configuration says, in a square."""
    layer = embedding(model)
    patch, depth = number(first_of(vision, *PATCH), 14), number(first_of(vision, *DEPTH), 1)
    channels = number(first_of(vision, "num_channels", "in_channels", "in_chans"), 3)
    area = channels * patch * patch
    found: list[tuple[int, ...]] = []
    if isinstance(layer, nn.Linear):
        found = [(layer.in_features,)]
    elif isinstance(layer, nn.Conv3d):
        found = [(layer.in_channels * math.prod(layer.kernel_size),)]
    elif isinstance(layer, nn.Conv2d):
        kernel = layer.kernel_size
        found = [(layer.in_channels * kernel[0] * kernel[1],), (layer.in_channels, kernel[0], kernel[1])]
    return list(dict.fromkeys([*found, (area * depth,), (area,), (channels, patch, patch)]))


def embedding(model: Any) -> nn.Module | None:
    """The layer that meets the patches: the first convolution of few channels, else the first matrix of a module named for patches."""
    modules = [(name, one) for name, one in model.named_modules() if "audio" not in name]
    conv = (one for _, one in modules if isinstance(one, (nn.Conv2d, nn.Conv3d)) and one.in_channels <= 4)  # noqa: PLR2004  # colours
    linear = (one for name, one in modules if isinstance(one, nn.Linear) and "patch_emb" in name)
    return next(conv, None) or next(linear, None)


def packed(vision: Any, takes: set[str], name: str) -> Iterator[Feed]:
    """Patches in rows that are padded to one length, with the height and width of each picture."""
    patch = number(first_of(vision, *PATCH), 14)
    channels = number(first_of(vision, "num_channels", "in_channels"), 3)
    side = 2 * number(first_of(vision, "downsample_factor", *MERGE), 2)
    shape = {"spatial_shapes": torch.tensor([[side, side]])}
    mask = {"pixel_attention_mask": torch.ones(1, side * side, dtype=torch.long)} if "pixel_attention_mask" in takes else {}
    yield {name: torch.randn(1, side * side, channels * patch * patch), **shape, **mask}
