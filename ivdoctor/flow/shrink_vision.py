"""What families with pictures need besides, when they are made small."""

from typing import Any

from .shrink_towers import TIED

Config = dict[str, Any]

RESNET = {"model_type": "resnet", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "embedding_size": 8}


def chameleon(config: Config, level: str) -> Config:
    """As many names as there are codes."""
    if level == "thin":
        return {}
    config["vocabulary_map"] = {}  # what is given is merged into it
    letters = str.maketrans("0123456789", "ABCDEFGHIJ")
    names = {f"IMGIMG{str(code).translate(letters)}Z": 20 + code for code in range(64)}
    vq = {"num_embeddings": 64, "base_channels": 32, "resolution": 64, "num_res_blocks": 1}
    return {"vocabulary_map": {"<image>": 19, **names}, "image_token_id": 19, "vq_config": vq}


def emu3(config: Config, level: str) -> Config:
    """As many names as there are codes."""
    if level == "thin":
        return {}
    config["vocabulary_map"] = {}  # what is given is merged into it
    names = {f"<|visual token {code:06d}|>": 20 + code for code in range(64)}
    vq = {"codebook_size": 64, "base_channels": 32, "num_res_blocks": 1, "hidden_size": 128, "num_attention_heads": 1}
    return {"vocabulary_map": {"<image>": 18, "<|extra_200|>": 19, **names}, "image_token_id": 18, "vq_config": vq}


def aria(config: Config, _: str) -> Config:
    """A projector for the patches that are left."""
    vision = config["vision_config"]
    side = vision["image_size"] // vision["patch_size"]
    return {"projector_patch_to_query_dict": {side * side: 16}}


def depth_pro(config: Config, level: str) -> Config:
    """A small patch, and hooks in the layers that are left."""
    layers = config["patch_model_config"]["num_hidden_layers"]
    found: Config = {"intermediate_hook_ids": [layers - 1, 0]}
    if level == "tiny":
        found |= {"patch_size": 64, "fusion_hidden_size": 32, "intermediate_feature_dims": [32, 32], "scaled_images_feature_dims": [32, 32, 32]}
    return found


def dots3_note(config: Config, level: str) -> Config:
    """The adapter is as wide as its two ends."""
    width = config["text_config"]["hidden_size"]
    vision = config["vision_config"]
    audio = {"adapter_input_size": config["audio_config"]["hidden_size"], "adapter_out_dim": width}
    return {"vision_config": {"adapter_in_dim": vision["hidden_size"], "adapter_out_dim": width}, "audio_config": audio} if level != "thin" else {}


def florence2(config: Config, level: str) -> Config:
    """A narrow tower that ends as wide as the language model."""
    if level != "tiny":
        return {}
    tower = {"embed_dim": [16, 32, 48, 64], "num_heads": [2, 2, 2, 2], "num_groups": [2, 2, 2, 2], "window_size": 4}
    return {"vision_config": {**tower, "projection_dim": config["text_config"]["d_model"]}}


def perception(config: Config, _: str) -> Config:
    """The width is said twice."""
    vision = config["vision_config"]
    return {"vision_config": {"model_args": {"embed_dim": vision["hidden_size"]}}} if vision.get("hidden_size") else {}


def pi0(config: Config, level: str) -> Config:
    """The projector of the model inside follows its language model."""
    width = config["vlm_config"]["text_config"]["hidden_size"]
    return {"vlm_config": {"projection_dim": width, "hidden_size": width, "vision_config": {"projection_dim": width}}} if level != "thin" else {}


def few_queries(_: Config, level: str) -> Config:
    """No more queries than a small picture has places."""
    return {"num_queries": 10} if level == "tiny" else {}


def pinned(config: Config, _: str) -> Config:
    """Pictures of one by two tiles."""
    side = config["vision_config"].get("image_size", 0)
    return {"image_grid_pinpoints": [[side, 2 * side], [2 * side, side]]} if isinstance(side, int) and side else {}


def llama4(config: Config, level: str) -> Config:
    """Patches are shuffled four to one on their way to the projector."""
    width = config["vision_config"]["hidden_size"]
    tower = {"intermediate_size": 4 * width, "projector_input_dim": 128, "projector_output_dim": 128, "vision_output_dim": 128}
    return {"vision_config": tower} if level == "tiny" else {}


def glm_image(config: Config, _: str) -> Config:
    """The codes are made of what the tower gives."""
    return {"vq_config": {"latent_channels": config["vision_config"]["hidden_size"], "num_embeddings": 64}}


def phi4(config: Config, level: str) -> Config:
    """Tokens of its own for sounds, and convolutions as wide as their tower."""
    width = config["audio_config"]["hidden_size"]
    tower = dict.fromkeys(("nemo_conv_channels", "ext_pw_out_channel", "depthwise_separable_out_channel"), width) if level == "tiny" else {}
    return {"audio_config": {"audio_token_id": 12, **tower}}


def granite4(config: Config, level: str) -> Config:
    """Layers that are there, and windows that fit into four patches a side."""
    layers = config["text_config"]["num_hidden_layers"]
    found = {"deepstack_layer_map": [[-2, 0], [-1, layers - 1]], "spatial_target_layers": [layers - 1] * 4}
    return pinned(config, level) | found | ({"downsample_rate": "1/2"} if level == "tiny" else {})


def videoprism(config: Config, level: str) -> Config:
    """Few frames, few patches, few layers."""
    layers = {"num_spatial_layers": 2, "num_temporal_layers": 2, "num_auxiliary_layers": 1}
    tower: Config = layers | {"image_size": 36, "num_frames": 2} if level == "tiny" else {**layers}
    if "vision_config" not in config:
        return tower
    width = {"hidden_size": config["text_config"]["hidden_size"], "num_attention_heads": 4} if level == "tiny" else {}
    return {"vision_config": tower | width}


KOSMOS = {"layers": 2, "embed_dim": 128, "ffn_dim": 128, "attention_heads": 4}

OWN: dict[str, Any] = {
    **TIED,
    "depth_pro": depth_pro,
    "dots3_note": dots3_note,
    "florence2": florence2,
    "perception_lm": perception,
    "pi0": pi0,
    "lw_detr": few_queries,
    "rf_detr": few_queries,
    "kosmos-2": {"text_config": KOSMOS},
    "kosmos-2.5": {"text_config": KOSMOS},
    "mistral_large4": {"text_config": {"kv_source_layers": None, "indexer_types": None}},
    "ovis2": {"hidden_size": "width"},
    "pp_ocrv5_mobile_rec": {"hidden_size": 120, "num_attention_heads": 8},
    "t5gemma2": {"encoder": {"mm_tokens_per_image": 4}},
    "tvp": {"num_frames": 2, "max_img_size": 64, "visual_prompt_size": 8},
    "t5gemma2_encoder": {"mm_tokens_per_image": 4},
    "llava_next": pinned,
    "llava_next_video": pinned,
    "llava_onevision": pinned,
    "granite4_vision": granite4,
    "videoprism": videoprism,
    "videoprism_vision_model": videoprism,
    "uvdoc": {"backbone_config": {"depths": [1, 1, 1, 3, 3, 3]}},
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
    "llama4": llama4,
    "glm_image": glm_image,
    "phi4_multimodal": phi4,
    "molmo2": {"image_patch_id": 13, "adapter_config": {"text_hidden_size": "width", "vision_feature_layer": [1, 0], "vit_layers": [1, 0]}},
    "mllama": {
        "vision_config": {
            "hidden_size": 64,
            "attention_heads": 2,
            "num_global_layers": 1,
            "intermediate_size": 128,
            "intermediate_layers_indices": [0, 1],
        }
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
