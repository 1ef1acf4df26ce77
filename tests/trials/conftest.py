"""Tiny models of transformers with random weights, saved as a user would have them: folders of safetensors, for none of them is downloaded."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SENTENCES = "The old harbour wakes before dawn when fishing boats return . Seven quiet engineers measured every bridge twice winter came"
"""The words of the sample text."""

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
IDS = {"vocab_size": 60, "bos_token_id": 1, "eos_token_id": 2}

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertForSequenceClassification", SIZES | {"vocab_size": 60, "num_labels": 3}),
    "llama": ("LlamaForCausalLM", SIZES | IDS | {"num_key_value_heads": 2, "max_position_embeddings": 128, "tie_word_embeddings": True}),
    "vit": ("ViTModel", SIZES | {"image_size": 32, "patch_size": 8}),
    "t5": ("T5ForConditionalGeneration", {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "vocab_size": 60}),
    "whisper": (
        "WhisperForConditionalGeneration",
        IDS
        | {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
        | {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_source_positions": 50, "max_target_positions": 32, "num_mel_bins": 8}
        | {"pad_token_id": 0, "decoder_start_token_id": 3, "suppress_tokens": None, "begin_suppress_tokens": None},
    ),
    "deepseek": (
        "DeepseekV3ForCausalLM",
        SIZES
        | IDS
        | {"num_key_value_heads": 2, "moe_intermediate_size": 16, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1}
        | {"first_k_dense_replace": 1, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
        | {"max_position_embeddings": 64},
    ),
    "clip": (
        "CLIPModel",
        {"projection_dim": 16, "vision_config": SIZES | {"image_size": 32, "patch_size": 8}}
        | {"text_config": SIZES | IDS | {"pad_token_id": 0, "max_position_embeddings": 16}},
    ),
}
"""Class and configuration; all of two layers."""

Saved = Callable[..., Path]


@pytest.fixture(scope="session")
def library() -> Any:
    """transformers itself, silent."""
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


@pytest.fixture(scope="session")
def made(library: Any) -> Callable[[str], Any]:
    """A model by its name in the table, always with the same weights."""

    def make(name: str) -> Any:
        import torch

        kind, sizes = MODELS[name]
        maker = getattr(library, kind, None)
        if maker is None:
            pytest.skip(f"this transformers has no {kind}")
        torch.manual_seed(7)
        return maker(maker.config_class(**sizes)).eval()

    return make


@pytest.fixture(scope="session")
def saved(made: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """The folder of a model by its name, saved once; in fp32, or in the format that is named by torch's word. Not to be written to."""
    folders: dict[tuple[str, str], Path] = {}

    def save(name: str, dtype: str = "float32") -> Path:
        import torch

        if (name, dtype) not in folders:
            folder = tmp_path_factory.mktemp("models") / f"tiny-{name}"
            made(name).to(getattr(torch, dtype)).save_pretrained(folder)
            folders[name, dtype] = folder
        return folders[name, dtype]

    return save


@pytest.fixture(scope="session")
def tokenizer(library: Any) -> Any:
    """Knows the words of the sample text and no others."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["<unk>", "<s>", "</s>", *SENTENCES.split()]
    plain = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[attr-defined,unused-ignore]  # its stubs say otherwise
    return library.PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


@pytest.fixture
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a trial sets in its room: the libraries' environment and the threads of torch, of which a test takes one."""
    torch = pytest.importorskip("torch")
    from ivdoctor.trials.load import OFFLINE

    for name in OFFLINE:
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
