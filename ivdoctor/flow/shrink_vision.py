"""What families with pictures need besides, when they are made small."""

from typing import Any

Config = dict[str, Any]

RESNET = {"model_type": "resnet", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "embedding_size": 8}


def chameleon(_: Config, level: str) -> Config:
    """As many names as there are codes."""
    letters = str.maketrans("0123456789", "ABCDEFGHIJ")
    names = {f"IMGIMG{str(code).translate(letters)}Z": 20 + code for code in range(64)}
    vq = {"num_embeddings": 64, "base_channels": 32, "resolution": 64, "num_res_blocks": 1}
    return {"vocabulary_map": {"<image>": 19, **names}, "vq_config": vq} if level != "thin" else {}


def emu3(_: Config, level: str) -> Config:
    """As many names as there are codes."""
    names = {f"<|visual token {code:06d}|>": 20 + code for code in range(64)}
    vq = {"codebook_size": 64, "base_channels": 32, "num_res_blocks": 1}
    return {"vocabulary_map": {"<image>": 18, "<|extra_200|>": 19, **names}, "vq_config": vq} if level != "thin" else {}


def aria(config: Config, _: str) -> Config:
    """A projector for the patches that are left."""
    vision = config["vision_config"]
    side = vision["image_size"] // vision["patch_size"]
    return {"projector_patch_to_query_dict": {side * side: 16}}


OWN: dict[str, Any] = {
    "aria": aria,
    "chameleon": chameleon,
    "emu3": emu3,
    "blip-2": {"image_token_id": 11, "image_token_index": 11},
    "instructblip": {"image_token_id": 11, "image_token_index": 11},
    "instructblipvideo": {"video_token_id": 11, "video_token_index": 11},
    "detr": {"use_timm_backbone": False, "backbone": None, "backbone_config": RESNET},
    "conditional_detr": {"use_timm_backbone": False, "backbone": None, "backbone_config": RESNET},
    "table-transformer": {"use_timm_backbone": False, "backbone": None, "backbone_config": RESNET},
    "janus": {"vision_config": {"projection_dim": "width"}},
    "inkling2": {"vision_config": {"text_hidden_size": "width"}},
    "inkling_mm_model": {"vision_config": {"text_hidden_size": "width"}, "audio_config": {"text_hidden_size": "width"}},
    "molmo2": {"adapter_config": {"vision_feature_layer": [1, 0], "vit_layers": [1, 0]}},
    "mllama": {
        "vision_config": {"hidden_size": 64, "attention_heads": 2, "num_global_layers": 1, "intermediate_size": 128, "intermediate_layers_indices": [0, 1]}
        | {"vision_output_dim": 192},
        "text_config": {"cross_attention_layers": [1]},
    },
    "gemma3": {"mm_tokens_per_image": 4, "boi_token_index": 13, "eoi_token_index": 14},
    "vipllava": {"vision_feature_layers": [-2, -1]},
    "paligemma": {"projection_dim": "width", "vision_config": {"projection_dim": "width"}},
}
"""
By model_type, merged into the shrunk config: `width` is that of the language model. A family's extras may be a function of (the shrunk config, the level).
"""
