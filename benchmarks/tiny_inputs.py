"""What a model of transformers may be called with: shapes of its float input by family, and the tokens that go with it."""

import inspect
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch.utils._pytree import tree_leaves

FLOATS = ("pixel_values", "input_features", "input_values", "pixel_values_videos", "audio_values", "audio_input_features", "audio_features")
"""The names of float inputs, the one that is fed first."""

MELS = ("num_mel_bins", "n_mels", "input_feat_per_channel", "feature_size", "num_mel_features", "feature_projection_input_dim")
IMAGE = ("image_token_id", "image_token_index", "audio_token_id", "audio_token_index", "video_token_id", "media_placeholder_token_id")
GETTERS = ("get_image_features", "get_audio_features", "get_video_features")
GRIDS = ("image_grid_thw", "grid_thw", "video_grid_thw")

Inputs = dict[str, Any]


def parts(config: Any) -> list[Any]:
    """The configuration and those inside it."""
    found = [config]
    for value in vars(config).values():
        if isinstance(value, transformers.PretrainedConfig):
            found += parts(value)
    return found


def first_of(config: Any, *names: str) -> Any:
    """The first of these that any part says."""
    for name in names:
        for part in parts(config):
            value = getattr(part, name, None)
            if value is not None and value is not False:
                return value
    return None


def number(value: Any, default: int) -> int:
    """Of a size that may be a pair or a table."""
    if isinstance(value, dict):
        value = value.get("height") or value.get("shortest_edge")
    if isinstance(value, (list, tuple)):
        value = value[0] if value else None
    return int(value) if isinstance(value, (int, float)) else default


def float_inputs(name: str, config: Any, takes: set[str]) -> Iterator[Inputs]:
    """Shapes that families give it, the likeliest first, with what belongs to them."""
    if not name.startswith("pixel"):
        yield from sounds(name, config, takes)
        return
    vision = getattr(config, "vision_config", None) or config
    size, channels = (
        number(first_of(vision, "image_size", "input_size", "img_size"), 224),
        number(first_of(vision, "num_channels", "in_channels", "in_chans"), 3),
    )
    patch = number(first_of(vision, "patch_size", "spatial_patch_size"), 14)
    if set(GRIDS) & takes:
        yield from grids(name, vision, takes, channels * patch * patch)
    for one in dict.fromkeys((size, 224, 256, 384, 64)):
        yield from pictures(name, config, takes, (channels, one, one))
    if "spatial_shapes" in takes:
        shapes = {"spatial_shapes": torch.tensor([[4, 4]]), "pixel_attention_mask": torch.ones(1, 16, dtype=torch.long)}
        yield {name: torch.randn(1, 16, channels * patch * patch), **shapes}


def grids(name: str, vision: Any, takes: set[str], width: int) -> Iterator[Inputs]:
    """Patches in a row, and how they lie."""
    merge = number(first_of(vision, "spatial_merge_size", "merge_size"), 2)
    side = 2 * merge
    key = "video_grid_thw" if name.endswith("videos") else next(one for one in GRIDS if one in takes)
    for depth in dict.fromkeys((number(getattr(vision, "temporal_patch_size", None), 1), 1, 2)):
        yield {name: torch.randn(side * side, depth * width), key: torch.tensor([[1, side, side]])}


def pictures(name: str, config: Any, takes: set[str], shape: tuple[int, ...]) -> Iterator[Inputs]:
    """One picture, pictures in a row, frames, tiles."""
    yield {name: torch.randn(1, *shape)}
    if "image_sizes" in takes:
        extra = {"image_sizes": torch.tensor([shape[1:]])}
        yield from ({name: torch.randn(*before, *shape), **extra} for before in ((1,), (1, 5), (1, 1)))
    frames = number(first_of(config, "num_frames", "frames_per_clip", "image_size_frames"), 2)
    yield from ({name: torch.randn(1, count, *shape)} for count in dict.fromkeys((1, frames)))
    if "aspect_ratio_ids" in takes:
        tiles = number(first_of(config, "max_num_tiles"), 4)
        ratio = {"aspect_ratio_ids": torch.ones(1, 1, dtype=torch.long), "aspect_ratio_mask": torch.ones(1, 1, tiles, dtype=torch.long)}
        yield {name: torch.randn(1, 1, tiles, *shape), **ratio}


def sounds(name: str, config: Any, takes: set[str]) -> Iterator[Inputs]:
    """A wave, or its spectrum either way round."""
    bands = number(first_of(config, *MELS), 80)
    if name == "input_values":
        time = number(first_of(config, "max_length"), 1024)
        yield from ({name: torch.randn(*shape)} for shape in ((1, 16000), (1, 1, 16000), (1, time, bands), (1, 1, 24000)))
    positions = number(first_of(config, "max_source_positions"), 1500)
    for bins in dict.fromkeys((bands, 80, 128, 160)):
        for shape in ((1, bins, 2 * positions), (1, 400, bins), (1, bins, 400), (1, bins, 3000), (1, 400)):
            full = torch.ones(1, shape[-1] if shape[1] == bins else shape[1], dtype=torch.long)
            masks = [{}, *({key: full} for key in ("attention_mask", "feature_attention_mask", "input_features_mask") if key in takes)]
            yield from ({name: torch.randn(*shape), **mask} for mask in masks)


def token_inputs(model: Any, config: Any, floats: Inputs, takes: set[str]) -> Iterator[Inputs]:
    """What goes with it: as many places as it has features, tokens, those of a decoder, or nothing."""
    found = first_of(config, *IMAGE)
    place = found if isinstance(found, int) and "input_ids" in takes else None
    count = features(model, floats) if place else 0
    if place and count:
        ids = torch.tensor([[1, *[place] * count, 2, 3]])
        kinds = {"mm_token_type_ids": (ids == place).long()} if "mm_token_type_ids" in takes else {}
        yield {"input_ids": ids, "attention_mask": torch.ones_like(ids), **kinds}
        yield {"input_ids": ids} | ({"token_type_ids": (ids == place).long()} if "token_type_ids" in takes else {})
    if "decoder_input_ids" in takes:
        yield {"decoder_input_ids": torch.tensor([[1, 2]])}
    if not place:
        yield {}
    if "input_ids" in takes:
        yield from texts(config, takes, place)


def texts(config: Any, takes: set[str], place: int | None) -> Iterator[Inputs]:
    """Some tokens."""
    ids = torch.tensor([[1, 2, 3, 4, 5, 6]])
    yield {"input_ids": ids}
    yield {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    yield {"input_ids": ids, "decoder_input_ids": torch.tensor([[1, 2]])}
    if hasattr(config, "num_query_tokens") and place:
        held = torch.tensor([[1, *[place] * number(config.num_query_tokens, 32), 2, 3]])
        yield {"input_ids": held, "attention_mask": torch.ones_like(held)} | ({"qformer_input_ids": ids} if "qformer_input_ids" in takes else {})


def features(model: Any, floats: Inputs) -> int:
    """How many places the float input fills; 0 where the model does not say."""
    for name in (one for one in GETTERS if hasattr(model, one)):
        getter = getattr(model, name)
        known = {key: value for key, value in floats.items() if key in inspect.signature(getter).parameters}
        try:
            found = getter(**known)
        except Exception:  # noqa: BLE001, S112  # the wrong shape, or the wrong one of three
            continue
        leaves = [one for one in tree_leaves(getattr(found, "pooler_output", found)) if isinstance(one, torch.Tensor)]
        return sum(one.numel() // one.shape[-1] for one in leaves)
    return 0
