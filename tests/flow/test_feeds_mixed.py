"""Feeds of models that see and read: representative types, really run from their default configurations made small."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ivdoctor.flow.classes import classes_of
from ivdoctor.flow.feeds import first_feed
from ivdoctor.flow.feeds_places import counted, place, placed, words
from ivdoctor.flow.shrink import shrunk

pytest.importorskip("transformers", minversion="5.0")
from transformers import CONFIG_MAPPING  # where it is there

SEEN = {
    "clip": {"pixel_values", "input_ids"},
    "internvl": {"pixel_values", "input_ids"},
    "qwen2_vl": {"pixel_values", "image_grid_thw", "mm_token_type_ids"},
    "qwen2_5_vl": {"pixel_values", "image_grid_thw", "mm_token_type_ids"},
    "llava": {"pixel_values", "input_ids"},
    "llava_next": {"pixel_values", "image_sizes"},
    "mistral3": {"pixel_values", "image_sizes"},
    "idefics3": {"pixel_values", "pixel_attention_mask"},
    "mllama": {"pixel_values", "aspect_ratio_ids", "aspect_ratio_mask"},
    "blip-2": {"pixel_values", "input_ids"},
    "instructblip": {"pixel_values", "qformer_input_ids"},
    "paligemma": {"pixel_values", "input_ids", "token_type_ids"},
    "minicpmv4_6": {"pixel_values", "target_sizes"},
    "layoutlmv3": {"pixel_values", "bbox"},
    "lxmert": {"visual_feats", "visual_pos"},
    "muse_spark": {"pixel_values", "image_grid_thw", "input_values"},
}
"""Types, and arguments that must be among what they are fed."""

EARLY = 4
"""Place of the first that runs, at most."""


def tiny(model_type: str) -> tuple[Any, Any]:
    """The likeliest class with random weights, and its configuration."""
    if model_type not in CONFIG_MAPPING:
        pytest.skip(f"no {model_type} in this transformers")
    cls = CONFIG_MAPPING[model_type]
    config = cls.from_dict(shrunk(cls().to_dict(), "tiny"))
    torch.manual_seed(0)
    model: Any = classes_of(model_type)[0](config)
    return model.eval(), config


def ran(model: Any, feed: dict[str, Any]) -> None:
    """A forward pass."""
    with torch.no_grad():
        model(**feed)


@pytest.mark.parametrize("model_type", SEEN)
def test_a_model_that_sees_and_reads_runs_on_one_of_the_first_feeds(model_type: str) -> None:
    """Each type takes an early feed with a picture in it, and what belongs to the picture."""
    model, config = tiny(model_type)
    feed, refused = first_feed(model, config, lambda one: ran(model, one))
    assert len(refused) < EARLY
    assert SEEN[model_type] <= set(feed)


def test_there_are_as_many_places_as_the_tower_makes_features() -> None:
    """Four merged patches have four places, between words, and the model's own mask of kinds says where."""
    model, config = tiny("qwen2_vl")
    feed, _ = first_feed(model, config, lambda one: ran(model, one))
    spots = feed["input_ids"] == place(config, "image")
    assert counted(model, "image", feed) == int(spots.sum()) == int(feed["image_grid_thw"].prod()) // 4
    assert torch.equal(spots, feed["mm_token_type_ids"] == 1)


def test_a_picture_that_the_tower_refuses_has_no_places() -> None:
    """A wrong size counts zero; a model without a tower of its own says nothing."""
    model, _ = tiny("internvl")
    assert counted(model, "image", {"pixel_values": torch.randn(1, 3, 13, 13)}) == 0
    assert counted(torch.nn.Linear(2, 2), "image", {}) is None


def test_words_are_no_special_tokens_and_marks_lie_in_the_vocabulary() -> None:
    """Ids that the configuration gives a meaning are passed over; a mark beyond the vocabulary is left out."""
    config = SimpleNamespace(vocab_size=100, image_token_id=5, pad_token_id=6, boi_token_id=99, eoi_token_id=100)
    assert words(config, 3) == [4, 7, 8]
    assert placed(config, set(), {"image": 2})["input_ids"].tolist() == [[4, 7, 99, 5, 5, 8, 9]]
