"""Which linear layers a quantised checkpoint leaves as they are."""

import time
from typing import Any

import pytest

from ivdoctor.anatomy import Unknown, weights
from ivdoctor.anatomy.kept import kept
from ivdoctor.facts import Quantisation

SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 100}
LLAMA = {**SMALL, "model_type": "llama", "num_hidden_layers": 12}
MOE = {
    **SMALL,
    "model_type": "glm4v_moe",
    "text_config": {**SMALL, "num_hidden_layers": 2, "n_routed_experts": 4, "moe_intermediate_size": 32},
    "vision_config": {"depth": 1, "hidden_size": 32, "intermediate_size": 16, "out_hidden_size": 64},
}


def left(config: dict[str, Any], *ignored: str, method: str = "compressed-tensors", targets: tuple[str, ...] = ()) -> set[str]:
    """The modules that are left."""
    return kept(weights(config), Quantisation(method=method, ignored=ignored, targets=targets))


def test_a_name_is_the_module_itself_to_compressed_tensors() -> None:
    """And nothing that is in it, nor one that only begins alike."""
    assert left(LLAMA, "lm_head", "model.layers.1.mlp.up_proj", "model.layers.1.self_attn") == {"lm_head", "model.layers.1.mlp.up_proj"}


def test_a_regular_expression_is_matched_from_the_beginning() -> None:
    """The experts' projections are none of the dense layers'."""
    found = left(MOE, r"re:.*mlp\.(gate|up|gate_up|down)_proj.*", "re:.*self_attn.*", "re:.*visual.*")

    assert not {name for name in found if "experts" in name}
    assert {name for name in found if ".layers.0.mlp." in name} == {f"model.language_model.layers.0.mlp.{one}_proj" for one in ("gate", "up", "down")}
    assert {name for name in found if "visual" in name} == set(left(MOE, "re:model.visual.*"))


def test_a_name_is_all_that_is_in_it_to_transformers() -> None:
    """Up to a dot: layer 1 is not layer 11; or what ends so."""
    found = left(LLAMA, "model.layers.1", "up_proj", method="fp8")

    assert {name for name in found if name.startswith("model.layers.1.")} == {
        *(f"model.layers.1.self_attn.{one}_proj" for one in "qkvo"),
        *(f"model.layers.1.mlp.{one}_proj" for one in ("gate", "up", "down")),
    }
    assert {name for name in found if name.startswith("model.layers.11.")} == {"model.layers.11.mlp.up_proj"}


@pytest.mark.parametrize("method", ["fp8", "bitsandbytes"])
def test_without_a_list_the_head_is_left(method: str) -> None:
    """As transformers does by itself."""
    assert left(LLAMA, method=method) == {"lm_head"}


@pytest.mark.parametrize("method", ["awq", "gptq"])
def test_only_the_layers_of_the_language_model_are_packed(method: str) -> None:
    """Neither the head nor the tower."""
    found = left(MOE, method=method)

    assert "lm_head" in found
    assert {name for name in found if "language_model" in name} == set()
    assert any("visual" in name for name in found)


def test_gptq_may_name_what_it_packs() -> None:
    """`modules_in_block_to_quantize`."""
    found = left(LLAMA, method="gptq", targets=("self_attn.q_proj", "mlp.up_proj"))

    assert "model.layers.0.self_attn.k_proj" in found
    assert "model.layers.0.mlp.up_proj" not in found


@pytest.mark.parametrize("name", ["visual.blocks.0.attn.qkv", "model.visual.blocks.0.attn.qkv"])
def test_names_of_older_releases_are_the_same_modules(name: str) -> None:
    """Transformers moved the towers in 4.52."""
    assert left(MOE, name) == {"model.visual.blocks.0.attn.qkv"}


def test_a_list_that_fits_no_module_is_no_figure() -> None:
    """The tower it means would be counted as packed."""
    with pytest.raises(Unknown, match=r"leaves out re:\.\*vision_tower\.\*, which is no module that ivdoctor knows in it"):
        left(MOE, "lm_head", "re:.*vision_tower.*")


def test_layers_that_the_class_leaves_out_may_be_listed() -> None:
    """Drafts of the next tokens are stored behind the last layer."""
    assert left(LLAMA, "model.layers.12.eh_proj", "model.layers.12.mlp.gate_proj", "lm_head") == {"lm_head"}


def test_stars_of_modelopt() -> None:
    """And a dot before them is a dot."""
    found = left(LLAMA, "lm_head", "model.layers.0.self_attn*", method="modelopt")

    assert found == {"lm_head", *(f"model.layers.0.self_attn.{one}_proj" for one in "qkvo")}


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("re:(a+)+$", "too costly"),
        ("re:(.*)*x", "too costly"),
        (r"re:(.)\1*x", "too costly"),
        ("re:" + ".*" * 9, "too costly"),
        ("re:" + "a" * 1000, "too costly"),
        ("re:(", "no pattern"),
        ("re:[", "no pattern"),
    ],
)
def test_a_costly_pattern_is_not_followed(pattern: str, reason: str) -> None:
    """The configuration is a stranger's."""
    with pytest.raises(Unknown, match=reason):
        left(LLAMA, pattern)


def test_a_long_list_is_followed_soon() -> None:
    """Thousands of names, as some checkpoints list every module."""
    listed = [f"model.layers.{layer}.self_attn.{one}_proj" for layer in range(12) for one in "qkvo"] * 80
    begin = time.process_time()

    assert len(left(LLAMA, *listed)) == 48
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("pattern", ["re:.*x{}", "re:.*.*.*x{}"])
def test_too_many_patterns_are_not_followed(pattern: str) -> None:
    """Names times patterns are bounded, and so is what they may cost together."""
    with pytest.raises(Unknown, match="too many patterns"):
        left({**LLAMA, "num_hidden_layers": 1000}, *(pattern.format(one) for one in range(4000 if pattern.count("*") == 1 else 40)))


def test_the_costliest_patterns_end_soon() -> None:
    """As many steps as are allowed, and none of them a match."""
    begin = time.process_time()

    assert left(LLAMA, *(f"re:.*.*.*lm_head{one}" for one in range(200))) == set()
    assert time.process_time() - begin < 10
