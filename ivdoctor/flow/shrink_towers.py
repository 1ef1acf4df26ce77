"""Towers whose widths are tied to each other: what ties them again when they are made small."""

from typing import Any

Config = dict[str, Any]

NARROW = 64
"""What a tower's width is made."""


def equal(config: Config, level: str) -> Config:
    """The two towers of a pair are equally wide."""
    width = config["text_config"]["hidden_size"]
    text = {"text_config": {"projection_size": width}} if "projection_size" in config["text_config"] and level != "thin" else {}
    return text | ({"vision_config": {"hidden_size": width, "num_attention_heads": 4, "intermediate_size": 128}} if level == "tiny" else {})


def projected(config: Config, level: str) -> Config:
    """What a text is projected to is as wide as itself."""
    return {"projection_dim": config["text_config"]["hidden_size"]} if level != "thin" else {}


def pooled(_: Config, level: str) -> Config:
    """What is pooled is as wide as the tower."""
    return {"vision_config": {"pooler_output_size": NARROW}} if level == "tiny" else {}


def bridged(config: Config, level: str) -> Config:
    """Both towers, and the layers that join them."""
    width = config["text_config"]["hidden_size"]
    return {"hidden_size": width, "num_attention_heads": 4, "vision_config": {"hidden_size": width}} if level != "thin" else {}


def asked(config: Config, level: str) -> Config:
    """The language tower and what is projected of it."""
    width = config["text_config"]["hidden_size"]
    return {"text_projection_in_dim": width, "image_size": 224, "d_model": 256, "encoder_attention_heads": 8} if level != "thin" else {}


def windows(config: Config, level: str) -> Config:
    """Sixteen patches a side, in windows that are left whole at every stage."""
    side: Any = [64, 64] if isinstance(config.get("image_size"), list) else 64
    return {"image_size": side, "window_size": 2} if level == "tiny" else {}


def boxes(config: Config, level: str) -> Config:
    """Four coordinates and two shapes are as wide as a token."""
    width = config["hidden_size"]
    return {"coordinate_size": 3 * width // 16, "shape_size": width // 8} if level != "thin" else {}


def shuffled(config: Config, _: str) -> Config:
    """Merged patches, and the projector that takes them."""
    return {"projection_hidden_size": config["vision_config"]["hidden_size"]}


def merging(config: Config, level: str) -> Config:
    """As `shuffled`, under other names."""
    vision, text = config["vision_config"], config.get("text_config") or {}
    more = {"projector_hidden_size": 128} | ({"text_hidden_size": text["hidden_size"]} if "text_hidden_size" in config else {})
    return {"out_hidden_size": vision["merge_size"] ** 2 * vision["hidden_size"], **more} if level == "tiny" else {}


def read(config: Config, level: str) -> Config:
    """The first encoder ends as wide as the second begins."""
    vision = config["vision_config"]
    widths = [*vision["sam_config"]["downsample_channels"][:-1], vision["encoder_config"]["hidden_size"]]
    return {"vision_config": {"sam_config": {"downsample_channels": widths}}} if level != "thin" else {}


def sam(config: Config, level: str) -> Config:
    """The encoder's neck, the prompts and the decoder, all equally wide."""
    if level != "tiny":
        return {}
    vision = config["vision_config"]
    side = vision["image_size"] // vision["patch_size"]
    decoder = {"hidden_size": NARROW, "num_attention_heads": 2, "mlp_dim": 128, "iou_head_hidden_dim": NARROW}
    decoder |= {"vit_dim": vision["hidden_size"]} if "vit_dim" in config["mask_decoder_config"] else {}
    return {
        "vision_config": {"output_channels": NARROW, "num_pos_feats": NARROW // 2},
        "prompt_encoder_config": {"hidden_size": NARROW, "image_size": vision["image_size"], "image_embedding_size": side},
        "mask_decoder_config": decoder,
    }


DECODER = {"hidden_size": 256, "num_attention_heads": 8, "mlp_dim": 128}
HIERA = {"hidden_size": 96, "num_attention_heads": 1, "blocks_per_stage": [1, 1, 2, 1], "global_attention_blocks": [3], "image_size": [128, 128]}


def hiera(_: Config, level: str) -> Config:
    """Few blocks in each stage."""
    return HIERA if level == "tiny" else {}


def hiera_necked(_: Config, level: str) -> Config:
    """And a neck that knows how large their features are."""
    return {"backbone_config": HIERA, "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]]} if level == "tiny" else {}


def sam2(config: Config, level: str) -> Config:
    """A small encoder, and a decoder as wide as its neck."""
    if level != "tiny":
        return {}
    return {
        "vision_config": hiera_necked(config, level),
        "prompt_encoder_config": {"hidden_size": 256, "image_size": 128},
        "mask_decoder_config": DECODER,
    }


def necked(config: Config) -> Config:
    """A neck that knows how large the features of four patches a side are."""
    side = config["backbone_config"]["image_size"] // config["backbone_config"]["patch_size"]
    return {"backbone_feature_sizes": [[4 * side, 4 * side], [2 * side, 2 * side], [side, side]]}


def sam3(config: Config, level: str) -> Config:
    """All parts after the encoder as wide as its neck."""
    if level != "tiny":
        return {}
    layers = {"hidden_size": 256, "num_attention_heads": 8, "intermediate_size": 128}
    parts: Config = {name: layers for name in ("geometry_encoder_config", "detr_encoder_config", "detr_decoder_config") if name in config}
    return {**parts, "vision_config": necked(config["vision_config"]), "mask_decoder_config": {"hidden_size": 256, "num_attention_heads": 8}}


def sam3_tracker(config: Config, level: str) -> Config:
    """As SAM's, after an encoder of SAM 3's."""
    if level != "tiny":
        return {}
    side = config["vision_config"]["backbone_config"]["image_size"]
    prompts = {"hidden_size": 256, "image_size": side}
    return {"vision_config": necked(config["vision_config"]), "prompt_encoder_config": prompts, "mask_decoder_config": DECODER}


def sam3_vision(config: Config, level: str) -> Config:
    """The encoder and its neck."""
    return necked(config) if level == "tiny" else {}


def sam3_video(config: Config, level: str) -> Config:
    """A detector and a tracker."""
    if level != "tiny":
        return {}
    return {"detector_config": sam3(config["detector_config"], level), "tracker_config": sam3_tracker(config["tracker_config"], level)}


def grouped(config: Config, level: str) -> Config:
    """Every layer with as many heads of keys as it has."""
    heads = config["num_attention_heads"]
    found = {"num_key_value_heads_per_layer": [heads] * config["num_hidden_layers"], "num_key_value_attention_heads": heads}
    return found if level == "tiny" else {}


def perceiving(_: Config, level: str) -> Config:
    """Few latents that attend few times."""
    return {"num_latents": 32, "num_self_attends_per_block": 2} if level == "tiny" else {}


TIED: dict[str, Any] = {
    "siglip": equal,
    "siglip2": equal,
    "tipsv2": equal,
    "owlvit": projected,
    "owlv2": projected,
    "vision-text-dual-encoder": pooled,
    "bridgetower": bridged,
    "omdet-turbo": asked,
    "swin": windows,
    "swinv2": windows,
    "donut-swin": windows,
    "maskformer-swin": windows,
    "layoutlmv3": boxes,
    "kimi_k25": shuffled,
    "muse_glimmer": merging,
    "muse_spark": merging,
    "deepseek_ocr2": read,
    "unlimited_ocr": read,
    "sam": sam,
    "sam_hq": sam,
    "sam2": sam2,
    "sam2_video": sam2,
    "edgetam": sam2,
    "edgetam_video": sam2,
    "sam2_vision_model": hiera_necked,
    "sam2_hiera_det_model": hiera,
    "sam3": sam3,
    "sam3_lite_text": sam3,
    "sam3_tracker": sam3_tracker,
    "sam3_tracker_video": sam3_tracker,
    "sam3_vision_model": sam3_vision,
    "sam3_video": sam3_video,
    "perceiver": perceiving,
    "sapiens2": grouped,
}
"""By model_type: a function of (the config made small, the level) that gives what is merged into it."""
