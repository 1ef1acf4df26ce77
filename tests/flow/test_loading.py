"""What loading leaves a model's tensors in: found without weights, compared with real loads of saved models."""

from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
transformers: Any = pytest.importorskip("transformers")
pytest.importorskip("safetensors")

import torch  # noqa: E402

from ivdoctor.facts import Held, release  # noqa: E402
from ivdoctor.flow.loading import dtypes_loaded, held, loaded_empty, loaded_with, tensors_of  # noqa: E402
from ivdoctor.probe import Absent  # noqa: E402

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
IDS = {"vocab_size": 60, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
EXPERTS = {"num_key_value_heads": 2, "moe_intermediate_size": 16, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1}
EXPERTS |= {"first_k_dense_replace": 1, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
MODELS: dict[str, dict[str, Any]] = {
    "BertForMaskedLM": SIZES | IDS,
    "LlamaForCausalLM": SIZES | IDS | {"num_key_value_heads": 2, "tie_word_embeddings": True},
    "T5ForConditionalGeneration": {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "vocab_size": 60},
    "DeepseekV3ForCausalLM": SIZES | IDS | EXPERTS,
    "MixtralForCausalLM": SIZES | IDS | {"num_key_value_heads": 2, "num_local_experts": 4},
    "ViTModel": SIZES | {"image_size": 32, "patch_size": 8},
}
"""Plain, tied, kept in fp32 by a class in one format, by a class in both, with fused experts, and one that sees."""


def made(name: str) -> tuple[Any, Any]:
    cls = getattr(transformers, name, None)
    if cls is None:
        pytest.skip(f"this transformers has no {name}")
    return cls, cls.config_class(**MODELS[name])


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", MODELS)
def test_it_is_what_a_real_load_leaves(name: str, stored: torch.dtype, tmp_path: Path) -> None:
    """Every parameter and buffer, in every format, whatever the files store."""
    cls, config = made(name)
    torch.manual_seed(0)
    cls(config).to(stored).save_pretrained(tmp_path)
    argument = "dtype" if release(transformers.__version__) >= (4, 56) else "torch_dtype"

    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        real = {key: one.dtype for key, one in tensors_of(cls.from_pretrained(tmp_path, **{argument: dtype}))}
        assert dtypes_loaded(cls, config, dtype) == real


def test_the_bias_of_a_router_stays_in_float32() -> None:
    """`from_config(dtype=)` does not keep it: that is no way to find out."""
    cls, config = made("DeepseekV3ForCausalLM")

    found = dtypes_loaded(cls, config, torch.bfloat16)

    assert found["model.layers.1.mlp.gate.e_score_correction_bias"] == torch.float32
    assert found["model.layers.1.mlp.gate.weight"] == found["lm_head.weight"] == torch.bfloat16


def test_nothing_of_a_large_model_is_made() -> None:
    """Eight billion parameters in fp32 would be 30 GiB."""
    if release(transformers.__version__) < (5,):
        pytest.skip("an older loader builds on the CPU")
    config = transformers.LlamaConfig()

    model = loaded_empty(transformers.LlamaForCausalLM, config, torch.bfloat16)

    assert sum(one.numel() for one in model.parameters()) > 6e9
    assert {one.device.type for one in model.parameters()} == {"meta"}
    assert {one.dtype for one in model.parameters()} == {torch.bfloat16}


def test_the_configuration_is_left_as_it_was() -> None:
    """A loader writes its dtype into the one it is given."""
    cls, config = made("LlamaForCausalLM")
    before = config.to_dict()

    dtypes_loaded(cls, config, torch.float16)

    assert config.to_dict() == before


def test_neither_the_libraries_talk_nor_its_guards_stay_changed() -> None:
    """They are the user's."""
    cls, config = made("ViTModel")
    before = transformers.logging.get_verbosity(), transformers.utils.is_accelerate_available()

    dtypes_loaded(cls, config, torch.float16)

    assert before == (transformers.logging.get_verbosity(), transformers.utils.is_accelerate_available())
    if release(transformers.__version__) >= (5,):
        accelerate: Any = import_module("transformers.integrations.accelerate")

        assert accelerate.is_accelerate_available is transformers.utils.is_accelerate_available


def test_one_that_cannot_be_built_is_absent_with_its_reason() -> None:
    """In one line, and with the class it is about."""
    cls, config = made("LlamaForCausalLM")
    config.hidden_act = "no such thing"

    with pytest.raises(Absent, match=r"LlamaForCausalLM cannot be loaded without its weights: KeyError: .*no such thing"):
        dtypes_loaded(cls, config, torch.float16)


def test_a_tensor_the_loader_does_not_find_again_is_no_guess() -> None:
    """Its dtype would be the constructor's and not the loader's."""
    cls, config = made("ViTModel")

    class Wayward(cls):  # type: ignore[misc,valid-type]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            if torch.get_default_dtype() == torch.float16:
                self.scale = torch.nn.Parameter(torch.ones(4))

    assert dtypes_loaded(Wayward, config, torch.bfloat16)
    with pytest.raises(Absent, match="the loader does not find scale again"):
        dtypes_loaded(Wayward, config, torch.float16)


def test_what_is_held_is_counted_over_all_layers() -> None:
    """Parameters and buffers apart, with the formats in which they are kept."""
    cls, config = made("DeepseekV3ForCausalLM")
    dtypes = {"fp16": torch.float16, "bf16": torch.bfloat16}

    found = held({short: loaded_empty(cls, config, dtype) for short, dtype in dtypes.items()})  # type: ignore[misc]

    bias = next(one for one in found if one.name.endswith("e_score_correction_bias"))
    assert (bias.name, bias.formats) == ("model.layers.*.mlp.gate.e_score_correction_bias", ("fp16", "bf16"))
    assert (bias.tensors, bias.elements) == (2, 8)
    assert [one.name for one in found if one.what == "buffer" and "inv_freq" in one.name]


def test_what_is_held_in_one_format_only_says_so() -> None:
    """T5's list is about fp16, whose range it leaves."""
    cls, config = made("T5ForConditionalGeneration")
    dtypes = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

    found = held({short: loaded_empty(cls, config, dtype) for short, dtype in dtypes.items()})  # type: ignore[misc]

    assert set(found) == {
        Held(
            name=f"{part}.block.*.layer.{place}.DenseReluDense.wo.weight".replace(f".{place}.", ".*."),
            what="parameter",
            formats=("fp16",),
            tensors=2,
            elements=4096,
        )
        for part, place in (("encoder", 1), ("decoder", 2))
    }


def test_random_weights_are_loaded_as_files_are() -> None:
    """The miniature's own way: with data, and the same dtypes."""
    cls, config = made("DeepseekV3ForCausalLM")
    weights = {key: one.clone() for key, one in cls(config).state_dict().items()}

    model = loaded_with(cls, config, weights, torch.float16)

    assert Counter(one.dtype for _, one in tensors_of(model)) == Counter(dtypes_loaded(cls, config, torch.float16).values())
    assert torch.equal(model.state_dict()["lm_head.weight"], weights["lm_head.weight"].half())
    assert not model.training
