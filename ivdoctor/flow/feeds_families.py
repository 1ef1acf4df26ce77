"""Families whose pictures are like no other's: by `model_type`, what is tried before the usual."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from .sizes import number, size

Feed = dict[str, Any]
Maker = Callable[[Any, set[str]], Iterator[Feed]]


def _square(config: Any, default: int = 224) -> tuple[int, int, int]:
    """Channels, height and width."""
    vision = getattr(config, "vision_config", None) or config
    side = size(vision, default, "image_size", "input_size", "img_size", "crop_size")
    return (size(vision, 3, "num_channels", "in_channels"), side, side)


def aria(config: Any, _: set[str]) -> Iterator[Feed]:
    """A picture of as many patches as the projector has queries for."""
    patch = size(config.vision_config, 14, "patch_size")
    for patches in sorted(int(one) for one in config.projector_patch_to_query_dict):
        side = math.isqrt(patches) * patch
        yield {"pixel_values": torch.randn(1, 3, side, side)}


def hybrid(config: Any, _: set[str]) -> Iterator[Feed]:
    """The picture in two sizes."""
    high = size(config.high_res_vision_config, 1024, "image_size")
    yield {"pixel_values": torch.randn(1, *_square(config)), "high_res_pixel_values": torch.randn(1, 3, high, high)}


def depth_pro(config: Any, _: set[str]) -> Iterator[Feed]:
    """A picture that is a patch at its smallest scale."""
    side = math.ceil(number(config.patch_size, 384) / min(config.scaled_images_ratios))
    yield {"pixel_values": torch.randn(1, 3, side, side)}


def pair(_: Any, __: set[str]) -> Iterator[Feed]:
    """Two pictures that are matched."""
    yield from ({"pixel_values": torch.randn(1, 2, channels, 64, 64)} for channels in (3, 1))


def fuyu(config: Any, _: set[str]) -> Iterator[Feed]:
    """Patches in a row."""
    yield {"pixel_values": torch.randn(1, 4, size(config, 3, "num_channels") * config.patch_size**2)}


def rows(config: Any, _: set[str]) -> Iterator[Feed]:
    """Patches, one after the other."""
    yield {"pixel_values": torch.randn(4, config.patch_dim)}


def masked(config: Any, takes: set[str]) -> Iterator[Feed]:
    """Frames, and every other tube of patches hidden."""
    if "bool_masked_pos" not in takes:
        return
    frames, side = config.num_frames, config.image_size
    video = {"pixel_values": torch.randn(1, frames, config.num_channels, side, side)}
    count = frames // config.tubelet_size * (side // config.patch_size) ** 2
    yield from (video, {**video, "bool_masked_pos": (torch.arange(count) % 2).bool()[None]})


def filmed(config: Any, _: set[str]) -> Iterator[Feed]:
    """Frames as large as what is laid over them."""
    yield {"pixel_values": torch.randn(1, config.num_frames, 3, config.max_img_size, config.max_img_size)}


def line(_: Any, __: set[str]) -> Iterator[Feed]:
    """A line of a text."""
    yield from ({"pixel_values": torch.randn(1, 3, height, 320)} for height in (48, 96))


def positioned(config: Any, takes: set[str]) -> Iterator[Feed]:
    """Patches in a row, each with its column and line; as many as are pooled into four."""
    vision = getattr(config, "vision_config", None) or config
    pool = size(vision, 1, "pooling_kernel_size") if hasattr(vision, "pooling_kernel_size") else 1
    patch = size(vision, 16, "model_patch_size", "patch_size")
    side = 2 * pool
    steps = torch.arange(side * side)
    places = torch.stack([steps % side, torch.div(steps, side, rounding_mode="floor")], dim=-1)[None]
    name = "pixel_position_ids" if "pixel_position_ids" in takes else "image_position_ids"
    yield {"pixel_values": torch.randn(1, side * side, 3 * patch * patch), name: places}


def tiles(config: Any, takes: set[str]) -> Iterator[Feed]:
    """Tiles and which of them are real."""
    if "pixel_attention_mask" in takes:
        yield {"pixel_values": torch.randn(1, 1, *_square(config)), "pixel_attention_mask": torch.ones(1, 1, dtype=torch.bool)}


def blocks(config: Any, _: set[str]) -> Iterator[Feed]:
    """Merged patches with their colours last, and a grid of merged patches."""
    vision = getattr(config, "vision_config", None) or config
    side = vision.patch_size * vision.spatial_merge_size
    grid = {"image_grid_thw": torch.tensor([[1, 2, 2]])}
    yield {"pixel_values": torch.randn(4, side, side, vision.num_channels), **grid}


def folded(config: Any, _: set[str]) -> Iterator[Feed]:
    """Patches of some frames with their colours last."""
    vision = getattr(config, "vision_config", None) or config
    yield {"pixel_values": torch.randn(4, vision.temporal_patch_size, vision.patch_size, vision.patch_size, vision.num_channels)}


def strips(config: Any, _: set[str]) -> Iterator[Feed]:
    """Patches side by side in one strip, and how many there are in height and width."""
    vision = getattr(config, "vision_config", None) or config
    patch = size(vision, 14, "patch_size")
    for side in (4, 8):
        yield {"pixel_values": torch.randn(1, 3, patch, side * side * patch), "target_sizes": torch.tensor([[side, side]])}


def molmo2(config: Any, _: set[str]) -> Iterator[Feed]:
    """Patches in rows, and which of them are pooled into a feature."""
    vision = config.vision_config
    patch = size(vision, 14, "patch_size")
    high, wide = (value // patch for value in (vision.image_size if isinstance(vision.image_size, (list, tuple)) else [vision.image_size] * 2))
    pooled = torch.arange(16).reshape(4, 4)
    grids = {"image_grids": torch.tensor([[2, 2, 0, 0]]), "image_num_crops": torch.tensor([1])}
    yield {"pixel_values": torch.randn(1, high * wide, 3 * patch * patch), "image_token_pooling": pooled, **grids}


def crops(config: Any, _: set[str]) -> Iterator[Feed]:
    """The whole picture and one crop of it, with their masks, a sound, and the places they fill; then without the sound."""
    vision, audio = config.vision_config, config.audio_config
    side = size(vision, 448, "crop_size")
    grid = side // vision.patch_size
    half = grid // 2 + grid % 2
    places = [vision.image_token_id] * (2 * half * (half + 1) + 1)
    frames = 8 * size(audio, 8, "time_reduction")
    spectrum = {"audio_input_features": torch.randn(1, frames, size(audio, 80, "input_size")), "audio_embed_sizes": torch.tensor([8])}
    masks = {"image_attention_mask": torch.ones(1, 2, grid, grid, dtype=torch.long)}
    for more, sound in ((spectrum, [audio.audio_token_id] * 8), ({}, [])):
        ids = torch.tensor([[4, 5, *places, 6, *sound, 7]])
        feed = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "image_sizes": torch.tensor([[side, side]]), **masks}
        yield {"image_pixel_values": torch.randn(1, 2, 3, side, side), **feed, **more}


def resized(config: Any, _: set[str]) -> Iterator[Feed]:
    """As large as its positions are many."""
    patch = size(config, 16, "patch_size")
    yield {"pixel_values": torch.randn(1, 3, 4 * patch, 4 * patch)}


def learnt(config: Any, takes: set[str]) -> Iterator[Feed]:
    """Whatever one modality gives: ids, a picture, or rows as wide as the encoder takes them."""
    if "input_ids" in takes:
        return
    if "pixel_values" in takes:
        yield {"pixel_values": torch.randn(1, *_square(config))}
    elif "inputs" in takes:
        yield {"inputs": torch.randn(1, 16, config.d_model)}


def example(config: Any, _: set[str]) -> Iterator[Feed]:
    """A picture, another with its mask as the example."""
    value = config.image_size if isinstance(config.image_size, (list, tuple)) else [config.image_size] * 2
    shape = (1, 3, value[0] // 2, value[1])
    yield {name: torch.randn(*shape) for name in ("pixel_values", "prompt_pixel_values", "prompt_masks")}


def chunked(config: Any, _: set[str]) -> Iterator[Feed]:
    """A chunk of a spectrum, and how many samples it was made of."""
    audio = config.audio_config
    yield {"input_features": torch.randn(1, audio.feature_size, 64), "chunk_sample_lengths": torch.tensor([64 * audio.hop_length])}


def embedded(config: Any, _: set[str]) -> Iterator[Feed]:
    """Frames that are projected as they are."""
    yield {"input_features": torch.randn(1, 8, config.audio_config.output_proj_dims), "input_features_mask": torch.ones(1, 8, dtype=torch.bool)}


def coded(config: Any, _: set[str]) -> Iterator[Feed]:
    """Frames as codes of each book."""
    yield {"audio_input_ids": torch.ones(1, 8, config.audio_config.num_codebooks, dtype=torch.long)}


def sequenced(config: Any, _: set[str]) -> Iterator[Feed]:
    """A picture that is given, and the grid of one that is asked for."""
    vision = config.vision_config
    side, patch = 2, size(vision, 16, "patch_size")
    ids = [4, 5, config.image_start_token_id, *[config.image_token_id] * side**2, config.image_end_token_id, 6, config.image_start_token_id]
    tokens = torch.tensor([ids])
    feed = {"image_grid_thw": torch.tensor([[1, side, side]] * 2), "images_per_sample": torch.tensor([2])}
    picture = torch.randn(side**2, size(vision, 3, "in_channels") * patch**2)
    yield {"pixel_values": picture, **feed, "input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


HEARD: dict[str, Maker] = {"dots3_note": chunked, "gemma4_unified": embedded, "inkling_mm_model": coded}
"""Sounds like no other's."""

SPECIAL: dict[str, Maker] = {
    "glm_image": sequenced,
    "aria": aria,
    "deepseek_vl_hybrid": hybrid,
    "depth_pro": depth_pro,
    "efficientloftr": pair,
    "lightglue": pair,
    "fuyu": fuyu,
    "neomme": rows,
    "pp_ocrv5_mobile_rec": line,
    "pp_ocrv5_server_rec": line,
    "pp_ocrv6_small_rec": line,
    "pp_ocrv6_tiny_rec": line,
    "gemma4": positioned,
    "gemma4_unified": positioned,
    "gemma4_vision": positioned,
    "embedding_gemma2": positioned,
    "granite_docling": tiles,
    "inkling2": blocks,
    "inkling2_vision": blocks,
    "inkling_mm_model": folded,
    "minicpm_ocr": strips,
    "minicpm_ocr_vision": strips,
    "minicpmv4_6": strips,
    "minicpmv4_7": strips,
    "minicpmv4_7_vision": strips,
    "molmo2": molmo2,
    "phi4_multimodal": crops,
    "perceiver": learnt,
    "tvp": filmed,
    "videomae": masked,
    "seggpt": example,
}
"""Each gives the picture; those that also give ids give everything."""
