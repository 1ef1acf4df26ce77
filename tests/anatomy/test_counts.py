"""Numbers of weights of public models, by their configurations alone."""

import time
from typing import Any

import pytest

from ivdoctor.anatomy import Unknown, total, weights, weights_of

VIT = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096, "image_size": 448, "patch_size": 14}
INTERNVIT = {**VIT, "norm_type": "layer_norm", "qk_normalization": False, "qkv_bias": True}
INTERNLM = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8}
INTERNVIDEO = {
    "model_type": "internvl_chat",
    "architectures": ["InternVLChatModel"],
    "downsample_ratio": 0.5,
    "use_backbone_lora": 0,
    "llm_config": {**INTERNLM, "model_type": "internlm2", "vocab_size": 92553, "bias": False},
    "vision_config": {**INTERNVIT, "model_type": "intern_vit_6b"},
}
AUTOGLM = {
    "model_type": "glm4v",
    "architectures": ["Glm4vForConditionalGeneration"],
    "text_config": {"hidden_size": 4096, "num_hidden_layers": 40, "num_key_value_heads": 2, "intermediate_size": 13696, "vocab_size": 151552},
    "vision_config": {"depth": 24, "hidden_size": 1536, "intermediate_size": 13696, "out_hidden_size": 4096},
}
LATENT = {"kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
KIMI = {
    **LATENT,
    "model_type": "kimi_k2",
    "architectures": ["DeepseekV3ForCausalLM"],
    "num_hidden_layers": 61,
    "hidden_size": 7168,
    "num_attention_heads": 64,
    "intermediate_size": 18432,
    "vocab_size": 163840,
    "n_routed_experts": 384,
    "n_shared_experts": 1,
    "moe_intermediate_size": 2048,
    "first_k_dense_replace": 1,
}
GLM46V = {
    "model_type": "glm4v_moe",
    "text_config": {"head_dim": 128, "vocab_size": 151552},
    "vision_config": {"intermediate_size": 10944},
}
HUNYUAN = {
    "model_type": "hunyuan_vl",
    "hidden_size": 1024,
    "intermediate_size": 3584,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "num_hidden_layers": 24,
    "attention_head_dim": 128,
    "vocab_size": 120818,
    "tie_word_embeddings": True,
    "vision_config": {"out_hidden_size": 1024, "text_hidden_size": 1024},
}
LLAMA = {"model_type": "llama", "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256}

PUBLIC: dict[str, tuple[dict[str, Any], int]] = {
    "InternVideo2_5_Chat_8B": (INTERNVIDEO, 8_075_365_376),
    "AutoGLM-Phone-9B": (AUTOGLM, 10_292_777_472),
    "Kimi-K2-Thinking": (KIMI, 1_026_408_209_408),
    "GLM-4.6V": (GLM46V, 107_710_927_360),
    "HunyuanOCR": (HUNYUAN, 996_208_112),
    "GLM-ASR-Nano": ({"model_type": "glmasr"}, 2_136_470_528),
    "Llama-3.1-8B": (LLAMA, 8_030_261_248),
    "Mixtral-8x7B": ({"model_type": "mixtral"}, 46_702_792_704),
    "Qwen2.5-0.5B": (
        {
            "model_type": "qwen2",
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_attention_heads": 14,
            "num_hidden_layers": 24,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        },
        494_032_768,
    ),
    "DeepSeek-V3": ({"model_type": "deepseek_v3"}, 671_026_404_352),
    "gpt-oss-120b": ({"model_type": "gpt_oss"}, 116_829_156_672),
    "gpt2": ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, 124_439_808),
    "bert-base-uncased": ({"model_type": "bert", "architectures": ["BertModel"]}, 109_482_240),
    "flan-t5-base": (
        {
            "model_type": "t5",
            "d_ff": 2048,
            "d_model": 768,
            "feed_forward_proj": "gated-gelu",
            "num_heads": 12,
            "num_layers": 12,
            "tie_word_embeddings": False,
        },
        247_577_856,
    ),
}
"""By their published configurations, as far as those differ from their families' defaults."""


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_model_is_counted_exactly(name: str) -> None:
    """The figures that its class has, built without data in transformers 5.23, or in its repository's own code."""
    config, expected = PUBLIC[name]

    assert total(weights(config)) == expected


def test_experts_are_told_from_the_rest() -> None:
    """Once each with their number, and layers one by one."""
    found = weights(KIMI)
    experts = [one for one in found if one.expert]

    assert sum(one.parameters for one in experts) == 1_014_686_023_680
    assert {one.times for one in experts} == {384}
    assert experts[0].name == "model.layers.1.mlp.experts.0.gate_proj.weight"
    assert all(one.linear for one in experts)


def test_what_corrects_a_router_is_stored_and_no_parameter() -> None:
    """60 layers of 384 experts."""
    found = weights(KIMI)

    assert total(found, buffers=True) - total(found) == 60 * 384


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, "how '' counts its weights is not known to ivdoctor"),
        ({"model_type": "spark"}, "how spark counts its weights is not known to ivdoctor"),
        ({"model_type": ["llama"]}, "how '' counts its weights is not known to ivdoctor"),
        ({**LLAMA, "architectures": ["LlamaForCausalLMEagle3"]}, "the class LlamaForCausalLMEagle3 is not counted"),
        ({**LLAMA, "architectures": [None]}, "the class ? is not counted"),
        ({"model_type": "bert", "architectures": ["BertForPreTraining"]}, "the class BertForPreTraining is not counted"),
        ({**LLAMA, "per_layer_config": {"1": {"hidden_size": 8}}}, "its configuration gives layers sizes of their own"),
        ({**LLAMA, "hidden_size": -1}, "its configuration's hidden_size is no size"),
        ({**LLAMA, "hidden_size": "4096"}, "its configuration's hidden_size is no size"),
        ({**LLAMA, "hidden_size": None}, "its configuration does not say hidden_size"),
        ({**LLAMA, "num_hidden_layers": 10**12}, "its configuration says 1000000000000 layers, and the limit is 10000"),
        ({**LLAMA, "num_hidden_layers": 10**13}, "its configuration's num_hidden_layers is no size"),
        ({**LLAMA, "num_hidden_layers": 10_001}, "its configuration says 10001 layers, and the limit is 10000"),
        ({**LLAMA, "hidden_size": 2**39, "intermediate_size": 2**39}, "its configuration describes more weights than a model has"),
        ({**LLAMA, "tie_word_embeddings": "yes"}, "its configuration's tie_word_embeddings is neither true nor false"),
        ({**INTERNVIDEO, "use_llm_lora": 16}, "its adapters are not counted"),
        ({**INTERNVIDEO, "llm_config": {**INTERNLM, "vocab_size": 92553}}, "how '' counts its weights is not known to ivdoctor"),
        ({**INTERNVIDEO, "llm_config": {**INTERNLM, "model_type": "internlm2"}}, "its configuration does not say vocab_size"),
        ({**INTERNVIDEO, "llm_config": "internlm2"}, "its configuration's llm_config is no part"),
    ],
)
def test_what_is_not_known_is_no_figure(config: dict[str, Any], reason: str) -> None:
    """But a reason."""
    with pytest.raises(Unknown) as caught:
        weights(config)

    assert str(caught.value) == reason
    assert weights_of(config) is None


def test_the_deepest_model_is_counted_soon() -> None:
    """Ten thousand layers, the most that are taken."""
    begin = time.process_time()
    found = weights({**LLAMA, "num_hidden_layers": 10_000})

    assert len(found) == 10_000 * 9 + 3
    assert time.process_time() - begin < 5
