"""Quantised checkpoints: every dialect's number of weights is the model's true one, and what belongs to packed weights is not counted."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.facts import Checkpoint
from ivdoctor.modelfiles import Tensor, read_checkpoint
from ivdoctor.modelfiles.dtypes import DTYPES
from ivdoctor.modelfiles.roles import kinds_of, stored_of
from ivdoctor.modelfiles.widths import Width, widths_of
from ivdoctor.tables import table
from ivdoctor.testing import a_safetensors_file

Tensors = Mapping[str, tuple[str, tuple[int, ...]]]

OUT, IN = 64, 256
TRUE = OUT * IN
"""Rows and columns of the one layer that every folder here holds, and its weights."""

PLAIN: Tensors = {"norm.weight": ("BF16", (IN,)), "layer.bias": ("BF16", (OUT,))}

COMPRESSED = {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32}}}}

DIALECTS: dict[str, tuple[Tensors, dict[str, Any]]] = {
    "compressed-tensors, int4": (
        {"weight_packed": ("I32", (OUT, IN // 8)), "weight_scale": ("BF16", (OUT, IN // 32)), "weight_shape": ("I64", (2,))},
        COMPRESSED,
    ),
    "compressed-tensors, int4 with zero points": (
        {
            "weight_packed": ("I32", (OUT, IN // 8)),
            "weight_scale": ("BF16", (OUT, IN // 32)),
            "weight_zero_point": ("I32", (OUT // 8, IN // 32)),
            "weight_shape": ("I64", (2,)),
        },
        {},
    ),
    "compressed-tensors, int4 with an order": (
        {
            "weight_packed": ("I32", (OUT, IN // 8)),
            "weight_scale": ("BF16", (OUT, IN // 32)),
            "weight_g_idx": ("I32", (IN,)),
            "weight_shape": ("I64", (2,)),
        },
        {},
    ),
    "compressed-tensors, 3 bits": (
        {"weight_packed": ("I32", (OUT, IN * 3 // 32)), "weight_scale": ("BF16", (OUT, 1)), "weight_shape": ("I64", (2,))},
        {"config_groups": {"group_0": {"weights": {"num_bits": 3}}}},
    ),
    "compressed-tensors, fp8": (
        {"weight": ("F8_E4M3", (OUT, IN)), "weight_scale": ("BF16", (OUT, 1)), "input_scale": ("BF16", (1,))},
        {"config_groups": {"group_0": {"weights": {"num_bits": 8}, "input_activations": {"num_bits": 4}}}},
    ),
    "compressed-tensors, int8": (
        {"weight": ("I8", (OUT, IN)), "weight_scale": ("BF16", (OUT, 1)), "weight_zero_point": ("I8", (OUT, 1))},
        {"config_groups": {"group_0": {"weights": {"num_bits": 8}}}},
    ),
    "compressed-tensors, NVFP4": (
        {
            "weight_packed": ("U8", (OUT, IN // 2)),
            "weight_scale": ("F8_E4M3", (OUT, IN // 16)),
            "weight_global_scale": ("F32", (1,)),
            "input_global_scale": ("F32", (1,)),
        },
        {},
    ),
    "compressed-tensors, MXFP4": ({"weight_packed": ("U8", (OUT, IN // 2)), "weight_scale": ("U8", (OUT, IN // 32))}, {}),
    "compressed-tensors, MXFP6": ({"weight_packed": ("U8", (OUT, IN * 3 // 4)), "weight_scale": ("U8", (OUT, IN // 32))}, {}),
    "transformers, NVFP4": (
        {
            "weight": ("U8", (OUT, IN // 2)),
            "weight_sf": ("I32", (OUT, IN // 64)),
            "weight_sf_rowmajor": ("U8", (OUT, IN // 16)),
            "weight_global_scale": ("F32", (1,)),
        },
        {},
    ),
    "ModelOpt, NVFP4": (
        {
            "weight": ("U8", (OUT, IN // 2)),
            "weight_scale": ("F8_E4M3", (OUT, IN // 16)),
            "weight_scale_2": ("F32", ()),
            "input_scale": ("F32", ()),
            "k_scale": ("F32", ()),
        },
        {},
    ),
    "ModelOpt, int4": (
        {"weight": ("U8", (OUT // 2, IN)), "weight_scale": ("BF16", (OUT, IN // 128)), "pre_quant_scale": ("BF16", (IN,))},
        {},
    ),
    "GPTQ": (
        {
            "qweight": ("I32", (IN // 8, OUT)),
            "scales": ("F16", (IN // 128, OUT)),
            "qzeros": ("I32", (IN // 128, OUT // 8)),
            "g_idx": ("I32", (IN,)),
        },
        {},
    ),
    "GPTQ, 3 bits": (
        {
            "qweight": ("I32", (IN * 3 // 32, OUT)),
            "scales": ("F16", (IN // 128, OUT)),
            "qzeros": ("I32", (IN // 128, OUT * 3 // 32)),
            "g_idx": ("I32", (IN,)),
        },
        {},
    ),
    "GPTQ without zero points": (
        {"qweight": ("I32", (IN // 4, OUT)), "scales": ("F16", (IN // 128, OUT)), "g_idx": ("I32", (IN,))},
        {},
    ),
    "AWQ": (
        {"qweight": ("I32", (IN, OUT // 8)), "scales": ("F16", (IN // 128, OUT)), "qzeros": ("I32", (IN // 128, OUT // 8))},
        {},
    ),
    "AWQ, GEMV": (
        {"qweight": ("I32", (OUT, IN // 8)), "scales": ("F16", (OUT, 8)), "qzeros": ("I32", (OUT, 1))},
        {},
    ),
    "AWQ, GEMV of short integers": (
        {"qweight": ("I16", (OUT // 4, IN)), "scales": ("F16", (8, OUT)), "qzeros": ("F16", (8, OUT))},
        {"quant_method": "awq", "w_bit": 4, "q_group_size": 128},
    ),
    "FP-Quant": ({"qweight": ("U8", (OUT, IN // 2)), "scales": ("U8", (OUT, IN // 32))}, {}),
    "bitsandbytes, 4 bits": (
        {
            "weight": ("U8", (TRUE // 2, 1)),
            "weight.absmax": ("U8", (TRUE // 64,)),
            "weight.quant_map": ("F32", (16,)),
            "weight.nested_absmax": ("F32", (1,)),
            "weight.nested_quant_map": ("F32", (256,)),
            "weight.quant_state.bitsandbytes__nf4": ("U8", (167,)),
        },
        {},
    ),
    "bitsandbytes, 4 bits in bfloat16": (
        {
            "weight": ("BF16", (TRUE // 4, 1)),
            "weight.absmax": ("F32", (TRUE // 64,)),
            "weight.quant_map": ("F32", (16,)),
            "weight.quant_state.bitsandbytes__fp4": ("U8", (78,)),
        },
        {},
    ),
    "bitsandbytes, 8 bits": ({"weight": ("I8", (OUT, IN)), "SCB": ("F32", (OUT,)), "weight_format": ("U8", ())}, {}),
    "fp8 in blocks": ({"weight": ("F8_E4M3", (OUT, IN)), "weight_scale_inv": ("F32", (1, 2)), "activation_scale": ("F32", ())}, {}),
    "fp8 in blocks, experts": ({"gate_up_proj": ("F8_E4M3", (4, OUT // 4, IN)), "gate_up_proj_scale_inv": ("F32", (4, 1, 2))}, {}),
    "FBGEMM": ({"weight": ("F8_E4M3", (OUT, IN)), "weight_scale": ("F32", (OUT, 1)), "input_scale_ub": ("F32", (1,))}, {}),
    "MXFP4 of gpt-oss": (
        {"gate_up_proj_blocks": ("U8", (4, OUT // 4, IN // 32, 16)), "gate_up_proj_scales": ("U8", (4, OUT // 4, IN // 32))},
        {},
    ),
    "DeepSeek-V4, fp8": ({"weight": ("F8_E4M3", (OUT, IN)), "scale": ("F8_E8M0", (1, 2))}, {}),
    "DeepSeek-V4, FP4": ({"weight": ("I8", (OUT, IN // 2)), "scale": ("F8_E8M0", (OUT, IN // 32))}, {}),
    "Mistral, fp8": ({"weight": ("F8_E4M3", (OUT, IN)), "qscale_weight": ("F32", ()), "qscale_act": ("F32", ())}, {}),
    "EETQ": ({"weight": ("I8", (IN, OUT)), "weight_scales": ("F16", (OUT,))}, {}),
    "MLX": (
        {"weight": ("U32", (OUT, IN // 8)), "scales": ("BF16", (OUT, IN // 64)), "biases": ("BF16", (OUT, IN // 64))},
        {"group_size": 64, "bits": 4},
    ),
    "BitNet": ({"weight": ("U8", (OUT // 4, IN)), "weight_scale": ("BF16", (1,))}, {"quant_method": "bitnet"}),
    "HIGGS": (
        {"weight": ("I16", (OUT // 4, IN)), "scales": ("F16", (OUT, 1)), "tables": ("F16", (16,)), "tables2": ("F16", (16, 16, 2))},
        {},
    ),
    "HQQ": (
        {
            "W_q": ("U8", (TRUE // 128, 64)),
            "scale": ("F16", (TRUE // 64, 1)),
            "zero": ("F16", (TRUE // 64, 1)),
            "shape": ("I64", (2,)),
            "nbits": ("I32", ()),
        },
        {},
    ),
    "HQQ along the columns": (
        {"W_q": ("U8", (32, TRUE // 64)), "scale": ("F16", (1, TRUE // 64)), "zero": ("F16", (1, TRUE // 64)), "packing": ("U8", (9,))},
        {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}}},
    ),
    "Quark, int4": (
        {"weight": ("I32", (OUT, IN // 8)), "weight_scale": ("F16", (OUT, IN // 128)), "weight_zero_point": ("I32", (OUT, 1))},
        {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "uint4", "group_size": 128}, "input_tensors": None}},
    ),
    "Gemma, embedding": ({"embedding_quantized": ("U8", (OUT, IN // 4)), "embedding_scale": ("F32", (OUT, 1))}, {"num_bits": 2}),
    "Gemma, embedding of bytes": ({"embedding_quantized": ("I8", (OUT, IN)), "embedding_scale": ("F32", (OUT, 1))}, {}),
    "torchao, int8": ({"_weight_qdata": ("I8", (OUT, IN)), "_weight_scale": ("F32", (OUT, 1)), "_weight_zero_point": ("I8", (OUT, 1))}, {}),
    "torchao, fp8": ({"_weight_qdata": ("F8_E4M3", (OUT, IN)), "_weight_scale": ("F32", (OUT, 1))}, {}),
    "torchao, int4": (
        {"_weight_qdata": ("I8", (OUT, IN // 2)), "_weight_scale": ("BF16", (IN // 32, OUT)), "_weight_zero_point": ("BF16", (IN // 32, OUT))},
        {},
    ),
    "torchao, int4 in tiles": (
        {"_weight_qdata": ("I32", (OUT // 8, IN // 128, 32, 4)), "_weight_scale_and_zero": ("BF16", (IN // 32, OUT, 2))},
        {},
    ),
    "torchao, NVFP4": (
        {"_weight_qdata": ("U8", (OUT, IN // 2)), "_weight_scale": ("F8_E4M3", (OUT, IN // 16)), "_weight_per_tensor_scale": ("F32", ())},
        {},
    ),
}
"""The tensors of one layer, and the quantization_config where the shapes alone do not prove the bits."""


def folder(path: Path, tensors: Tensors, quantisation: dict[str, Any] | None = None) -> Path:
    """One file, and a configuration where one is given."""
    (path / "model.safetensors").write_bytes(a_safetensors_file(tensors))
    if quantisation:
        (path / "config.json").write_text(json.dumps({"model_type": "llama", "quantization_config": quantisation}))
    return path


def weights(found: Checkpoint) -> int:
    """Of the quantised layer alone."""
    return found.parameters - IN - OUT


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialects_number_of_weights_is_the_true_one(dialect: str, tmp_path: Path) -> None:
    """Whatever they are packed in; scales, zero points and the rest are told from weights, and nothing is lost."""
    tensors, quantisation = DIALECTS[dialect]
    named = {**PLAIN, **{f"model.layers.0.{name}" if name[0] != "_" else f"layer.{name}": form for name, form in tensors.items()}}

    found = read_checkpoint(str(folder(tmp_path, named, quantisation)))

    assert weights(found) == TRUE, found.stored
    scales = sum(one.tensors for one in found.stored if one.role == "scales")
    assert scales == len(tensors) - 1, found.stored
    assert sum(one.bytes for one in found.stored) == found.bytes - 8 - int.from_bytes((tmp_path / "model.safetensors").read_bytes()[:8], "little")
    (main,) = (one for one in found.stored if one.parameters >= TRUE and one.role != "scales")
    assert (main.role == "packed") == (main.bytes * 8 // TRUE != dict(DTYPES.values())[main.dtype])
    assert found.dtype == main.dtype


@pytest.mark.parametrize("dialect", [name for name, (_, quantisation) in DIALECTS.items() if quantisation and "8" not in name])
def test_bits_that_nothing_proves_are_not_guessed(dialect: str, tmp_path: Path) -> None:
    """Without the configuration the stored numbers are counted, as the least there can be, and they are still called packed."""
    tensors, _ = DIALECTS[dialect]

    found = read_checkpoint(str(folder(tmp_path, {f"layer.{name}": form for name, form in tensors.items()})))

    (main,) = (one for one in found.stored if one.role == "packed")
    assert main.parameters * dict(DTYPES.values())[main.dtype] == main.bytes * 8
    assert main.parameters < TRUE


def test_scales_in_another_file_are_found(tmp_path: Path) -> None:
    """Shards are cut by size, and between a weight and its scale."""
    one, other = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    (tmp_path / one).write_bytes(a_safetensors_file({"layer.weight_packed": ("U8", (OUT, IN // 2))}))
    (tmp_path / other).write_bytes(a_safetensors_file({"layer.weight_scale": ("F8_E4M3", (OUT, IN // 16))}))

    found = read_checkpoint(str(tmp_path))

    assert (found.parameters, [one.role for one in found.stored]) == (TRUE, ["packed", "scales"])


def test_a_tensor_that_two_files_hold_is_counted_once(tmp_path: Path) -> None:
    """A loader keeps one of them."""
    for number in (1, 2):
        (tmp_path / f"model-0000{number}-of-00002.safetensors").write_bytes(a_safetensors_file())

    assert read_checkpoint(str(tmp_path)).parameters == 6


def test_several_widths_are_told_apart_by_their_scales(tmp_path: Path) -> None:
    """One configuration, a group of 4 bits by groups of 32 and one of 8 bits by rows."""
    groups = {"group_0": {"weights": {"num_bits": 4, "group_size": 32}}, "group_1": {"weights": {"num_bits": 8, "group_size": None}}}
    tensors = {
        "a.weight_packed": ("I32", (OUT, IN // 8)),
        "a.weight_scale": ("BF16", (OUT, IN // 32)),
        "b.weight_packed": ("I32", (OUT, IN // 4)),
        "b.weight_scale": ("BF16", (OUT, 1)),
    }

    assert read_checkpoint(str(folder(tmp_path, tensors, {"config_groups": groups}))).parameters == 2 * TRUE


def test_a_models_own_scales_are_weights(tmp_path: Path) -> None:
    """Nothing is packed beside them."""
    tensors = {
        "norm.scale": ("BF16", (8,)),
        "norm.weight": ("BF16", (8,)),
        "vision.weight_scale": ("F32", (1,)),
        "logit_scale": ("F32", ()),
        "table.scales": ("I32", (4,)),
        "attention.k_scale": ("F32", ()),
    }

    found = read_checkpoint(str(folder(tmp_path, tensors)))

    assert {one.role for one in found.stored} == {"weights"}
    assert found.parameters == 23


def test_four_bit_floats_of_the_format_itself_are_packed(tmp_path: Path) -> None:
    """Their shapes count weights, and a byte holds two."""
    found = read_checkpoint(str(folder(tmp_path, {"weight": ("F4", (8, 2))})))

    ((dtype, role, parameters, size),) = ((one.dtype, one.role, one.parameters, one.bytes) for one in found.stored)
    assert (dtype, role, parameters, size) == ("float4_e2m1fn_x2", "packed", 16, 8)


def test_a_configuration_that_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    """The headers are still told."""
    folder(tmp_path, {"l.weight_packed": ("I32", (OUT, IN // 8)), "l.weight_scale": ("BF16", (OUT, 1))})
    (tmp_path / "config.json").write_text("{")

    found = read_checkpoint(str(tmp_path))

    assert [(one.role, one.parameters) for one in found.stored] == [("packed", TRUE // 8), ("scales", OUT)]


WIDTHS = [
    ({"quantization_config": {"bits": 4, "group_size": 128}}, (Width(4, 128),)),
    ({"quantization_config": {"bits": 4, "group_size": -1}}, (Width(4, 0),)),
    ({"text_config": {"quantization_config": COMPRESSED}}, (Width(4, 32),)),
    ({"quantization_config": {"quant_config": {"weight_quant_params": {"nbits": 2, "group_size": 64}}}}, (Width(2, 64),)),
    ({"quantization": {"bits": 4, "group_size": 64, "lm_head": {"bits": 6, "group_size": 64}}}, (Width(4, 64), Width(6, 64))),
    ({"quantization_config": {"input_activations": {"num_bits": 8}, "kv_cache_scheme": {"num_bits": 8}}}, ()),
    ({"quantization_config": {"bits": "4"}, "quantization": [], "compression_config": None}, ()),
    ({"quantization_config": {"bits": 400, "group_size": True}}, ()),
    ({"bits": 4}, ()),
]


@pytest.mark.parametrize(("config", "widths"), WIDTHS)
def test_a_configuration_names_its_widths(config: dict[str, Any], widths: tuple[Width, ...]) -> None:
    """Of weights alone, wherever the method puts them."""
    assert widths_of(config) == widths


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text(max_size=4),
    lambda inner: st.dictionaries(st.sampled_from(["bits", "a"]), inner),
    max_leaves=9,
)


@given(st.dictionaries(st.sampled_from(["quantization_config", "compression_config", "text_config", "quantization"]), VALUES))
def test_any_configuration_has_plausible_widths_or_none(config: dict[str, Any]) -> None:
    """Whatever JSON may hold."""
    assert all(1 <= one.bits <= 8 and one.group >= 0 for one in widths_of(config))


ENDS = sorted({end for row in table("packed_tensors") for end in (row["scale"], row["weight"], *row["beside"].split(";")) if end})


@given(
    st.dictionaries(
        st.sampled_from(ENDS).map(lambda end: "layer.weight" + end[1:] if end[0] == "*" else "layer" + end[1:]),
        st.tuples(st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 9), max_size=4)),
        max_size=6,
    ),
    st.lists(st.builds(Width, st.integers(1, 8), st.integers(0, 64)), max_size=2),
)
def test_any_tensors_under_these_names_are_counted(forms: dict[str, tuple[str, list[int]]], widths: list[Width]) -> None:
    """Every tensor has one role, none is lost, and packing never makes fewer weights than numbers."""
    tensors = [Tensor(name, DTYPES[kind][0], tuple(shape), "f", 0, 0) for name, (kind, shape) in forms.items()]

    stored = stored_of(tensors, lambda: tuple(widths))
    kinds = kinds_of({one.name: one for one in tensors}, lambda: tuple(widths))

    assert sum(one.tensors for one in stored) == len(tensors)
    assert all(kinds[one.name].weights >= one.elements for one in tensors if one.name in kinds)


def test_every_dialect_of_the_table_is_tested() -> None:
    """A row without a folder here would be a guess; three bits of HQQ, ten in a number and some over, are not told exactly."""
    forms = [{name: DTYPES[kind][0] for name, (kind, _) in tensors.items()} for tensors, _ in DIALECTS.values()]
    known = {"HQQ, 3 bits", "scales of the cache"}

    def tested(row: dict[str, str]) -> bool:
        scale, weight, dtypes = row["scale"][1:], row["weight"][1:], row["dtypes"].split(";")
        pairs = ((f".{one}", f".{other}", dtype) for form in forms for one in form for other, dtype in form.items())
        return any(one.endswith(scale) and one.removesuffix(scale) + weight == other and dtype in dtypes for one, other, dtype in pairs)

    assert [row["dialect"] for row in table("packed_tensors") if row["dialect"] not in known and not tested(row)] == []


def test_what_is_packed_in_no_known_number_is_still_packed(tmp_path: Path) -> None:
    """HQQ puts ten weights of three bits in an int32, and fills the last ones up."""
    found = read_checkpoint(str(folder(tmp_path, {"l.W_q": ("I32", (52, 64)), "l.scale": ("F16", (512, 1)), "l.zero": ("F16", (512, 1))})))

    assert [(one.dtype, one.role, one.parameters) for one in found.stored] == [("int32", "packed", 52 * 64), ("float16", "scales", 1024)]
