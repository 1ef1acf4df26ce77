"""`quantization_config` in every method's words, and what is nobody's."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivdoctor.facts import Asked, Model, Quantisation
from ivdoctor.kernels import FORMATS
from ivdoctor.modelfiles.quantisation import MOST_IGNORED, quantisation_of
from ivdoctor.probes.model import model
from ivdoctor.tables import table

FP8 = {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True, "dynamic": False}
FP8_ACTIVATIONS = {"num_bits": 8, "type": "float", "strategy": "token", "symmetric": True, "dynamic": True}
INT4 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": True, "dynamic": False}
INT8 = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}
FP4 = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16, "symmetric": True}


def read(**block: Any) -> Quantisation:
    """What this quantization_config says."""
    found = quantisation_of({"quantization_config": block})
    assert found is not None
    return found


def compressed(weights: dict[str, Any], activations: dict[str, Any] | None = None, **more: Any) -> Quantisation:
    """One group for all linear layers."""
    group = {"targets": ["Linear"], "weights": weights, "input_activations": activations, "output_activations": None}
    return read(quant_method="compressed-tensors", config_groups={"group_0": group}, **more)


def test_kimis_packed_experts() -> None:
    """Four bits in groups of 32, packed in int32, and what is left as it is by regular expression."""
    found = compressed(INT4, format="pack-quantized", ignore=["lm_head", "re:.*self_attn.*"], kv_cache_scheme=None)
    assert found == Quantisation(
        method="compressed-tensors",
        dialect="pack-quantized",
        format="int4",
        bits=4,
        group=32,
        storage="int32",
        ignored=("lm_head", "re:.*self_attn.*"),
        targets=("Linear",),
    )


def test_glms_fp8() -> None:
    """A scale for each channel, activations of each token, and a cache that is left alone."""
    found = compressed(FP8, FP8_ACTIVATIONS, format="float-quantized", ignore=["lm_head", "re:.*mlp\\.gate$"])
    assert (found.format, found.bits, found.group, found.storage, found.activations) == ("fp8", 8, 0, "float8_e4m3fn", "fp8")
    assert found.kv_cache == ""


@pytest.mark.parametrize(
    ("weights", "activations", "dialect", "format", "storage"),
    [
        (INT8, {"num_bits": 8, "type": "int"}, "int-quantized", "int8", "int8"),
        (INT8, None, "pack-quantized", "", "int32"),
        (INT4, FP8_ACTIVATIONS, "pack-quantized", "", "int32"),
        (FP8, None, "naive-quantized", "fp8", "float8_e4m3fn"),
        ({**FP8, "group_size": 32}, None, "mxfp8-quantized", "", "float8_e4m3fn"),
        (FP4, FP4, "nvfp4-pack-quantized", "nvfp4", "uint8"),
        ({**FP4, "group_size": 32}, None, "mxfp4-pack-quantized", "mxfp4", "uint8"),
        ({**FP4, "group_size": 32}, None, "", "mxfp4", "uint8"),
        (INT4, None, "marlin-24", "", "int32"),
        ({**INT4, "num_bits": 3}, None, "pack-quantized", "", "int32"),
    ],
)
def test_each_format_of_compressed_tensors_has_the_engines_word_or_none(
    weights: dict[str, Any], activations: dict[str, Any] | None, dialect: str, format: str, storage: str
) -> None:
    """A word that does not fit would be judged by another format's kernels: int8 weights alone are no W8A8."""
    found = compressed(weights, activations, format=dialect)
    assert (found.dialect, found.format, found.storage) == (dialect, format, storage)


def test_of_several_groups_the_one_with_the_fewest_bits_is_meant() -> None:
    """Experts in int4 beside attention in fp8: the experts are most of the weights, and both groups' targets are kept."""
    groups = {
        "a": {"targets": ["re:.*self_attn.*"], "weights": FP8, "input_activations": FP8_ACTIVATIONS, "format": "float-quantized"},
        "b": {"targets": ["re:.*experts.*"], "weights": INT4, "format": "pack-quantized"},
    }
    found = read(quant_method="compressed-tensors", config_groups=groups, format="mixed-precision")
    assert (found.format, found.bits, found.dialect) == ("int4", 4, "pack-quantized")
    assert found.targets == ("re:.*self_attn.*", "re:.*experts.*")


@pytest.mark.parametrize(
    ("name", "format", "activations"),
    [
        ("W4A16", "int4", ""),
        ("W8A8", "int8", "int8"),
        ("FP8_DYNAMIC", "fp8", "fp8"),
        ("NVFP4", "nvfp4", "fp4"),
        ("MXFP4A16", "mxfp4", ""),
        ("W5", "", ""),
    ],
)
def test_a_group_may_be_a_presets_name(name: str, format: str, activations: str) -> None:
    """llm-compressor takes `{"W4A16": ["Linear"]}`; an unknown name says nothing."""
    found = read(quant_method="compressed-tensors", config_groups={name: ["Linear"]})
    assert (found.format, found.activations) == (format, activations)


def test_fine_grained_fp8() -> None:
    """DeepSeek's blocks, and MiniMax's name for the list of what is left alone."""
    found = read(quant_method="fp8", activation_scheme="dynamic", fmt="e4m3", weight_block_size=[128, 128], ignored_layers=["gate", "lm_head"])
    assert (found.format, found.bits, found.block, found.dialect) == ("fp8", 8, (128, 128), "dynamic")
    assert found.ignored == ("gate", "lm_head")
    assert read(quant_method="fp8", fmt="e5m2").storage == "float8_e5m2"


@pytest.mark.parametrize("block", [[128], [128, -1], [128, "128"], "128", [0, 128], [128, 128, 128], [True, True], [1.5, 2]])
def test_a_block_that_is_none_is_not_said(block: object) -> None:
    """Two sizes, or nothing."""
    assert read(quant_method="fp8", weight_block_size=block).block is None


def test_awq() -> None:
    """AutoAWQ's older names for the same, and zero points unless it says otherwise."""
    found = read(quant_method="awq", bits=4, group_size=128, version="GEMM", zero_point=True, modules_to_not_convert=["visual"])
    assert found == Quantisation(method="awq", dialect="gemm", format="awq", bits=4, group=128, symmetric=False, storage="int32", ignored=("visual",))
    older = read(quant_method="awq", w_bit=4, q_group_size=64, version="gemv", zero_point=False)
    assert (older.bits, older.group, older.dialect, older.symmetric) == (4, 64, "gemv", True)


def test_gptq() -> None:
    """A group of -1 is a whole row; `-:` in `dynamic` names what is left alone."""
    found = read(
        quant_method="gptq",
        bits=8,
        group_size=-1,
        desc_act=True,
        sym=False,
        checkpoint_format="gptq_v2",
        dynamic={"-:.*moe.*": {}, "+:x": {"bits": 8}},
    )
    assert (found.format, found.bits, found.group, found.symmetric, found.dialect) == ("gptq", 8, 0, False, "gptq_v2")
    assert found.ignored == ("re:.*moe.*",)


def test_bitsandbytes() -> None:
    """4 bit with its compute dtype, none where it is not set, 8 bit, and the older file that has no quant_method."""
    four = read(quant_method="bitsandbytes", load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype="torch.bfloat16")
    assert (four.format, four.dialect, four.bits, four.compute, four.storage) == ("bnb-4bit", "nf4", 4, "bfloat16", "uint8")
    assert read(quant_method="bitsandbytes", load_in_4bit=True).compute == ""
    eight = read(load_in_8bit=True, llm_int8_skip_modules=["lm_head"])
    assert (eight.method, eight.format, eight.bits, eight.ignored) == ("bitsandbytes", "bnb-int8", 8, ("lm_head",))
    assert read(quant_method="bitsandbytes").format == ""


@pytest.mark.parametrize(
    ("block", "format", "bits", "kv_cache"),
    [
        ({"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}, "fp8", 8, "fp8"),
        ({"quant_method": "modelopt_fp4", "quant_algo": "NVFP4", "group_size": 16}, "nvfp4", 4, ""),
        ({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}, "nvfp4", 4, "fp8"),
        ({"quant_method": "modelopt", "config_groups": {"g": {"weights": FP4, "targets": ["Linear"]}}}, "nvfp4", 4, ""),
        ({"quant_method": "modelopt", "quant_algo": "W4A8_AWQ"}, "", 4, ""),
    ],
)
def test_modelopt_says_it_on_two_levels(block: dict[str, Any], format: str, bits: int, kv_cache: str) -> None:
    """Under `quantization` without a method in older files, in groups in newer ones."""
    found = read(**block)
    assert (found.format, found.bits, found.kv_cache) == (format, bits, kv_cache)


@pytest.mark.parametrize(
    ("block", "bits", "group", "dialect"),
    [
        ({"quant_method": "mxfp4"}, 4, 32, ""),
        (
            {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig", "_data": {"group_size": 64}}}},
            4,
            64,
            "Int4WeightOnlyConfig",
        ),
        ({"quant_method": "torchao", "quant_type": "int8_weight_only"}, 8, 0, "int8_weight_only"),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}}}, 8, 0, "float"),
        ({"quant_method": "eetq", "weights": "int8"}, 8, 0, "int8"),
        ({"quant_method": "quanto", "weights": "int4"}, 4, 0, "int4"),
        ({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}}}, 4, 64, ""),
        ({"quant_method": "aqlm", "num_codebooks": 1, "nbits_per_codebook": 16, "in_group_size": 8}, 2, 8, ""),
        ({"quant_method": "higgs", "bits": 4, "group_size": 256}, 4, 256, ""),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128, "packing_format": "auto_round:auto_gptq"}, 4, 128, "auto_round:auto_gptq"),
        ({"quant_method": "spqr", "bits": 3}, 3, 0, ""),
        ({"quant_method": "metal", "bits": 4, "group_size": 64}, 4, 64, ""),
        ({"quant_method": "sinq", "nbits": 4, "group_size": 64}, 4, 64, ""),
        ({"quant_method": "bitnet"}, 2, 0, ""),
        ({"quant_method": "fp_quant", "forward_dtype": "nvfp4"}, 4, 0, "nvfp4"),
    ],
)
def test_the_other_methods_say_their_bits(block: dict[str, Any], bits: int, group: int, dialect: str) -> None:
    """Each in words of its own."""
    found = read(**block)
    assert (found.bits, found.group, found.dialect) == (bits, group, dialect)


def test_torchao_computes_in_what_its_name_says_behind_dynamic() -> None:
    """Activations in float8 or int8; of weights alone in none."""
    found = read(quant_method="torchao", quant_type={"default": {"_type": "Float8DynamicActivationFloat8WeightConfig", "_data": {}}})
    assert (found.bits, found.activations) == (8, "fp8")
    mixed = read(quant_method="torchao", quant_type={"default": {"_type": "Int8DynamicActivationInt4WeightConfig", "_data": {}}})
    assert mixed.activations == "int8"


def test_a_scheme_for_the_cache_is_named() -> None:
    """What vLLM follows where nobody says otherwise."""
    assert compressed(FP8, kv_cache_scheme={"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False}).kv_cache == "fp8"
    assert compressed(FP8, kv_cache_scheme={"num_bits": 8, "type": "int"}).kv_cache == "int8"
    assert compressed(FP8, kv_cache_scheme="fp8").kv_cache == ""


def test_of_a_hundred_thousand_names_few_are_kept_and_each_is_short() -> None:
    """A report of them has to stay one."""
    found = read(quant_method="fp8", ignored_layers=["x" * 10_000] * 100_000)
    assert len(found.ignored) == MOST_IGNORED
    assert max(map(len, found.ignored)) < 128


def test_the_probe_reads_it_of_the_part_that_writes(tmp_path: Path) -> None:
    """And says the same method twice."""
    text = {"num_hidden_layers": 2, "vocab_size": 100, "quantization_config": {"quant_method": "awq", "bits": 4}}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "internvl", "text_config": text}))
    found = model(asked=Asked(model=str(tmp_path)))
    assert isinstance(found, Model)
    assert found.quantised is not None
    assert (found.quantization, found.quantised.method, found.quantised.format) == ("awq", "awq", "awq")


@pytest.mark.parametrize("config", [{}, {"quantization_config": {}}, {"quantization_config": None}, {"quantization_config": "fp8"}])
def test_a_model_that_is_not_quantised_has_none(config: dict[str, Any]) -> None:
    """Nor has one whose block is empty, or no block."""
    assert quantisation_of(config) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["int", "float", "NVFP4", "torch.bfloat16", "-:x"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["weights", "input_activations", "num_bits", "type", "group_size", "targets", "default", "_type", "_data", "a", "quant_algo"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KEYS = (
    "config_groups",
    "format",
    "bits",
    "w_bit",
    "group_size",
    "weight_block_size",
    "kv_cache_scheme",
    "kv_cache_quant_algo",
    "ignore",
    "dynamic",
    "quant_type",
    "quant_algo",
    "quantization",
    "quant_config",
    "global_quant_config",
    "load_in_4bit",
    "load_in_8bit",
    "bnb_4bit_compute_dtype",
    "weights",
    "version",
    "num_codebooks",
    "nbits_per_codebook",
    "in_group_size",
    "pack_dtype",
    "fmt",
    "activation_scheme",
    "forward_dtype",
)
METHODS = [row["method"] for row in table("quantisations")]


@settings(max_examples=60)
@given(method=st.sampled_from(METHODS) | st.text(max_size=8), block=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8))
def test_no_value_breaks_it(method: str, block: dict[str, Any]) -> None:
    """Whatever JSON holds: a fact comes back whose numbers can be and whose word the engines know."""
    found = quantisation_of({"quantization_config": {**block, "quant_method": method}})
    assert found is not None
    assert 0 <= found.bits <= 64
    assert found.group >= 0
    assert found.format in ("", *FORMATS)
    assert all(isinstance(one, str) for one in (found.dialect, found.storage, found.compute, found.activations, found.kv_cache))
    assert all(isinstance(one, str) for one in (*found.ignored, *found.targets))
