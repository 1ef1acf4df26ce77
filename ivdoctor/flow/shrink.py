"""
Configurations of transformers' families, made small.

Few layers of everything, one of each kind: a family's invariants (a rotation cut to a head's width, a projector between two towers) mostly survive that.
"""

import math
import re
from collections.abc import Callable
from typing import Any

from .shrink_layers import fewer
from .shrink_own import OWN
from .shrink_vision import OWN as VISION

LEVELS = ("tiny", "narrow", "thin")
"""The biggest cut first."""

DROPPED = ("stage_names", "out_features", "out_indices", "quantization_config")
"""Keys that are left out: those made again from the number of layers, and how the real weights are packed."""

PLACE = re.compile(r"^(image|audio|video|vision|media|img)\w*_token_(id|index)$")
"""Keys of the tokens that stand for features."""

EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_routed_experts")
SHARES = {
    "num_experts_per_tok": 2,
    "num_experts_per_token": 2,
    "moe_topk": 2,
    "moe_top_k": 2,
    "top_k_experts": 2,
    "n_group": 2,
    "num_expert_group": 2,
    "topk_group": 1,
    "zero_expert_num": 2,
}
"""At most so many of eight experts."""

FEW_EXPERTS = 8
TOKENS = 2000
"""Of the vocabulary of a language model."""

HEADS = 4
FOLLOW = ("embedding_size", "word_embed_proj_dim", "upsample_groups", "lru_width")
"""Sizes that stay equal to the width where they were."""

INNER = 128
"""Width inside a feed-forward."""

TEXTS: tuple[tuple[str, str], ...] = (
    ("hidden_size", "num_attention_heads"),
    ("n_embd", "n_head"),
    ("hidden_size", "n_head"),
    ("d_model", "num_heads"),
)
TEXTS += (("emb_dim", "n_heads"), ("dim", "n_heads"), ("d_model", "n_heads"), ("hidden_size", "num_heads"), ("d_model", "n_head"))
"""How language models name their width and its heads."""

WIDTHS = (("hidden_size", "num_attention_heads"), ("embed_dim", "num_heads"), ("hidden_size", "num_heads"))
"""How towers do."""

FEEDS = re.compile(r"^(\w*_)?(intermediate_size(_mlp)?|ffn_dim|ffn_hidden_size)$|^(d_ff|n_inner|hidden_dim|d_inner)$")
"""How they name the width inside a feed-forward."""

More = dict[str, Any] | Callable[[dict[str, Any], str], dict[str, Any]]
"""What a family needs besides: values, or a function that gives them for (the config made small, the level)."""


def shrunk(config: dict[str, Any], level: str) -> dict[str, Any]:
    """
    `thin`: few layers; `narrow`: and narrow language models; `tiny`: and narrow towers, for half precision is slow on a CPU.

    Args:
        config: with its `model_type`; as `config.to_dict()` gives it, kinds of layers that the class derives are known and kept.
        level: one of LEVELS.
    """
    found = _cut(config, level)
    return merged(found, _more({**OWN, **VISION}, found, level), (found.get("text_config") or {}).get("hidden_size", 0))


def _cut(config: dict[str, Any], level: str) -> dict[str, Any]:
    """A configuration and those inside it."""
    found = {key: _inner(value, level) if isinstance(value, dict) else value for key, value in config.items() if key not in _dropped(config)}
    found |= fewer(config)
    _shared(found)
    if level != "thin":
        narrowed(found)
        joined(found)
    if level == "tiny":
        tower(found)
    places = [key for key in found if PLACE.search(str(key)) and isinstance(found[key], int)]
    return found | {key: 11 + position for position, key in enumerate(places)}  # real ones may lie beyond the default vocabulary


def _dropped(config: dict[str, Any]) -> tuple[str, ...]:
    """Stages stay as many as they were."""
    staged = any(isinstance(config.get(name), list) for name in ("depths", "layer_depths"))
    return ("quantization_config",) if staged else DROPPED


def _inner(config: dict[str, Any], level: str) -> dict[str, Any]:
    """One inside another, with what its own family needs."""
    found = _cut(config, level)
    return merged(found, _more(OWN, found, level), 0)


def _more(table: dict[str, More], found: dict[str, Any], level: str) -> dict[str, Any]:
    """What its family needs besides; nothing where the configuration does not say what that hangs on."""
    more = table.get(str(found.get("model_type", "")), {})
    try:
        return more(found, level) if callable(more) else more
    except (KeyError, TypeError):
        return {}


def _shared(config: dict[str, Any]) -> None:
    """Few experts, in place."""
    keys = [key for key in EXPERTS if type(config.get(key)) is int and config[key] > FEW_EXPERTS]
    if keys:
        config |= dict.fromkeys(keys, FEW_EXPERTS)
        config |= {key: min(config[key], most) for key, most in SHARES.items() if type(config.get(key)) is int}


def narrowed(config: dict[str, Any]) -> None:
    """A language model of four heads and few tokens, in place; its heads keep their width, for rotations are cut to it."""
    width, heads = next(((one, two) for one, two in TEXTS if type(config.get(one)) is int and type(config.get(two)) is int), ("", ""))
    if width and _speaks(config) and config[heads] > 0:
        before = config[heads]
        head = config.get("head_dim") or config[width] // before
        config |= {key: HEADS * head for key in FOLLOW if config.get(key) == config[width]}
        config |= {heads: HEADS, width: HEADS * head}
        config |= {key: _fewer_heads(config[key], before) for key in ("num_key_value_heads", "num_kv_heads") if type(config.get(key)) is int}
        config |= {key: INNER for key, value in config.items() if FEEDS.search(str(key)) and type(value) is int and value > INNER}
        config |= {key: [INNER] * len(value) for key, value in config.items() if key == "intermediate_size" and isinstance(value, list)}
        config |= _mixed(config)
    config |= {key: min(value, TOKENS) for key, value in config.items() if str(key).startswith("vocab_size") and type(value) is int}
    config |= {key: 3 for key, value in config.items() if str(key).endswith("_token_id") and type(value) is int and value >= TOKENS}


def _speaks(config: dict[str, Any]) -> bool:
    return type(config.get("vocab_size")) is int


def _fewer_heads(heads: int, before: int) -> int:
    """One stays one, all stay all."""
    return HEADS if heads == before else min(heads, 2)


def _mixed(config: dict[str, Any]) -> dict[str, int]:
    """The heads of a state-space mixer that expands the width."""
    for width, heads in (("mamba_d_head", "mamba_n_heads"),):
        if config.get("mamba_expand") and type(config.get(width)) is int and not config.get("mamba_d_ssm"):
            return {heads: config["mamba_expand"] * config["hidden_size"] // config[width]}
    return {}


def tower(config: dict[str, Any]) -> None:
    """An encoder of two heads and four patches a side, in place."""
    for width, heads in () if _speaks(config) else WIDTHS:
        if isinstance(config.get(width), int) and isinstance(config.get(heads), int):
            config |= {key: 64 for key in FOLLOW if config.get(key) == config[width]}
            config |= {width: 64, heads: 2} | {key: 2 for key in ("num_key_value_heads",) if config.get(key)}
            config |= {key: value for key, value in (("intermediate_size", 128), ("head_dim", 32)) if config.get(key)}
    patch = config.get("patch_size")
    sizes = {"image_size": 4 * patch if isinstance(patch, int) else 64, "max_source_positions": 64}
    config |= {key: value for key, value in sizes.items() if isinstance(config.get(key), int) and config[key] > value}
    if isinstance(config.get("d_model"), int) and isinstance(config.get("encoder_attention_heads"), int):
        config |= {"d_model": 64, "encoder_attention_heads": 2}
        config |= {key: value for key, value in (("decoder_attention_heads", 2), ("encoder_ffn_dim", 128), ("decoder_ffn_dim", 128)) if key in config}


def joined(config: dict[str, Any]) -> None:
    """A tower that puts out the language model's width follows it."""
    text: dict[str, Any] = next((config[key] for key in ("text_config", "llm_config") if isinstance(config.get(key), dict)), {})
    for key in ("vision_config", "audio_config"):
        tower, width = config.get(key), text.get("hidden_size")
        if isinstance(tower, dict) and width:
            tower |= {name: width for name in ("out_hidden_size", "output_dim") if isinstance(tower.get(name), int)}
            tower |= {"hidden_size": width} if "embed_dim" in tower and "hidden_size" in tower else {}


def merged(config: dict[str, Any], more: dict[str, Any], width: int) -> dict[str, Any]:
    """With the values of `more` in it, level by level."""
    found = dict(config)
    for key, value in more.items():
        inner = isinstance(value, dict) and "model_type" not in value and isinstance(found.get(key), dict)
        found[key] = merged(found[key], value, width) if inner else width if value == "width" else value
    return found


def changes(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> tuple[str, ...]:
    """What was made smaller: `num_hidden_layers 32 -> 2`; of a list, how long it is."""
    found: list[str] = []
    for key, value in before.items():
        other = after.get(key)
        name = f"{prefix}{key}"
        if isinstance(value, dict) and isinstance(other, dict):
            found += changes(value, other, f"{name}.")
        elif isinstance(value, list) and isinstance(other, list) and len(value) != len(other):
            found.append(f"{name} of {len(value)} -> of {len(other)}")
        elif _number(value) and _number(other) and value != other:
            found.append(f"{name} {value} -> {other}")
    return tuple(found)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
