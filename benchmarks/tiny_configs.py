"""
Configurations of transformers' families, made small.

Two layers of everything: a family's invariants (a rotation cut to a head's width, a projector between two towers) mostly survive that.
"""

import re
from typing import Any

LAYERS = (
    "num_hidden_layers",
    "num_layers",
    "encoder_layers",
    "decoder_layers",
    "depth",
    "n_layer",
    "n_layers",
    "num_encoder_layers",
    "num_decoder_layers",
)
PER_LAYER: tuple[str, ...] = ("layer_types", "mlp_layer_types", "no_rope_layers", "moe_layers", "block_types", "layers_block_type")
PER_LAYER += ("stage_names", "out_features", "out_indices")
"""Keys that list something for every layer; left out, they are made again for fewer."""

PLACE = re.compile(r"^(image|audio|video|vision|media|img)\w*_token_(id|index)$")
"""Keys of the tokens that stand for features."""

EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
FEW = 2
"""Layers that are left."""

TOKENS = 2000
"""Of the vocabulary of a language model."""

WIDTHS = (("hidden_size", "num_attention_heads"), ("embed_dim", "num_heads"), ("hidden_size", "num_heads"))
"""How towers name their width and its heads."""

RESNET = {"model_type": "resnet", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "embedding_size": 8}
OWN: dict[str, dict[str, Any]] = {
    "blip-2": {"image_token_id": 11, "image_token_index": 11},
    "instructblip": {"image_token_id": 11, "image_token_index": 11},
    "detr": {"use_timm_backbone": False, "backbone": None, "backbone_config": RESNET},
    "conditional_detr": {"use_timm_backbone": False, "backbone": None, "backbone_config": RESNET},
    "table-transformer": {"use_timm_backbone": False, "backbone": None, "backbone_config": RESNET},
    "molmo2": {"adapter_config": {"vision_feature_layer": [1, 0], "vit_layers": [1, 0]}},
    "mllama": {"vision_config": {"intermediate_layers_indices": [0, 1], "vision_output_dim": 192}, "text_config": {"cross_attention_layers": [1]}},
    "gemma3": {"mm_tokens_per_image": 4},
    "vipllava": {"vision_feature_layers": [-2, -1]},
    "paligemma": {"projection_dim": "width", "vision_config": {"projection_dim": "width"}},
}
"""What a family needs besides: `width` is that of its language model."""


def small(model_type: str, config: dict[str, Any], level: str) -> dict[str, Any]:
    """`thin`: few layers; `narrow`: and narrow language models; `tiny`: and narrow towers, for half precision is slow on a CPU."""
    found = shrunk(config, level)
    return merged(found, OWN.get(model_type, {}), found.get("text_config", {}).get("hidden_size", 0))


def shrunk(config: dict[str, Any], level: str) -> dict[str, Any]:
    """A configuration and those inside it."""
    found = {key: fewer(config, key, level) for key in config if key not in PER_LAYER}
    found |= {key: min(found[key], 8) for key in EXPERTS if isinstance(found.get(key), int)}
    if level != "thin":
        narrowed(found)
        joined(found)
    if level == "tiny":
        tower(found)
    places = [key for key in found if PLACE.search(str(key)) and isinstance(found[key], int)]
    return found | {key: 11 + position for position, key in enumerate(places)}  # real ones may lie beyond the default vocabulary


def fewer(config: dict[str, Any], key: str, level: str) -> Any:
    """A value for two layers."""
    value = config[key]
    if isinstance(value, dict):
        return shrunk(value, level)
    if key in LAYERS and type(value) is int:
        return min(value, FEW)
    if isinstance(value, list) and len(value) > FEW and len(value) == config.get("num_hidden_layers"):
        return value[:FEW]
    return value


def narrowed(config: dict[str, Any]) -> None:
    """A language model of four heads and few tokens, in place; its heads keep their width, for rotations are cut to it."""
    if "vocab_size" in config and isinstance(config.get("num_attention_heads"), int) and isinstance(config.get("hidden_size"), int):
        head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        config |= {"num_attention_heads": 4, "hidden_size": 4 * head}
        config |= {key: 2 for key in ("num_key_value_heads",) if key in config}
        config |= {key: 128 for key in ("intermediate_size", "moe_intermediate_size") if isinstance(config.get(key), int)}
    config |= {key: min(config[key], TOKENS) for key in ("vocab_size",) if isinstance(config.get(key), int)}
    config |= {key: 3 for key, value in config.items() if str(key).endswith("_token_id") and isinstance(value, int) and value >= TOKENS}


def tower(config: dict[str, Any]) -> None:
    """An encoder of two heads and four patches a side, in place."""
    for width, heads in WIDTHS if "vocab_size" not in config else ():
        if isinstance(config.get(width), int) and isinstance(config.get(heads), int):
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
        inner = isinstance(value, dict) and "model_type" not in value
        found[key] = merged(config[key], value, width) if inner else width if value == "width" else value
    return found
