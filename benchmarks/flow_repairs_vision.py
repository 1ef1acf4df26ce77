"""
Default configurations with pictures that are broken in themselves, or want a library that is not here, and what is changed in them.

By `model_type`: values that are merged level by level, and why. A part that names its own `model_type` replaces what was there.
"""

from typing import Any

Repair = tuple[dict[str, Any], str]

RESNET = {"model_type": "resnet", "out_features": ["stage2", "stage3", "stage4"]}
TIMM = "its backbone is one of timm's, which is not installed: a ResNet of transformers stands for it"
STAGES = {"out_features": ["stage1", "stage2", "stage3", "stage4"], "out_indices": [1, 2, 3, 4]}
HALVED = [
    [[3, 96, 96, 1, True]],
    [[3, 96, 96, 2, False], [3, 96, 96, 1, False]],
    [[3, 96, 192, 2, False], *[[3, 192, 192, 1, bool(block % 2)] for block in range(1, 7)]],
    [[3, 192, 384, 2, False], [3, 384, 384, 1, True], [3, 384, 384, 1, False]],
]
SWIN = {"model_type": "swin", "out_features": ["stage2", "stage3", "stage4"]}
LONG = {"longratio": 7, "midratio": 5, "shortratio": 3}
INTRACLASS = {
    "reduce_channel": [1, 1, 0],
    "return_channel": [1, 1, 0],
    **{f"vertical_long_to_small_conv_{name}": [[size, 1], [1, 1], [size // 2, 0]] for name, size in LONG.items()},
    **{f"horizontal_small_to_long_conv_{name}": [[1, size], [1, 1], [0, size // 2]] for name, size in LONG.items()},
    **{f"symmetric_conv_long_{name}": [[size, size], [1, 1], [size // 2, size // 2]] for name, size in LONG.items()},
}
QWEN = {"hidden_size": 896, "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864}
TILED = {"vision_config": {"image_size": 384, "patch_size": 16}, "image_grid_pinpoints": [[384, 768], [768, 384]]}
WIDE = {"text_config": {"head_dim": 128}, "vision_config": {"out_hidden_size": 2048}, "audio_config": {"output_dim": 2048}}
SECTIONS = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [8, 12, 12], "partial_rotary_factor": 0.5}
ROPE = {"text_config": {"rope_parameters": SECTIONS}}
SECTIONED = "the sections of its rotation are those of half a head, and its rotation is of a whole one"


WIDTH = "what its tower gives is not as wide as its language model"
PATCHES = "its tower has fewer patches a side than are made into one, or a number that cannot be"


def wide(width: int, **more: Any) -> Repair:
    """A tower that ends as wide as the language model."""
    return {"vision_config": {"out_hidden_size": width}, **more}, WIDTH


def codes(count: int, first: int) -> dict[str, int]:
    """Chameleon's names of the tokens of a picture: digits as letters."""
    letters = str.maketrans("0123456789", "ABCDEFGHIJ")
    return {"<image>": first - 1} | {f"IMGIMG{str(code).translate(letters)}Z": first + code for code in range(count)}


def visual(count: int, first: int) -> dict[str, int]:
    """Emu3's names of the tokens of a picture."""
    return {"<image>": first - 2, "<|extra_200|>": first - 1} | {f"<|visual token {code:06d}|>": first + code for code in range(count)}


ALIKE: dict[str, Repair] = {
    "cosmos3_omni": wide(4096),
    "exaone4_5": wide(4096),
    "glm5_next": wide(4096),
    "glm_ocr": wide(1024),
    "qwen2_vl": ({"vision_config": {"hidden_size": 8192}}, WIDTH),
    "qwen2_5_vl": wide(8192),
    "qwen3_5": wide(4096),
    "qwen3_5_moe": wide(2048),
    "qwen3_vl": wide(4096),
    "qwen3_vl_moe": wide(2048),
    "janus": ({"vision_config": {"projection_dim": 4096}}, WIDTH),
    "molmo2": ({"adapter_config": {"text_hidden_size": 4096}}, WIDTH),
    "gemma3": ({"vision_config": {"image_size": 896, "patch_size": 14}}, PATCHES),
    "t5gemma2": ({"encoder": {"vision_config": {"image_size": 896, "patch_size": 14}}}, PATCHES),
    "modernvbert": ({"vision_config": {"image_size": 512}}, PATCHES),
    "ultravbert": ({"vision_config": {"image_size": 512}}, PATCHES),
    "aya_vision": (
        {"vision_config": {"num_attention_heads": 16, "image_size": 364}},
        "the width of its tower is no multiple of its heads, nor its side of two patches",
    ),
    "blip-2": ({"image_token_id": 50265, "image_token_index": 50265}, "it has no token for the places of a picture"),
    "minicpm_ocr": ({"image_token_id": 101, "video_token_id": 102}, "it has no token for the places of a picture"),
    "minicpmv4_6": ({"image_token_id": 101, "video_token_id": 102}, "it has no token for the places of a picture"),
    "minicpmv4_7": (
        {
            "image_token_id": 101,
            "video_token_id": 102,
            "image_start_id": 103,
            "image_end_id": 104,
            "slice_start_id": 105,
            "slice_end_id": 106,
            "newline_id": 107,
        },
        "it has no token for the places of a picture, nor those around it",
    ),
    "instructblip": ({"image_token_id": 50265, "image_token_index": 50265}, "it has no token for the places of a picture"),
    "instructblipvideo": ({"video_token_id": 50265, "video_token_index": 50265}, "it has no token for the places of a video"),
}
"""Widths and tokens that one part says and another does not follow."""

REPAIRS: dict[str, Repair] = {
    **ALIKE,
    "chameleon": ({"vocabulary_map": codes(8192, 12), "image_token_id": 11}, "it has no names for the tokens of a picture"),
    "emu3": ({"vocabulary_map": visual(32768, 12), "image_token_id": 10}, "it has no names for the tokens of a picture"),
    "cohere_compass": (
        {
            "vision_config": {"out_hidden_size": 8192},
            "text_config": {"rope_parameters": {"full_attention": None, "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}},
        },
        "it says no rotation for its kinds of layers",
    ),
    "conditional_detr": ({"backbone_config": RESNET}, TIMM),
    "dab-detr": ({"backbone_config": RESNET}, TIMM),
    "deformable_detr": ({"backbone_config": RESNET}, TIMM),
    "detr": ({"backbone_config": {"model_type": "resnet", "out_features": ["stage1", "stage2", "stage3", "stage4"]}}, TIMM),
    "table-transformer": ({"backbone_config": RESNET}, TIMM),
    "omdet-turbo": (
        {"backbone_config": SWIN, "apply_layernorm_after_vision_backbone": False},
        "its backbone is one of timm's, which is not installed: the Swin of transformers stands for it",
    ),
    "edgetam": ({"vision_config": {"model_type": "sam2_vision_model"}}, "its tower is one of timm's, which is not installed: SAM 2's stands for it"),
    "fast_vlm": ({"vision_config": {"model_type": "resnet", "hidden_size": 2048}}, TIMM),
    "perception_lm": (
        {"vision_config": {"model_type": "dinov2", "model_args": {"embed_dim": 768}}},
        "its tower is one of timm's, which is not installed: DINOv2 stands for it",
    ),
    "glm_image": (ROPE, SECTIONED),
    "llama4": (
        {"vision_config": {"hidden_size": 1408, "vision_output_dim": 4096}},
        "four shuffled patches of its tower are not as wide as its projector, nor what the projector gives as wide as is taken",
    ),
    "lw_detr": ({"projector_scale_factors": [1.0], "projector_in_channels": [256], "num_feature_levels": 1}, "it says no scales of its features"),
    "blip-2": ({"image_token_index": 11, "image_token_id": 11}, "it names no token for its pictures"),
    "instructblip": ({"image_token_index": 11, "image_token_id": 11}, "it names no token for its pictures"),
    "instructblipvideo": ({"video_token_index": 11, "video_token_id": 11}, "it names no token for its videos"),
    "ovis2": ({"hidden_size": 4096}, "its table of visual tokens is not as wide as its language model"),
    "pp_ocrv6_medium_det": (
        {
            "backbone_config": {**STAGES, "block_configs": HALVED},
            "intraclass_block_config": INTRACLASS,
            "scale_factor_list": [1, 2, 4, 8],
            "kernel_list": [3, 2, 2],
        },
        "its backbone is that of a reader of lines, and it does not say how its blocks and its head are made",
    ),
    "pp_ocrv6_small_det": (
        {"backbone_config": {**STAGES, "block_configs": HALVED}, "layer_list_out_channels": [96, 96, 192, 384]},
        "its backbone is that of a reader of lines: its neck wants other channels and strides",
    ),
    "qwen2_5_omni_thinker": (
        {"vision_start_token_id": 151652, "vision_end_token_id": 151653},
        "it has no token for the start of a picture, which its positions are counted from",
    ),
    "qwen3_omni_moe_thinker": (
        {"vision_start_token_id": 151652, "vision_end_token_id": 151653, **WIDE},
        "it has no token for the start of a picture, which its positions are counted from, and heads of an odd width",
    ),
    "qwen4_exp": (
        {
            "vision_config": {"out_hidden_size": 2048},
            "text_config": {
                "indexer_n_heads": 4,
                "indexer_kv_heads": 1,
                "indexer_head_dim": 256,
                "indexer_budget": 2048,
                "indexer_compress_ratio": 4,
            },
        },
        "it does not say how its sparse attention chooses",
    ),
    "uvdoc": (
        {"backbone_config": {"out_features": [f"stage{stage}" for stage in range(1, 7)], "out_indices": list(range(1, 7))}},
        "its head joins six stages, and its backbone gives one",
    ),
    "step3p7": ({"text_config": {"sliding_window": 512}}, "it does not say how wide the window of its sliding layers is"),
    "sapiens2": (
        {"head_config": {"upsample_out_channels": [768, 768], "conv_out_channels": [768, 768], "use_pixel_shuffle": False}},
        "it says nothing of the heads for its tasks",
    ),
    "t5gemma2_encoder": (
        {"text_config": {"dropout_rate": 0.0}, "vision_config": {"image_size": 896, "patch_size": 14}},
        "its text configuration lacks a rate of dropout that its layers read",
    ),
    "deepseek_ocr2": (
        {"text_config": {"mlp_layer_types": ["dense", *["sparse"] * 31], "num_experts_per_tok": 6}, "vision_config": {"encoder_config": QWEN}},
        "it does not say which of its layers have experts, and its encoders are not equally wide",
    ),
    "gemma4": (
        {"vision_config": {"model_type": "gemma4_vision"}, "audio_config": {"model_type": "gemma4_audio"}},
        "it has no towers; every model that was published has",
    ),
    "gemma4_unified": (
        {"vision_config": {"model_type": "gemma4_unified_vision"}, "audio_config": {"model_type": "gemma4_unified_audio"}},
        "it has no towers; every model that was published has",
    ),
    "embedding_gemma2": (
        {"vision_config": {"model_type": "gemma4_vision"}, "audio_config": {"model_type": "gemma4_audio"}},
        "it has no towers; every model that was published has",
    ),
    "glm46v": (ROPE, SECTIONED),
    "glm4v": (ROPE, SECTIONED),
    "glm4v_moe": ({"text_config": {"head_dim": 128, "rope_parameters": SECTIONS}}, f"{SECTIONED}, and its heads are of an odd width"),
    "glmga": (ROPE, SECTIONED),
    "granite4_vision": (
        {"downsample_rate": "4/8", "deepstack_layer_map": [[-4, 9], [-2, 6]], **TILED},
        "it does not say how its features are made fewer, nor in which layers they go in",
    ),
    "hunyuan_vl": (
        {"text_config": {"head_dim": 128, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [16, 16, 16, 16]}}},
        "it does not say how wide a head is, nor the sections of its rotation",
    ),
}
"""What is changed, and why."""
