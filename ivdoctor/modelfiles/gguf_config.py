"""A GGUF file's metadata in the words of a Hugging Face config.json."""

from collections.abc import Iterable, Mapping
from typing import Any

from .gguf import Many
from .header import Tensor

FAMILIES = {
    "command-r": "cohere",
    "ernie4_5-moe": "ernie4_5_moe",
    "falcon-h1": "falcon_h1",
    "gemma3": "gemma3_text",
    "glm4moe": "glm4_moe",
    "gpt-oss": "gpt_oss",
    "gptneox": "gpt_neox",
    "granitehybrid": "granitemoehybrid",
    "hunyuan-dense": "hunyuan_v1_dense",
    "hunyuan-moe": "hunyuan_v1_moe",
    "kimi-linear": "kimi_linear",
    "lfm2moe": "lfm2_moe",
    "minimax-m2": "minimax_m2",
    "modern-bert": "modernbert",
    "nomic-bert": "nomic_bert",
    "phi2": "phi",
    "qwen2moe": "qwen2_moe",
    "qwen3moe": "qwen3_moe",
    "qwen3next": "qwen3_next",
    "qwen3vl": "qwen3_vl",
    "qwen3vlmoe": "qwen3_vl_moe",
    "starcoder": "gpt_bigcode",
    "t5encoder": "t5",
}
"""
llama.cpp's name of an architecture, where it stands for one family of transformers that has another.

Source: MODEL_ARCH_NAMES of gguf 0.19.0 beside the model types of transformers 5.23 (2026-11-23). Names that stand for several, deepseek2 and
qwen2vl among them, stay as they are.
"""

SIZES = {
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "context_length": "max_position_embeddings",
    "vocab_size": "vocab_size",
    "attention.head_count": "num_attention_heads",
    "attention.sliding_window": "sliding_window",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
    "rope.freq_base": "rope_theta",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
}
"""Source: the keys of gguf 0.19.0, and GGUF_CONFIG_MAPPING of transformers 5.23 (2026-11-23)."""

HEADS = {"attention.head_count_kv": "num_key_value_heads", "attention.key_length": "head_dim"}
"""Of the usual attention: where a latent is kept, llama.cpp writes the latent's sizes there."""

LATENT = {"attention.q_lora_rank": "q_lora_rank", "attention.kv_lora_rank": "kv_lora_rank", "rope.dimension_count": "qk_rope_head_dim"}

EXPERTS = {"deepseek2": "n_routed_experts", "llama": "num_local_experts", "gpt-oss": "num_local_experts", "minimax-m2": "num_local_experts"}
"""What the families call their number of experts; the others say `num_experts`."""

DEEPSEEK = {"expert_shared_count": "n_shared_experts", "leading_dense_block_count": "first_k_dense_replace"}


def config_of(metadata: Mapping[str, Any], tensors: Iterable[Tensor] = (), *, whole: bool = True) -> dict[str, Any]:
    """
    What the metadata say, by the keys of a config.json; a size that differs from layer to layer is left out, and nothing is guessed.

    Args:
        tensors: of the same file, which tell whether the output's weights are the embedding's, and how many words that has.
        whole: they are all of the model's: the output's may lie in another part.
    """
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        return {}
    own = {key.removeprefix(f"{architecture}."): _one(value) for key, value in metadata.items() if key.startswith(f"{architecture}.")}
    names = SIZES | (LATENT if own.get("attention.kv_lora_rank") else HEADS)
    if own.get("expert_count"):
        names |= {"expert_count": EXPERTS.get(architecture, "num_experts")} | (DEEPSEEK if architecture == "deepseek2" else {})
    config: dict[str, Any] = {"model_type": FAMILIES.get(architecture, architecture)}
    config |= {name: own[key] for key, name in names.items() if own.get(key) is not None}
    config |= _latent(own) | _scaling(own)
    words = metadata.get("tokenizer.ggml.tokens")
    config |= {} if "vocab_size" in config or not isinstance(words, Many) else {"vocab_size": words.size}
    return config | _by_tensors(tensors, whole=whole)


def _one(value: Any) -> Any:
    """The number that all layers share; None where they differ, or where it was passed over."""
    if isinstance(value, list):
        return value[0] if value and all(one == value[0] for one in value) else None
    return None if isinstance(value, Many) else value


def _latent(own: Mapping[str, Any]) -> dict[str, Any]:
    """Head sizes of multi-head latent attention: under keys of their own since llama.cpp keeps the latent alone."""
    rotary = own.get("rope.dimension_count")
    key = own.get("attention.key_length_mla") or own.get("attention.key_length")
    value = own.get("attention.value_length_mla") or own.get("attention.value_length")
    if not (own.get("attention.kv_lora_rank") and rotary and key and value) or key <= rotary:
        return {}
    return {"qk_nope_head_dim": key - rotary, "v_head_dim": value}


def _scaling(own: Mapping[str, Any]) -> dict[str, Any]:
    kind = own.get("rope.scaling.type")
    if not isinstance(kind, str) or kind in ("", "none"):
        return {}
    names = {"rope.scaling.factor": "factor", "rope.scaling.original_context_length": "original_max_position_embeddings"}
    return {"rope_scaling": {"rope_type": kind} | {name: own[key] for key, name in names.items() if own.get(key) is not None}}


def _by_tensors(tensors: Iterable[Tensor], *, whole: bool) -> dict[str, Any]:
    """As transformers tells: without `output.weight` the embedding writes too."""
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    embedding = shapes.get("token_embd.weight", ())
    if len(embedding) != 2:  # noqa: PLR2004  # words, and their size
        return {}
    tied = {"tie_word_embeddings": "output.weight" not in shapes} if whole or "output.weight" in shapes else {}
    return {"vocab_size": embedding[0]} | tied
