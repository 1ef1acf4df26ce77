"""Feeds of models that only see: representative types, really run from their default configurations made small."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from ivdoctor.flow.classes import classes_of
from ivdoctor.flow.feeds import first_feed
from ivdoctor.flow.feeds_grids import gridded, shapes
from ivdoctor.flow.feeds_vision import pictures, sides
from ivdoctor.flow.shrink import shrunk

pytest.importorskip("transformers", minversion="5.0")
from transformers import CONFIG_MAPPING  # where it is there

SEEN = {
    "vit": ("pixel_values",),
    "resnet": ("pixel_values",),
    "mask2former": ("pixel_values",),
    "sam": ("pixel_values", "input_points", "input_labels"),
    "videomae": ("pixel_values", "bool_masked_pos"),
    "vjepa2": ("pixel_values_videos",),
    "mgp-str": ("pixel_values",),
    "siglip2_vision_model": ("pixel_values", "spatial_shapes", "pixel_attention_mask"),
    "qwen2_5_vl_vision": ("hidden_states", "grid_thw"),
    "kimi_k25_vision": ("pixel_values", "grid_thw"),
}
"""Types, and the arguments that they are fed."""

EARLY = 6
"""Place of the first that runs, at most."""


def ran(model: Any, feed: dict[str, Any]) -> None:
    """A forward pass."""
    with torch.no_grad():
        model(**feed)


@pytest.mark.parametrize("model_type", SEEN)
def test_a_model_that_sees_runs_on_one_of_the_first_feeds(model_type: str) -> None:
    """Each type takes an early feed, with the arguments that belong to it."""
    if model_type not in CONFIG_MAPPING:
        pytest.skip(f"no {model_type} in this transformers")
    cls = CONFIG_MAPPING[model_type]
    config = cls.from_dict(shrunk(cls().to_dict(), "tiny"))
    torch.manual_seed(0)
    model: Any = classes_of(model_type)[0](config).eval()
    feed, refused = first_feed(model, config, lambda one: ran(model, one))
    assert len(refused) < EARLY
    assert set(SEEN[model_type]) == set(feed)


def test_the_size_of_a_picture_is_the_configurations() -> None:
    """A number, a pair and a table are read; what is usual comes after."""
    assert sides(SimpleNamespace(image_size=96))[0] == (96, 96)
    assert sides(SimpleNamespace(image_size=[32, 128]))[0] == (32, 128)
    assert sides(SimpleNamespace(image_size={"height": 384, "width": 768}))[0] == (384, 768)
    assert (224, 224) in sides(SimpleNamespace(image_size=96))
    assert sides(SimpleNamespace())[0] == (224, 224)


def test_the_width_of_a_patch_is_that_of_the_layer_that_meets_it() -> None:
    """The model's own weight is believed before what the configuration says; a sound's layer is no picture's."""
    vision = SimpleNamespace(patch_size=14, in_channels=3, temporal_patch_size=1)
    cube = nn.ModuleDict({"audio": nn.Conv2d(1, 8, 3), "patch_embed": nn.Conv3d(3, 8, (2, 16, 16))})
    assert shapes(cube, vision)[0] == (3 * 2 * 16 * 16,)
    assert shapes(nn.ModuleDict({"patch_embedding": nn.Linear(75, 8)}), vision)[0] == (75,)
    assert shapes(nn.ModuleDict(), vision)[0] == (3 * 14 * 14,)


def test_a_grid_has_as_many_patches_as_are_fed() -> None:
    """Height and width of the grid give the rows, and are multiples of what is merged."""
    vision = SimpleNamespace(patch_size=14, spatial_merge_size=4)
    feed = next(gridded(nn.ModuleDict(), vision, {"image_grid_thw"}, "pixel_values"))
    _, high, wide = feed["image_grid_thw"][0].tolist()
    assert feed["pixel_values"].shape[0] == high * wide
    assert high % 4 == 0 == wide % 4


def test_no_picture_is_made_for_a_model_that_takes_none() -> None:
    """A forward pass without pictures has no candidates."""
    assert list(itertools.islice(pictures(nn.ModuleDict(), SimpleNamespace(), {"input_ids"}), 1)) == []
