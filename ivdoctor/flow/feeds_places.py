"""Tokens that stand for features of a picture or a sound, as many as there are features."""

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from .sizes import first_of, parts, size

Feed = dict[str, Any]

PLACES = {
    "image": ("image_token_id", "image_token_index", "media_placeholder_token_id", "image_pad_token_id", "im_patch_id", "img_context_token_id"),
    "video": ("video_token_id", "video_token_index"),
    "audio": ("audio_token_id", "audio_token_index"),
}
"""What the configuration calls the token of each kind."""

GETTERS = {"image": "get_image_features", "video": "get_video_features", "audio": "get_audio_features"}
KINDS = {"image": 1, "video": 2, "audio": 3}
"""Values of `mm_token_type_ids`."""

FRAMING = {
    "image": (("vision_start_token_id", "image_start_token_id", "boi_token_id"), ("vision_end_token_id", "image_end_token_id", "eoi_token_id")),
    "video": (("vision_start_token_id", "video_start_token_id"), ("vision_end_token_id", "video_end_token_id")),
    "audio": (("audio_start_token_id", "boa_token_id"), ("audio_end_token_id", "eoa_token_id")),
}
"""Tokens before the places and after them."""


def place(config: Any, kind: str) -> int | None:
    """The token that stands for a feature."""
    found = first_of(config, *PLACES[kind])
    return found if isinstance(found, int) and found >= 0 else None


def words(config: Any, count: int) -> list[int]:
    """Tokens that mean nothing special."""
    special = {
        value for part in parts(config) for key, value in vars(part).items() if key.endswith(("_token_id", "_token_index")) and isinstance(value, int)
    }
    return [one for one in range(4, 4 + count + len(special)) if one not in special][:count]


def counted(model: Any, kind: str, floats: Feed) -> int | None:
    """How many places the model's own tower makes of it; 0 where it refuses it, None where the model does not say."""
    inner = getattr(model, "model", None)
    owners = (model, inner, getattr(model, "encoder", None), getattr(inner, "encoder", None))
    owner = next((one for one in owners if hasattr(one, GETTERS[kind])), None)
    if owner is None:
        return None
    getter = getattr(owner, GETTERS[kind])
    names = inspect.signature(getter).parameters
    with contextlib.suppress(Exception), torch.no_grad():  # the wrong shape: the next one
        try:
            found = getter(**{key: value for key, value in floats.items() if key in names})
        except TypeError:  # it hands on what it is given, and wants more than it names
            found = getter(**floats)
        deep = getattr(found, "deepstack_features", None)
        options = (getattr(found, "pooler_output", None), getattr(found, "last_hidden_state", None), deep[0] if deep else None, found)
        pooled = next(one for one in options if one is not None)
        leaves = [one for one in tree_leaves(pooled) if isinstance(one, torch.Tensor)]
        return sum(one.numel() // one.shape[-1] for one in leaves)
    return 0


def placed(config: Any, takes: set[str], counts: dict[str, int]) -> Feed:
    """Words, the places of each kind between their marks, and words."""
    ids, kinds = words(config, 2), [0, 0]
    most = size(config, 1 << 30, "vocab_size")
    for kind, count in counts.items():
        before, after = ([one for one in [first_of(config, *names)] if isinstance(one, int) and one < most] for names in FRAMING[kind])
        ids += [*before, *[place(config, kind) or 0] * count, *after]
        kinds += [*[0] * len(before), *[KINDS[kind]] * count, *[0] * len(after)]
    ids, kinds = [*ids, *words(config, 4)[2:]], [*kinds, 0, 0]
    feed: Feed = {"input_ids": torch.tensor([ids])}
    feed["attention_mask"] = torch.ones_like(feed["input_ids"])
    feed |= {name: torch.tensor([kinds]) for name in ("mm_token_type_ids", "token_type_ids") if name in takes}
    return feed


def decoded(config: Any, takes: set[str]) -> Iterator[Feed]:
    """The first tokens of a decoder, where there is one."""
    start = first_of(config, "decoder_start_token_id")
    more = {"decoder_input_ids": torch.tensor([[start if isinstance(start, int) else 1, 5]])}
    if "decoder_input_ids" in takes and getattr(config, "is_encoder_decoder", False):
        yield more
    else:
        yield {}
        yield from [more] if "decoder_input_ids" in takes else []
