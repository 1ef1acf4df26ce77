"""Key/value heads and their size where a configuration leaves them out."""

DEFAULTS = {
    family: (groups, size)
    for groups, size, families in (
        (0, 128, "afmoe cohere2_moe"),
        (2, 0, "glm4v_text starcoder2"),
        (2, 128, "ernie4_5 glm glm4 internlm3 muse_glimmer_text paddleocr_vl_text"),
        (2, 256, "gemma3n_text qwen3_5_moe_text qwen3_next"),
        (4, 0, "ernie4_5_moe ernie4_5_vl_moe_text granite_docling_text granite_swa qwen2_5_omni_text qwen3_moe qwen3_omni_moe_text smollm3"),
        (4, 128, "flint kolibri1 lfm3 mellum"),
        (
            4,
            256,
            (
                "diffusion_gemma_text gemma2 gemma3_text gemma4_text gemma4_unified_text qwen3_5_text t5_gemma_module t5gemma2_decoder "
                "t5gemma2_text vaultgemma"
            ),
        ),
        (5, 0, "bitnet"),
        (
            8,
            0,
            (
                "bamba emu3_text_model evolla falcon_h1 glm4_moe glm4v_moe_text glm_ocr_text jamba lfm2 lfm2_moe minimax ministral "
                "mistral mixtral mllama_text_model phi4_multimodal phimoe qwen2_5_vl_text qwen2_vl_text voxtral_realtime_text"
            ),
        ),
        (8, 64, "gpt_oss"),
        (
            8,
            128,
            (
                "beam cosmos3_edge_text cwm hy_v3 inkling2_text inkling_text iquestcoder laguna llama4_text minimax_m2 ministral3 "
                "molmo2_text nemotron_h seed_oss solar_open step3p5"
            ),
        ),
        (10, 0, "unlimited_ocr_text"),
        (16, 0, "jetmoe qwen2_moe qwen3_vl_moe_text"),
        (16, 64, "muse_spark_text"),
        (16, 256, "gemma"),
        (20, 128, "helium"),
        (32, 0, "chameleon dots1 exaone4 exaone_moe qwen2 stablelm"),
        (32, 128, "qwen3 qwen3_vl_text"),
    )
    for family in families.split()
}
"""
By the type of the part that writes; 0: as computed. Families of latent attention are not among them.

Source: transformers 5.23.0, configuration_*.py, by the fields of the classes, which the suite compares (2026-11-23).
"""


def defaults_of(family: str) -> tuple[int, int]:
    """Of a configuration from before its parts had types of their own, by the whole's."""
    return DEFAULTS.get(family) or DEFAULTS.get(f"{family}_text") or (0, 0)
