"""Pictures that come with a text, a box, a point or a task, and no places for features: by `model_type`."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from .feeds_places import place, words
from .sizes import size

Feed = dict[str, Any]
Maker = Callable[[Any, set[str]], Iterator[Feed]]


def picture(config: Any, default: int = 224) -> torch.Tensor:
    """One, as large as the configuration says."""
    vision = getattr(config, "vision_config", None) or config
    side = size(vision, default, "image_size", "input_size", "img_size")
    return torch.randn(1, size(vision, 3, "num_channels", "in_channels"), side, side)


def texted(config: Any, count: int = 7) -> Feed:
    """Words and their mask."""
    ids = torch.tensor([words(config, count)])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def boxes(count: int) -> torch.Tensor:
    """Where the words lie: x0, y0, x1, y1 of a page of 1000."""
    return torch.tensor([[[10, 20, 30, 40]] * count])


def boxed(config: Any, takes: set[str]) -> Iterator[Feed]:
    """Words and where they lie."""
    start = {"decoder_input_ids": torch.tensor([[0, 5]])} if getattr(config, "is_encoder_decoder", False) else {}
    for more in ({"pixel_values": picture(config)} if "pixel_values" in takes else {}, {"image": picture(config)} if "image" in takes else {}):
        yield {**texted(config), "bbox": boxes(7), **more, **start}


def cornered(config: Any, _: set[str]) -> Iterator[Feed]:
    """Words and the four corners of their boxes, between 0 and 1."""
    for width in (8, 4):
        yield {**texted(config), "bbox": torch.full((1, 7, width), 0.5)}


def regions(config: Any, _: set[str]) -> Iterator[Feed]:
    """Words, and regions that a detector has found."""
    yield {**texted(config), "visual_feats": torch.randn(1, 4, config.visual_feat_dim), "visual_pos": torch.rand(1, 4, config.visual_pos_dim)}


def embedded(config: Any, _: set[str]) -> Iterator[Feed]:
    """Words, and regions already embedded."""
    mask = {"visual_attention_mask": torch.ones(1, 4), "visual_token_type_ids": torch.ones(1, 4, dtype=torch.long)}
    yield {**texted(config), "visual_embeds": torch.randn(1, 4, config.visual_embedding_dim), **mask}


def seen(config: Any, _: set[str]) -> Iterator[Feed]:
    """A picture in a row of one, and which of the words see it."""
    feed = texted(config)
    yield {**feed, "pixel_values": picture(config)[None], "image_attention_mask": torch.ones(1, 7, 1, dtype=torch.long)}


def latent(config: Any, takes: set[str]) -> Iterator[Feed]:
    """As many places as the picture has latent queries, marked by a mask."""
    count = size(config, 64, "latent_query_num")
    ids = torch.tensor([[*words(config, 2), *[5] * count, *words(config, 4)[2:]]])
    mask = torch.zeros_like(ids)
    mask[:, 2:-2] = 1
    feed = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "image_embeds_position_mask": mask}
    if "flattened_patches" not in takes:
        yield {**feed, "pixel_values": picture(config)}
        return
    vision = config.vision_config
    width = vision.patch_embed_hidden_size if hasattr(vision, "patch_embed_hidden_size") else 3 * vision.patch_size**2
    yield {**feed, "flattened_patches": torch.ones(1, 4, width + 2)}


def tasked(config: Any, _: set[str]) -> Iterator[Feed]:
    """A picture and the task in words."""
    ids = torch.tensor([([*words(config, 5), 0, 0] * config.task_seq_len)[: config.task_seq_len]])
    yield {"pixel_values": torch.randn(1, 3, 224, 224), "task_inputs": ids}


def classes(config: Any, _: set[str]) -> Iterator[Feed]:
    """A picture, the names of two classes, and the task in words."""
    ids = torch.tensor([words(config, 5)] * 2)
    feed = {"classes_input_ids": ids, "classes_attention_mask": torch.ones_like(ids), "classes_structure": torch.tensor([2])}
    side = size(config, 640, "image_size")
    task = {"tasks_input_ids": ids[:1], "tasks_attention_mask": torch.ones_like(ids[:1])}
    yield {"pixel_values": torch.randn(1, 3, side, side), **feed, **task}


def queried(config: Any, takes: set[str]) -> Iterator[Feed]:
    """A picture (or frames), what the query-former is asked, and as many places as it has queries."""
    shape = picture(config)
    frames = 4 if "video" in getattr(config, "model_type", "") else 1
    token = place(config, "video") if frames > 1 else place(config, "image")
    ids = [words(config, 4)[0], *[token if token is not None else 5] * (frames * size(config, 32, "num_query_tokens")), *words(config, 4)[1:]]
    tokens = torch.tensor([ids])
    feed: Feed = {"pixel_values": shape.expand(frames, *shape.shape[1:])[None] if frames > 1 else shape}
    feed |= {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    if "qformer_input_ids" in takes:
        asked = torch.tensor([[4, 5, 6, 7]])
        feed |= {"qformer_input_ids": asked, "qformer_attention_mask": torch.ones_like(asked)}
    yield feed
    if "decoder_input_ids" in takes:
        yield {**feed, "decoder_input_ids": torch.tensor([[1, 5]])}


def acting(config: Any, takes: set[str]) -> Iterator[Feed]:
    """What a robot sees, is told, and feels."""
    vlm = config.vlm_config
    vision = vlm.vision_config
    side, patch = size(vision, 224, "image_size"), size(vision, 14, "patch_size")
    ids = torch.tensor([[*[vlm.image_token_id] * (side // patch) ** 2, *words(config, 4)]])
    feed = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": torch.randn(1, 1, 3, side, side)}
    feed["pixel_attention_mask"] = torch.ones(1, 1, dtype=torch.bool)
    if "state" in takes:
        yield {
            **feed,
            "state": torch.randn(1, config.max_state_dim),
            "noise": torch.randn(1, config.chunk_size, config.max_action_dim),
            "timestep": torch.rand(1),
        }
    else:
        yield {**feed, "action_embeds": torch.randn(1, config.chunk_size + 1, config.dit_config.hidden_size)}


def prompted(config: Any, takes: set[str]) -> Iterator[Feed]:
    """A picture and a point in it."""
    if "input_points" in takes:
        points = {"input_points": torch.ones(1, 1, 1, 2), "input_labels": torch.ones(1, 1, 1, dtype=torch.long)}
        yield {"pixel_values": picture(config, 1024), **points}


ASKED: dict[str, Maker] = {
    "blip-2": queried,
    "instructblip": queried,
    "instructblipvideo": queried,
    "bros": cornered,
    "idefics": seen,
    "kosmos-2": latent,
    "kosmos-2.5": latent,
    "layoutlm": boxed,
    "layoutlmv2": boxed,
    "layoutlmv3": boxed,
    "lilt": boxed,
    "udop": boxed,
    "lxmert": regions,
    "visual_bert": embedded,
    "oneformer": tasked,
    "omdet-turbo": classes,
    "pi0": acting,
    "sam": prompted,
    "sam2": prompted,
    "sam_hq": prompted,
    "sam2_video": prompted,
    "sam3_tracker": prompted,
    "edgetam": prompted,
    "edgetam_video": prompted,
    "sam3_video": prompted,
}
"""Each gives everything the forward pass wants."""
