"""What the files of a quantised checkpoint hold, by method."""

from dataclasses import replace

import pytest

from ivdoctor.anatomy import Unknown, laid_out, stored, weights
from ivdoctor.facts import Quantisation, Stored

TINY = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}
INSIDE = 64 * 64 * 2 + 32 * 64 * 2 + 3 * 128 * 64
"""Weights of the linear layers of the one layer: q, o, k, v, gate, up, down."""
HEAD = 100 * 64
REST = HEAD + 3 * 64
"""The embedding and the norms."""

PACKED = Quantisation(method="compressed-tensors", dialect="pack-quantized", bits=4, group=32, storage="int32", targets=("Linear",))
FP8 = Quantisation(method="fp8", bits=8, block=(128, 128), storage="float8_e4m3fn")
AWQ = Quantisation(method="awq", bits=4, group=32, symmetric=False, storage="int32")
GPTQ = Quantisation(method="gptq", bits=4, group=32, storage="int32")
NF4 = Quantisation(method="bitsandbytes", dialect="nf4", bits=4, storage="uint8")
NVFP4 = Quantisation(method="modelopt", dialect="NVFP4", bits=4, group=16, storage="uint8", activations="fp4")


def laid(quantisation: Quantisation | None, *, nested: bool = False) -> dict[tuple[str, str], Stored]:
    """Of the tiny model, in float16."""
    found = laid_out(weights(TINY), "float16", quantisation, nested=nested)
    return {(one.dtype, one.role): one for one in found}


def test_an_unquantised_model_is_stored_as_it_is() -> None:
    """One dtype, two bytes each."""
    assert laid(None) == {
        ("float16", "weights"): Stored(dtype="float16", tensors=12, parameters=INSIDE + HEAD + REST, bytes=2 * (INSIDE + HEAD + REST))
    }


def test_without_a_dtype_it_is_float32() -> None:
    """As transformers saves what it was not told otherwise."""
    (found,) = laid_out(weights(TINY), "", None)

    assert (found.dtype, found.bytes) == ("float32", 4 * (INSIDE + HEAD + REST))


def test_a_dtype_that_nobody_knows_is_no_figure() -> None:
    """A reason instead."""
    with pytest.raises(Unknown, match="how bfloat8 is stored is not known"):
        laid_out(weights(TINY), "bfloat8", None)


def test_eight_weights_in_an_int32() -> None:
    """compressed-tensors packs every linear layer, the head too where it is not left out."""
    found = laid(PACKED)

    assert found["int32", "packed"] == Stored(dtype="int32", role="packed", tensors=8, parameters=INSIDE + HEAD, bytes=(INSIDE + HEAD) // 2)
    assert found["float16", "scales"] == Stored(
        dtype="float16", role="scales", tensors=8, parameters=(INSIDE + HEAD) // 32, bytes=(INSIDE + HEAD) // 16
    )
    assert found["int64", "scales"].bytes == 8 * 2 * 8
    assert found["float16", "weights"].parameters == REST


def test_zero_points_are_packed_too() -> None:
    """Eight rows in a number."""
    found = laid(replace(PACKED, symmetric=False, ignored=("lm_head",)))

    assert found["int32", "scales"].bytes == INSIDE // 32 // 8 * 4


def test_a_number_a_weight_is_weights() -> None:
    """fp8 in blocks: a scale of float32 each, and the head left alone."""
    found = laid(FP8)

    assert found["float8_e4m3fn", "weights"] == Stored(dtype="float8_e4m3fn", tensors=7, parameters=INSIDE, bytes=INSIDE)
    assert found["float32", "scales"].parameters == 7
    assert found["float16", "weights"].parameters == HEAD + REST


@pytest.mark.parametrize(("storage", "dialect"), [("float8_e4m3fn", "float-quantized"), ("int8", "int-quantized")])
def test_a_scale_for_each_row(storage: str, dialect: str) -> None:
    """compressed-tensors, a number a weight, by channel."""
    rows = 64 + 32 + 32 + 64 + 128 + 128 + 64
    found = laid(Quantisation(method="compressed-tensors", dialect=dialect, bits=8, storage=storage, targets=("Linear",), ignored=("lm_head",)))

    assert (found[storage, "weights"].bytes, found["float16", "scales"].parameters) == (INSIDE, rows)


def test_awq() -> None:
    """Scales and zero points for each group; nothing outside the layers."""
    found = laid(AWQ)

    assert found["int32", "packed"] == Stored(dtype="int32", role="packed", tensors=7, parameters=INSIDE, bytes=INSIDE // 2)
    assert found["float16", "scales"].parameters == INSIDE // 32
    assert found["int32", "scales"].bytes == INSIDE // 32 // 8 * 4


def test_gptq_says_the_group_of_each_column_as_well() -> None:
    """g_idx: an int32 for each."""
    found = laid(GPTQ)

    assert found["int32", "packed"].bytes == INSIDE // 2
    assert found["int32", "scales"].bytes == INSIDE // 32 // 8 * 4 + 4 * (6 * 64 + 128)


def test_bitsandbytes_by_blocks_of_64() -> None:
    """absmax in float32, or in a byte with scales of its own."""
    plain, nested = laid(NF4), laid(NF4, nested=True)

    assert plain["uint8", "packed"].bytes == nested["uint8", "packed"].bytes == INSIDE // 2
    assert plain["float32", "scales"].parameters == INSIDE // 64 + 7 * 16
    assert nested["uint8", "scales"].bytes - plain["uint8", "scales"].bytes == INSIDE // 64
    assert nested["float32", "scales"].parameters == sum(-(-(one // 64) // 256) for one in (4096, 4096, 2048, 2048, 8192, 8192, 8192)) + 7 * 272


def test_bitsandbytes_in_eight_bits() -> None:
    """SCB: a float32 for each row."""
    found = laid(Quantisation(method="bitsandbytes", dialect="llm.int8", bits=8, storage="int8"))

    assert (found["int8", "weights"].bytes, found["float32", "scales"].parameters) == (INSIDE, 512)


def test_nvfp4() -> None:
    """Half a byte, a scale of fp8 for each 16, and two of float32."""
    found = laid(NVFP4)

    assert found["uint8", "packed"] == Stored(dtype="uint8", role="packed", tensors=7, parameters=INSIDE, bytes=INSIDE // 2)
    assert found["float8_e4m3fn", "scales"].bytes == INSIDE // 16
    assert found["float32", "scales"].parameters == 14


def test_mxfp4_packs_experts_alone() -> None:
    """gpt-oss-20b: about 13.8 GB, of which 12.7 are the experts' blocks and exponents."""
    config = {"model_type": "gpt_oss", "num_hidden_layers": 24, "num_local_experts": 32}
    left = ("model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head")
    found = laid_out(weights(config), "bfloat16", Quantisation(method="mxfp4", bits=4, group=32, storage="uint8", ignored=left))
    experts = 24 * 32 * (2 * 2880 * 2880 + 2880 * 2880)

    assert next((one.dtype, one.role, one.bytes) for one in found) == ("uint8", "packed", experts // 2)
    assert {(one.dtype, one.bytes) for one in found if one.role == "scales"} == {("uint8", experts // 32)}
    assert sum(one.parameters for one in found if one.role != "scales") == 20_914_757_184
    assert sum(one.bytes for one in found) == pytest.approx(13.76e9, rel=0.001)


@pytest.mark.parametrize(
    ("quantisation", "reason"),
    [
        (Quantisation(method="hqq", bits=4), "how hqq stores weights is not known"),
        (Quantisation(method="unknown"), "how unknown stores weights is not known"),
        (replace(PACKED, dialect="marlin-24"), "how compressed-tensors marlin-24 stores weights is not known"),
        (replace(PACKED, targets=("Linear", "re:.*experts.*")), "how compressed-tensors pack-quantized stores weights is not known"),
        (replace(PACKED, bits=0), "does not say how many bits"),
        (replace(AWQ, bits=7), "does not say how many bits"),
    ],
)
def test_a_method_that_is_not_known_is_no_figure(quantisation: Quantisation, reason: str) -> None:
    """Rather than a guess."""
    with pytest.raises(Unknown, match=reason):
        laid_out(weights(TINY), "float16", quantisation)
    assert stored(weights(TINY), "float16", quantisation) is None


def test_experts_of_one_tensor_are_followed_for_mxfp4_alone() -> None:
    """Other methods split them, or leave them as they are."""
    assert stored(weights({"model_type": "gpt_oss", "num_hidden_layers": 1}), "bfloat16", NF4) is None


def test_fp8_is_laid_out_as_transformers_lays_it_out() -> None:
    """Its own layers in the place of the linear ones, built without data."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers", minversion="5.23.0")
    from transformers.integrations.finegrained_fp8 import replace_with_fp8_linear

    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**TINY, dtype="bfloat16")).to(torch.bfloat16)
        method = transformers.FineGrainedFP8Config(weight_block_size=(32, 32))
        replace_with_fp8_linear(model, modules_to_not_convert=["lm_head"], quantization_config=method, pre_quantized=True)
    expected: dict[str, list[int]] = {}
    for tensor in model.state_dict().values():
        one = expected.setdefault(str(tensor.dtype).removeprefix("torch."), [0, 0])
        one[0] += 1
        one[1] += tensor.numel() * tensor.element_size()

    found = laid_out(weights(TINY), "bfloat16", replace(FP8, block=(32, 32)))

    assert {one.dtype: [one.tensors, one.bytes] for one in found} == expected
