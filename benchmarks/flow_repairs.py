"""Default configurations of transformers 5.23 that are broken in themselves, and what makes them whole: as released models of the family have it."""

from typing import Any

ATTENTION_AT = [9, 18, 27]
HYBRID = [*["linear_attention"] * 5, "full_attention", *["linear_attention"] * 2] * 4
CONVOLVED = [*["conv"] * 2, "full_attention", "conv"] * 8
HALF_ROTARY = {"rope_parameters": {"partial_rotary_factor": 0.5}}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}

INDEXER = {"indexer_n_heads": 16, "indexer_kv_heads": 1, "indexer_head_dim": 256, "indexer_budget": 2048, "indexer_compress_ratio": 16}

PROJECTED = {"projector_config": {"encoder_hidden_size": 1024}}
PROJECTOR = "the projector reads a width that the encoder has not"
HEAD = "head_dim is None by default, and the attention raises it to a power"
LETTERS = "vocab_size is None by default, and the head for CTC refuses that"
AHEAD = "prediction_length has no default, and the model refuses that"
SECTIONS = "the default rotation is twice as wide as the sections it is split in"
EXPERTS = "the number of experts is None by default, and the router is made of it"

REPAIRS: dict[str, tuple[dict[str, Any], str]] = {
    "autoformer": ({"prediction_length": 24}, AHEAD),
    "bamba": ({"attn_layer_indices": ATTENTION_AT}, "no layer has attention by default, and the mask asks the cache for one"),
    "clvp": ({"speech_config": {"vocab_size": 8194}}, "the encoder of speech has fewer ids than the decoder it follows can say"),
    "cohere_compass_text": (
        {"rope_parameters": {"full_attention": ROPE}},
        "rope_parameters is empty by default, and is asked for each kind of layer",
    ),
    "dbrx": ({"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8}}, "its attention is asked for a rope_theta it has not, and clamps by None"),
    "deepseek_v2": ({"num_experts_per_tok": 6}, "num_experts_per_tok is None by default, and is the k of a topk"),
    "diffusion_gemma": ({"text_config": {"num_experts": 128, "top_k_experts": 8, "moe_intermediate_size": 704}}, EXPERTS),
    "diffusion_gemma_text": ({"num_experts": 128, "top_k_experts": 8, "moe_intermediate_size": 704}, EXPERTS),
    "dots1": ({"n_routed_experts": 128, "n_shared_experts": 2, "num_experts_per_tok": 6}, EXPERTS),
    "esm": ({"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32}, "vocab_size is None by default, and the embedding is made of it"),
    "glm4v_moe_text": ({"head_dim": 128, **HALF_ROTARY}, SECTIONS),
    "glm4v_text": (HALF_ROTARY, SECTIONS),
    "glm_image_text": (HALF_ROTARY, SECTIONS),
    "granitemoehybrid": ({"layer_types": HYBRID}, "no layer has attention by default, and the mask asks the cache for one"),
    "granite_speech": (PROJECTED, PROJECTOR),
    "granite_speech_plus": (PROJECTED, PROJECTOR),
    "hunyuan_v1_dense": ({"head_dim": 128}, HEAD),
    "hunyuan_v1_moe": ({"head_dim": 128}, HEAD),
    "hunyuan_vl_text": ({"head_dim": 128, "rope_parameters": {"mrope_section": [16, 16, 16, 16]}}, f"{HEAD}; the rotation is asked for its sections"),
    "informer": ({"prediction_length": 24}, AHEAD),
    "lfm2_moe": ({"layer_types": CONVOLVED}, "layer_types is None by default, and is asked for each layer"),
    "ministral": ({"head_dim": 128}, HEAD),
    "moonshine_streaming": ({"num_key_value_heads": 8}, "the decoder has no num_key_value_heads, and is asked for it"),
    "nemotron": ({"num_key_value_heads": 8}, "num_key_value_heads is None by default, and the attention divides by it"),
    "qwen4_exp_text": (INDEXER, "nothing is said of the indexer by default, and indexed layers are made of it"),
    "time_series_transformer": ({"prediction_length": 24}, AHEAD),
    "voxtral": ({"audio_token_id": 24}, "audio_token_id is None by default, and the places of a sound are looked for by it"),
    "wav2vec2-bert": ({"vocab_size": 32}, LETTERS),
    "wav2vec2-conformer": ({"vocab_size": 32}, LETTERS),
    "xmod": ({"default_language": "en_XX"}, "default_language is None by default, and no layer knows which adapter to take"),
}
"""What is changed, level by level, and why."""
