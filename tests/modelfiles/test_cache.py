"""Numbers of a token in the key/value cache: by the configuration, and by real passes of random models."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.facts import Cache
from ivdoctor.modelfiles.cache import cache_of, tied_of

LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "vocab_size": 128256,
}

TINY = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 96, "vocab_size": 128}
GROUPED = {**TINY, "num_key_value_heads": 2}
LATENT = {"kv_lora_rank": 32, "q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 12, "num_key_value_heads": 4}
EXPERTS = {"moe_intermediate_size": 32, "n_routed_experts": 4, "num_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1}
SMALL_T5 = {"d_model": 64, "d_kv": 24, "d_ff": 96, "num_layers": 3, "num_decoder_layers": 2, "num_heads": 4, "vocab_size": 128}
SMALL_BART = {
    "d_model": 64,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "vocab_size": 128,
    "max_position_embeddings": 64,
}

FAMILIES: list[tuple[str, dict[str, Any]]] = [  # one of each way to keep: a module of transformers more is half a second more
    ("llama", GROUPED | {"head_dim": 32}),
    ("llama", TINY),
    ("mistral", GROUPED | {"sliding_window": 10}),
    ("qwen2", GROUPED | {"use_sliding_window": True, "sliding_window": 10, "max_window_layers": 3}),
    ("qwen2", GROUPED | {"use_sliding_window": False, "sliding_window": 10}),
    ("gemma3_text", GROUPED | {"num_hidden_layers": 7, "head_dim": 16, "sliding_window": 10}),
    ("gemma4_text", GROUPED | {"num_hidden_layers": 6, "head_dim": 16, "sliding_window": 10, "hidden_size_per_layer_input": 8}),
    ("gemma2", GROUPED | {"head_dim": 16, "sliding_window": 10}),
    ("gpt_oss", GROUPED | {"head_dim": 16, "sliding_window": 10, "num_local_experts": 4, "num_experts_per_tok": 2}),
    ("cohere2", GROUPED | {"num_hidden_layers": 5, "sliding_window": 10}),
    ("llama4_text", GROUPED | {"num_hidden_layers": 5, "attention_chunk_size": 10, "num_local_experts": 2, "intermediate_size_mlp": 96}),
    ("deepseek_v3", TINY | LATENT | EXPERTS | {"first_k_dense_replace": 1}),
    ("falcon", TINY | {"multi_query": True, "new_decoder_architecture": False}),
    ("falcon", TINY | {"new_decoder_architecture": True, "num_kv_heads": 2}),
    ("falcon", TINY | {"multi_query": False, "new_decoder_architecture": False, "alibi": True}),
    ("gpt_bigcode", {"n_embd": 64, "n_layer": 3, "n_head": 4, "vocab_size": 128, "multi_query": True}),
    ("gpt_bigcode", {"n_embd": 64, "n_layer": 3, "n_head": 4, "vocab_size": 128, "multi_query": False}),
    ("gpt2", {"n_embd": 64, "n_layer": 3, "n_head": 4, "vocab_size": 128}),
    ("t5", SMALL_T5),
    ("bart", SMALL_BART),
    ("qwen3_next", GROUPED | EXPERTS | {"head_dim": 16, "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 16}),
    ("jamba", GROUPED | EXPERTS | {"attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False}),
    ("mamba", {"hidden_size": 64, "num_hidden_layers": 3, "vocab_size": 128}),
    ("lfm2", GROUPED | {"layer_types": ["conv", "full_attention"] * 2, "conv_L_cache": 3}),
]


@pytest.mark.parametrize(("family", "sizes"), FAMILIES, ids=[f"{number}-{family}" for number, (family, _) in enumerate(FAMILIES)])
def test_the_cache_of_a_real_pass_has_as_many_numbers(family: str, sizes: dict[str, Any]) -> None:
    """A random model reads 7 tokens, then 20: the elements of its cache's tensors are those that its configuration gives."""
    torch, model, saved = built(family, sizes)
    found = cache_of(saved)
    assert found is not None
    for length in (7, 20):
        ids = torch.arange(3, 3 + length)[None]
        inputs = {"input_ids": ids[:, :5], "decoder_input_ids": ids} if model.config.is_encoder_decoder else {"input_ids": ids}
        with torch.no_grad():
            output = model(use_cache=True, **inputs)
        kept = getattr(output, "past_key_values", None)
        kept = output.cache_params if kept is None else kept
        assert elements(torch, getattr(kept, "self_attention_cache", kept)) == as_transformers_keeps(found, length)


def as_transformers_keeps(found: Cache, length: int) -> int:
    """Between passes it drops the oldest token of a window, which it needs for the next one no more; of a latent it keeps no more than that."""
    latent = bool(found.compressed) and found.per_token > 2 * found.compressed
    grows = found.compressed if latent else found.per_token
    return grows * length + found.windowed * min(length, found.window - 1 if found.window else 0) + found.state


def built(family: str, sizes: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """A random model of transformers, and the configuration as it would save it."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers", minversion="5.23")
    config = transformers.AutoConfig.for_model(family, **sizes, bos_token_id=1, eos_token_id=2)
    kind = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    model = kind.from_config(config).eval()
    saved = json.loads(config.to_json_string())
    return torch, model, saved | {"architectures": [type(model).__name__]}


def elements(torch: Any, cache: Any) -> int:
    """Of all floating tensors that the cache's layers hold."""
    waiting = [value for layer in cache.layers for value in vars(layer).values()]
    seen: dict[int, int] = {}
    while waiting:
        one = waiting.pop()
        if isinstance(one, torch.Tensor) and one.is_floating_point():
            seen[id(one)] = one.numel()
        elif isinstance(one, (list, tuple)):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
    return sum(seen.values())


def test_generate_keeps_what_is_counted() -> None:
    """All tokens read and written but the last, which nobody has read."""
    torch, model, saved = built("llama", GROUPED)
    found = cache_of(saved)
    assert found is not None
    output = model.generate(torch.arange(3, 10)[None], max_new_tokens=5, min_new_tokens=5, do_sample=False, return_dict_in_generate=True)
    assert elements(torch, output.past_key_values) == found.numbers(11)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_key_value_heads": 8}, Cache(per_token=2 * 32 * 8 * 128)),
        ({}, Cache(per_token=2 * 32 * 32 * 128)),
        ({"num_key_value_heads": 8, "head_dim": 64}, Cache(per_token=2 * 32 * 8 * 64)),
        ({"num_key_value_heads": None}, Cache(per_token=2 * 32 * 32 * 128)),
        ({"model_type": "mistral"}, Cache(per_token=2 * 32 * 8 * 128)),
        ({"model_type": "new", "architectures": [], "num_key_value_heads": 8, "sliding_window": 512}, Cache(per_token=2 * 32 * 8 * 128)),
        (
            {"model_type": "RefinedWeb", "architectures": ["RWForCausalLM"], "n_head_kv": 8},
            Cache(per_token=2 * 32 * 32 * 128, compressed=2 * 32 * 8 * 128),
        ),
        ({"model_type": "RefinedWebModel", "architectures": ["RWForCausalLM"], "multi_query": True}, Cache(per_token=2 * 32 * 128)),
        (
            {
                "model_type": "chatglm",
                "architectures": ["ChatGLMModel"],
                "multi_query_attention": True,
                "multi_query_group_num": 2,
                "kv_channels": 128,
            },
            Cache(per_token=2 * 32 * 2 * 128),
        ),
        (
            {"layer_types": ["sliding_attention", "full_attention"] * 16, "num_key_value_heads": 8, "sliding_window": 512},
            Cache(per_token=2 * 16 * 8 * 128, windowed=2 * 16 * 8 * 128, window=512),
        ),
        ({"layer_types": ["sliding_attention"] * 32, "num_key_value_heads": 8}, Cache(per_token=2 * 32 * 8 * 128)),
        ({"num_key_value_heads": 8, "cross_attention_layers": [3, 8, 13]}, Cache(per_token=2 * 29 * 8 * 128)),
    ],
)
def test_the_usual_kinds(changes: dict[str, Any], expected: Cache) -> None:
    """Heads missing, null or of the family's own; a window that nobody says to be one keeps all."""
    assert cache_of(LLAMA | changes) == expected


@pytest.mark.parametrize(
    ("config", "per_token"),
    [
        ({"model_type": "minimax_m2", "architectures": ["MiniMaxM2ForCausalLM"]}, 8 * 2 * 128),
        ({"model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"]}, 8 * 2 * 64),
        ({"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}, 32 * 2 * 128),
        ({"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "num_key_value_heads": None}, 48 * 2 * 128),
    ],
)
def test_heads_that_are_left_out_are_the_familys_and_null_is_every_head(config: dict[str, Any], per_token: int) -> None:
    """Half the cache was counted where the family's heads are larger than the hidden size has room for."""
    sizes = {"num_hidden_layers": 1, "hidden_size": 3072, "num_attention_heads": 48, "vocab_size": 1000}
    assert cache_of(sizes | config) == Cache(per_token=per_token)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 0},
        {"num_hidden_layers": 2**30},
        {"num_attention_heads": "32"},
        {"num_attention_heads": 33},
        {"hidden_size": 2**39, "num_attention_heads": 1},
        {"num_key_value_heads": [8] * 32},
        {"layer_types": ["full_attention"] * 31},
        {"layer_types": ["full_attention"] * 31 + ["novel_attention"]},
        {"layer_types": ["full_attention"] * 31 + [7]},
        {"layer_types": ["full_attention", "linear_attention"] * 16},
        {"kv_lora_rank": 512},
        {"model_type": "rwkv"},
        {"model_type": "deepseek_v4"},
        {"architectures": ["BertForMaskedLM"], "num_key_value_heads": 8},
        {"model_type": "bert", "architectures": ["BertModel"]},
        {"model_type": "bert", "architectures": ["BertLMHeadModel"]},
        {"model_type": "vit", "architectures": ["ViTModel"]},
        {"model_type": "t5", "architectures": ["T5EncoderModel"], "is_encoder_decoder": True},
    ],
)
def test_unknown_absurd_and_encoders_have_none(changes: dict[str, Any]) -> None:
    """Nothing is better than a guess."""
    assert cache_of(LLAMA | changes) is None


def test_the_writing_part_is_counted() -> None:
    """Not the tower that sees."""
    vision = {"model_type": "siglip", "num_hidden_layers": 27, "hidden_size": 1152, "num_attention_heads": 16}
    whole = {"model_type": "glm4v", "architectures": ["Glm4vForConditionalGeneration"], "vision_config": vision}
    text = {"model_type": "glm4v_text", "num_hidden_layers": 40, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 2}
    assert cache_of(whole | {"text_config": text}) == Cache(per_token=20480)


def test_multi_head_latent_attention_both_ways() -> None:
    """Kimi K2: 64 heads of 192 and 128 expanded, or a latent of 512 with 64 that are rotated."""
    kimi = {
        "model_type": "kimi_k2",
        "architectures": ["DeepseekV3ForCausalLM"],
        "num_hidden_layers": 61,
        "num_attention_heads": 64,
        "num_key_value_heads": 64,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "hidden_size": 7168,
    }
    found = cache_of(kimi)
    assert found == Cache(per_token=61 * 64 * 320, compressed=61 * 576)
    assert cache_of(kimi | {"v_head_dim": None}) is None


@pytest.mark.parametrize(
    ("config", "tied"),
    [
        ({"tie_word_embeddings": True}, True),
        ({"tie_word_embeddings": False, "text_config": LLAMA | {"tie_word_embeddings": True}}, False),
        ({"text_config": LLAMA | {"tie_word_embeddings": True}}, True),
        ({"tie_word_embeddings": "yes"}, None),
        ({}, None),
    ],
)
def test_whether_the_head_is_the_embeddings(config: dict[str, Any], tied: bool | None) -> None:
    """The whole's own word before its part's."""
    assert tied_of(config) is tied


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-2, 10**12), st.floats(), st.text(max_size=5), st.lists(st.integers(0, 9), max_size=4))
KEYS = st.sampled_from(
    [
        *("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim", "layer_types", "sliding_window"),
        *("model_type", "architectures", "kv_lora_rank", "qk_rope_head_dim", "multi_query", "n_head", "attn_config", "no_rope_layers"),
        *("sliding_window_pattern", "max_window_layers", "use_sliding_window", "num_kv_shared_layers", "hybrid_override_pattern"),
        *("attn_layer_period", "attn_layer_offset", "attn_layer_indices", "attn_type_list", "cross_attention_layers", "is_decoder"),
    ]
)
TYPES = st.sampled_from(["llama", "falcon", "gemma3", "exaone4", "qwen2", "llama4", "jamba", "deepseek_v3", "mamba", "gpt_bigcode", "gemma4", ""])


@given(st.dictionaries(KEYS, VALUES, max_size=12), TYPES)
def test_no_configuration_breaks_it(config: dict[str, Any], family: str) -> None:
    """Whatever stands where: an answer of sane size, or none."""
    found = cache_of(LLAMA | config | {"model_type": family})
    assert found is None or 0 < found.numbers(1) < 2**32
    tied_of(config)
