"""Pictures and videos: shapes that families give them, the likeliest first."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from .feeds_asked import ASKED
from .feeds_families import SPECIAL
from .feeds_grids import gridded, packed
from .sizes import first_of, number

Feed = dict[str, Any]
Maker = Callable[[], Feed]

NAMES = ("pixel_values", "pixel_values_videos", "image_pixel_values", "pixel_values_images", "image")
"""What families call a picture; the first that the forward pass takes."""

GRIDS = ("image_grid_thw", "grid_thw", "video_grid_thw")
SIDES = (224, 256, 384, 512, 64)
"""Pixels that are tried where the configuration names none, or one that the model does not take."""

CHANNELS = ("num_channels", "in_channels", "in_chans", "num_input_channels", "vision_in_channels", "image_channels")
FRAMES = ("num_frames", "frames_per_clip", "video_num_frames", "num_input_frames")


def pictures(model: Any, config: Any, takes: set[str]) -> Iterator[Feed]:
    """One picture, pictures in a row, frames, tiles, patches with their grid."""
    kind = getattr(config, "model_type", "")
    for table in (ASKED, SPECIAL):
        if kind in table:
            yield from table[kind](config, takes)
    name = next((one for one in NAMES if one in takes), "hidden_states" if "grid_thw" in takes else "")
    if not name:
        return
    vision = seeing(config)
    if takes & set(GRIDS):
        yield from gridded(model, vision, takes, name)
    if "spatial_shapes" in takes:
        yield from packed(vision, takes, name)
    likely, others = [], []
    for place, side in enumerate(sides(vision)):
        usual, odd = shaped(name, config, takes, (channels(vision), *side))
        likely += usual if place == 0 else usual[:1]
        others += [*([] if place == 0 else usual[1:]), *odd]
    for make in [*likely, *others]:
        yield make()


def seeing(config: Any) -> Any:
    """The part of the configuration that is about pictures."""
    found = (getattr(config, name, None) for name in ("vision_config", "image_config", "vision_encoder_config"))
    return next((one for one in found if one is not None and hasattr(one, "to_dict")), config)


def channels(vision: Any) -> int:
    """Of a picture."""
    return number(first_of(vision, *CHANNELS), 3)


def sides(vision: Any) -> list[tuple[int, int]]:
    """Height and width: as the configuration says, then as is usual."""
    value = first_of(vision, "image_size", "input_size", "img_size", "max_img_size", "image_resolution", "resolution")
    if isinstance(value, dict):
        value = [value.get("height") or value.get("shortest_edge"), value.get("width") or value.get("shortest_edge")]
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(one, int) for one in value):  # noqa: PLR2004  # height and width
        said = [(int(value[0]), int(value[1]))]
    else:
        side = number(value, 0)
        said = [(side, side)] if side else []
    usual = [(one, one) for one in SIDES]
    if getattr(vision, "backbone_config", None) is not None and getattr(vision.backbone_config, "depths", None):
        return list(dict.fromkeys([usual[0], *said, *usual]))  # the size is the backbone's, and stages take any
    return list(dict.fromkeys([*said, *usual]))


def shaped(name: str, config: Any, takes: set[str], shape: tuple[int, ...]) -> tuple[list[Maker], list[Maker]]:
    """One picture, frames, tiles, pictures in a row: the usual ways, and those of few families."""

    def one(*before: int, **more: Callable[[], torch.Tensor]) -> Maker:
        return lambda: {name: torch.randn(*before, *shape), **{key: make() for key, make in more.items()}}

    frames = number(first_of(config, *FRAMES), 0)
    if "aspect_ratio_ids" in takes:
        return [lambda: tiled(name, config, shape)], []
    if getattr(config, "image_grid_pinpoints", None) and "image_sizes" in takes:
        high, wide = min(config.image_grid_pinpoints, key=math.prod)
        cuts = math.ceil(high / shape[1]) * math.ceil(wide / shape[2]) + 1
        return [one(1, cuts, image_sizes=lambda: torch.tensor([[high, wide]]))], []
    if "image_sizes" in takes:
        sizes = {"image_sizes": lambda: torch.tensor([shape[1:]])}
        return [one(1), one(1, **sizes), one(1, 5, **sizes)], [one(1, 1, **sizes)]
    if "pixel_attention_mask" in takes:
        return [one(1, 1, pixel_attention_mask=lambda: torch.ones(1, 1, *shape[1:], dtype=torch.long))], [one(1)]
    if name.endswith("videos"):
        return [one(1, count) for count in dict.fromkeys((frames or 2, 2, 8, 16))], []
    return ([one(1, frames), one(1)], []) if frames else ([one(1)], [one(1, 1), one(1, 2)])


def tiled(name: str, config: Any, shape: tuple[int, ...]) -> Feed:
    """One picture in one tile of the four that it may have."""
    tiles = number(first_of(config, "max_num_tiles"), 4)
    mask = torch.zeros(1, 1, tiles, dtype=torch.long)
    mask[:, :, 0] = 1
    feed: Feed = {name: torch.randn(1, 1, tiles, *shape), "aspect_ratio_ids": torch.ones(1, 1, dtype=torch.long), "aspect_ratio_mask": mask}
    return feed
