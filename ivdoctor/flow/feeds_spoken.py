"""A sound and the text that has places for it."""

from collections.abc import Iterator
from typing import Any

import torch

from .feeds_places import counted, place, placed
from .feeds_sound import heard
from .feeds_text import LENGTH, masked, started, tokens

Feed = dict[str, Any]


def spoken(model: Any, config: Any, takes: set[str]) -> Iterator[Feed]:
    """Each sound with as many places as the model's own tower makes of it; where it cannot say, with words."""
    for feed in heard(model, config, takes):
        count = counted(model, "audio", feed) if place(config, "audio") is not None else None
        count = told(model, feed) if count is None else count
        if count == 0:
            continue  # its own tower refuses it
        text = placed(config, takes, {"audio": count}) if count else masked(tokens(config, LENGTH))
        mixed = {**text, **feed}
        mixed["attention_mask"] = text["attention_mask"]
        yield {**mixed, **started(config, takes)}


def told(model: Any, feed: Feed) -> int | None:
    """What a tower says of the number of its features; None where it does not."""
    tower = next((one for one in model.modules() if hasattr(one, "_get_feat_extract_output_lengths")), None)
    if tower is None or "input_features" not in feed:
        return None
    found = tower._get_feat_extract_output_lengths(torch.tensor([feed["input_features"].shape[-1]]))
    return int(found[-1].sum()) if isinstance(found, tuple) else int(found.sum())
