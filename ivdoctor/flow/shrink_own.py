"""What families without pictures need besides, when they are made small."""

from typing import Any


def bytewise(config: dict[str, Any], _: str) -> dict[str, Any]:
    """Two local models that meet a global one."""
    wide = {"hidden_size_global": config["global_config"]["hidden_size"]}
    return {"encoder_hash_byte_group_vocab": 500, "encoder_config": wide, "decoder_config": wide}


def adapted(config: dict[str, Any], _: str) -> dict[str, Any]:
    """An adaptor of the language model's width."""
    width = config["text_config"]["hidden_size"]
    return {"adaptor_config": {"hidden_size": width}}


def listened(config: dict[str, Any], _: str) -> dict[str, Any]:
    """A head upon a tower."""
    return {"head_config": {"audio_hidden_size": config["audio_config"]["hidden_size"]}}


def flowing(config: dict[str, Any], _: str) -> dict[str, Any]:
    """A head that makes sound of what the language model says."""
    return {"flow_head_config": {"condition_dim": config["hidden_size"]}}


def crossed(config: dict[str, Any], _: str) -> dict[str, Any]:
    """A decoder that looks at an encoder of another width."""
    return {"decoder_config": {"cross_hidden_size": config["encoder_config"]["hidden_size"]}}


def even(config: dict[str, Any], _: str) -> dict[str, Any]:
    """An encoder of the decoder's width."""
    decoder = config["decoder_config"]
    return {"encoder_config": {"hidden_size": decoder["hidden_size"], "num_attention_heads": decoder["num_attention_heads"]}}


def doubled(config: dict[str, Any], _: str) -> dict[str, Any]:
    """A codec that quantizes two encoders' widths together."""
    return {"quantization_dim": 2 * config["hidden_size"], "semantic_model_config": {"output_hidden_size": config["hidden_size"]}}


def backed(config: dict[str, Any], _: str) -> dict[str, Any]:
    """A decoder of codebooks upon the language model."""
    return {"depth_decoder_config": {"backbone_hidden_size": config["hidden_size"]}}


def shared(config: dict[str, Any], _: str) -> dict[str, Any]:
    """Two layers that share their attention, which is twice as wide, and two that have none."""
    kinds = ["linear_attention", "hybrid"] * 2
    return {"num_hidden_layers": len(kinds), "layers_block_type": kinds, "attention_hidden_size": 2 * config["hidden_size"]}


def expanded(config: dict[str, Any], _: str) -> dict[str, Any]:
    """A mixer and an attention that are twice as wide as the stream."""
    width, heads = 2 * config["hidden_size"], config["num_attention_heads"]
    mixer = {"mamba_headdim": width // config["n_mamba_heads"], "kv_channels": width // 2 // heads, "num_query_groups": heads}
    return {"attention_hidden_size": width, "attention_head_dim": width // heads} | mixer


def cycled(config: dict[str, Any], _: str) -> dict[str, Any]:
    """As many layers as the cycle of kinds has."""
    return {"num_hidden_layers": len(config["block_types"]), "lru_width": config["hidden_size"]}


OWN: dict[str, Any] = {
    "blt": bytewise,
    "canary": even,
    "clvp": {"projection_dim": 256, "text_config": {"projection_dim": 256}, "speech_config": {"projection_dim": 256}},
    "csm": backed,
    "dia": crossed,
    "fun_asr_nano": adapted,
    "gradium_phonon_tts": flowing,
    "hrm_text": {"num_hidden_layers": 8, "num_layers_per_stack": 1},
    "lilt": {"hidden_size": 384, "num_attention_heads": 6},
    "mamba2": {"hidden_size": 256, "num_heads": 8, "head_dim": 64, "expand": 2},
    "nemotron3_diarization": listened,
    "neucodec": doubled,
    "xcodec2": doubled,
    "xcodec": {"semantic_model_config": {"hidden_size": 768, "num_attention_heads": 12}},
    "xlstm": {"hidden_size": 256, "embedding_dim": 256, "num_heads": 4, "num_blocks": 2},
    "zamba": shared,
    "zamba2": expanded,
    "pocket_tts": flowing,
    "recurrent_gemma": cycled,
    "rwkv": {"hidden_size": 64, "attention_hidden_size": 64, "intermediate_size": 128},
    "reformer": {"hidden_size": 256, "num_attention_heads": 4},
    "switch_transformers": {"num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
}
"""By model_type, merged into the shrunk config: values (`width` is that of the language model), or a function that gives them for (it, the level)."""
