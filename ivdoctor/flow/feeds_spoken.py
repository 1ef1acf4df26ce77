"""A sound and the text that has places for it."""

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from .feeds_places import place, placed
from .feeds_sound import heard
from .feeds_text import LENGTH, masked, started, tokens

Feed = dict[str, Any]

LENGTHS = "_get_feat_extract_output_lengths"
"""The method by which towers of transformers tell the number of their features from that of their frames."""


def spoken(model: Any, config: Any, takes: set[str]) -> Iterator[Feed]:
    """Each sound with as many places as the model's own tower makes of it; where it cannot say, with words."""
    for feed in heard(model, config, takes):
        count = counted(model, feed) if place(config, "audio") is not None else None
        count = told(model, feed) if count is None else count
        if count == 0:
            continue  # its own tower refuses it
        text = placed(config, takes, {"audio": count}) if count else masked(tokens(config, LENGTH))
        mixed = {**text, **feed}
        mixed["attention_mask"] = text["attention_mask"]
        yield {**mixed, **started(config, takes)}


def counted(model: Any, feed: Feed) -> int | None:
    """How many places the model's own tower makes of it; 0 where it refuses it, None where the model has no such method."""
    owner = next((one for one in (getattr(model, "model", None), model) if hasattr(one, "get_audio_features")), None)
    if owner is None:
        return None
    names = inspect.signature(owner.get_audio_features).parameters
    taken = feed if any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in names.values()) else {key: feed[key] for key in feed if key in names}
    try:
        with torch.no_grad():
            found = owner.get_audio_features(**taken)
    except TypeError:  # it wants more than the sound
        return None
    except Exception:  # noqa: BLE001  # the wrong shape
        return 0
    leaves = [one for one in tree_leaves(getattr(found, "pooler_output", found)) if isinstance(one, torch.Tensor)]
    return sum(one.numel() // one.shape[-1] for one in leaves)


def told(model: Any, feed: Feed) -> int | None:
    """What a tower says of the number of its features; None where it does not."""
    tells = next((getattr(one, LENGTHS) for one in model.modules() if hasattr(one, LENGTHS)), None)
    if tells is None or "input_features" not in feed:
        return None
    found = tells(torch.tensor([feed["input_features"].shape[-1]]))
    return int(found[-1].sum()) if isinstance(found, tuple) else int(found.sum())
