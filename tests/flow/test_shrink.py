"""Configurations made small."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.flow.shrink import LEVELS, changes, shrunk
from ivdoctor.flow.shrink_layers import MOST, fewer

LLAMA = {
    "model_type": "llama",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
    "rope_parameters": {"rope_type": "llama3", "factor": 8.0},
    "quantization_config": {"quant_method": "gptq", "bits": 4},
    "pad_token_id": 31999,
}


def test_a_language_model_gets_two_layers_and_its_heads_keep_their_width() -> None:
    """What decides dtypes stays; the packing of the real weights goes."""
    found = shrunk(LLAMA, "tiny")
    assert (found["num_hidden_layers"], found["num_attention_heads"], found["num_key_value_heads"]) == (2, 4, 2)
    assert found["hidden_size"] // found["num_attention_heads"] == 4096 // 32
    assert found["rope_parameters"] == LLAMA["rope_parameters"]
    assert "quantization_config" not in found
    assert found["pad_token_id"] < found["vocab_size"]


def test_thin_takes_away_layers_alone() -> None:
    """The least cut keeps the width."""
    assert changes(LLAMA, shrunk(LLAMA, "thin")) == ("num_hidden_layers 32 -> 2",)


def test_one_layer_of_each_kind_is_left() -> None:
    """Of five sliding layers and a full one, repeated, with dense layers first, three are left and say what they are."""
    attention = ["full_attention" if layer % 6 == 5 else "sliding_attention" for layer in range(30)]
    feeds = ["dense" if layer < 3 else "sparse" for layer in range(30)]
    found = fewer({"num_hidden_layers": 30, "layer_types": attention, "mlp_layer_types": feeds, "first_k_dense_replace": 3})
    assert found["layer_types"] == ["sliding_attention", "sliding_attention", "full_attention"]
    assert found["mlp_layer_types"] == ["dense", "sparse", "sparse"]
    assert (found["num_hidden_layers"], found["first_k_dense_replace"]) == (3, 1)


def test_what_is_said_of_single_layers_follows_them() -> None:
    """Lists of indices and tables by index are numbered anew."""
    config = {"num_hidden_layers": 12, "attn_layer_indices": [4, 9], "per_layer_config": {"04": {"head_dim": 512}, "09": {"head_dim": 512}}}
    found = fewer(config)
    assert found == {"num_hidden_layers": 2, "attn_layer_indices": [1], "per_layer_config": {"1": {"head_dim": 512}}}


def test_layers_that_take_from_others_keep_their_source() -> None:
    """A layer that reads another's cache is left together with it."""
    found = fewer({"num_hidden_layers": 6, "kv_source_layers": [0, 1, 2, 2, 4, 5]})
    assert found == {"num_hidden_layers": 3, "kv_source_layers": [0, 1, 1]}


def test_kinds_counted_by_a_period_keep_their_prefix() -> None:
    """Where a rule says which layer is of which kind, layers are left from the first to the last kind."""
    found = fewer({"num_hidden_layers": 32, "attn_layer_period": 8, "attn_layer_offset": 4})
    assert found == {"num_hidden_layers": 5}


def test_few_experts_are_left_and_fewer_are_chosen() -> None:
    """Groups of experts and the number chosen shrink with them."""
    config = {"model_type": "deepseek_v3", "n_routed_experts": 256, "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4}
    found = shrunk(config, "thin")
    assert found["n_routed_experts"] == 8
    assert found["num_experts_per_tok"] <= found["topk_group"] * found["n_routed_experts"] // found["n_group"]


@given(st.integers(1, 40), st.lists(st.sampled_from("abcdefghij"), min_size=40, max_size=40))
def test_lists_stay_as_long_as_the_layers(count: int, kinds: list[str]) -> None:
    """However many kinds there are, what is said of every layer is said of those that are left, and they are few."""
    found = fewer({"num_hidden_layers": count, "layer_types": kinds[:count]})
    assert len(found.get("layer_types", kinds[:count])) == found["num_hidden_layers"] <= MOST


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("config", [{}, {"num_hidden_layers": None}, {"hidden_size": "wide", "text_config": None}, {"layer_types": []}])
def test_a_strange_config_is_left_as_it_is(config: dict[str, object], level: str) -> None:
    """What says nothing of sizes is not cut and does not raise."""
    assert shrunk(config, level) == config
