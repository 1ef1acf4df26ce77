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


OWN: dict[str, Any] = {
    "blt": bytewise,
    "fun_asr_nano": adapted,
    "hrm_text": {"num_hidden_layers": 8, "num_layers_per_stack": 1},
    "lilt": {"hidden_size": 384, "num_attention_heads": 6},
    "reformer": {"hidden_size": 256, "num_attention_heads": 4},
    "switch_transformers": {"num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
}
"""By model_type, merged into the shrunk config: values (`width` is that of the language model), or a function that gives them for (it, the level)."""
