"""IVD45x: tensors of two dtypes met."""

from itertools import permutations

import pytest

from ivdoctor.facts import Place
from ivdoctor.rules.ivd45x import (
    attention_operands_differ,
    input_and_weights_differ,
    matrices_differ,
    norm_and_input_differ,
    numpy_has_no_such_dtype,
    operands_differ,
    written_by_index_in_another_dtype,
)
from ivdoctor.testing import a_failure, a_frame, a_mismatch, a_place, findings, operands

T4 = a_place("sm_75", "Tesla T4")
V100 = a_place("sm_70", "Tesla V100-SXM2-32GB")
P40 = a_place("sm_61", "Tesla P40")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
M1 = a_place("mps", "Apple M1")
CPU = a_place()

CONV, MATMUL, ATTENTION = "conv-input-param-dtype-mismatch", "matmul-dtype-mismatch", "attention-qkv-dtype-mismatch"
BF16, FP16, FP32, FP64 = "bfloat16", "float16", "float32", "float64"


def there(place: Place | None) -> list[Place]:
    return [place] if place else []


@pytest.mark.parametrize(
    ("place", "given", "weights", "actions", "target"),
    [
        (None, FP32, FP16, ["cast-input", "cast-model", "load-dtype"], FP16),
        (None, FP32, BF16, ["cast-input", "cast-model", "load-dtype"], BF16),
        (None, BF16, FP16, ["cast-input", "cast-model", "load-dtype"], BF16),
        (None, FP64, FP32, ["cast-input", "cast-model", "load-dtype"], FP32),
        (A100, FP32, BF16, ["cast-input", "cast-model", "load-dtype"], BF16),
        (A100, BF16, FP16, ["cast-model", "cast-input", "load-dtype"], BF16),
        (A100, FP16, BF16, ["cast-input", "cast-model", "load-dtype"], BF16),
        (T4, FP32, BF16, ["fp16", "load-dtype"], FP16),
        (T4, FP16, BF16, ["cast-model", "load-dtype"], FP16),
        (V100, BF16, FP16, ["cast-input", "cast-model", "load-dtype"], FP16),
        (T4, FP32, FP16, ["cast-input", "cast-model", "load-dtype"], FP16),
        (P40, FP32, FP16, ["cast-model", "load-dtype"], FP32),
        (P40, BF16, FP16, ["fp32", "load-dtype"], FP32),
        (P40, FP16, FP32, ["cast-input", "cast-model", "load-dtype"], FP32),
        (M1, FP64, FP32, ["cast-input", "cast-model", "load-dtype"], FP32),
        (CPU, FP32, BF16, ["cast-input", "cast-model", "load-dtype"], FP32),
        (CPU, BF16, FP16, ["cast-input", "cast-model", "load-dtype"], BF16),
    ],
)
def test_ivd450_fires_with_the_weights_dtype_if_the_hardware_has_it(
    place: Place | None, given: str, weights: str, actions: list[str], target: str
) -> None:
    """Else the whole model in one that it has: float16 on a T4 and float32 on a P40. A model that is float16 by mistake becomes bfloat16."""
    (found,) = findings(input_and_weights_differ, a_failure(CONV, operands=operands(input=given, bias=weights)), *there(place))
    assert [fix.action for fix in found.fixes] == actions
    whole = next(fix.code for fix in found.fixes if "model = model.to(dtype)" in fix.code)
    assert whole.startswith(f"dtype = torch.{target}\n")
    assert f"torch_dtype=torch.{target})" in found.fixes[-1].code
    local = [fix.code for fix in found.fixes if fix.action == "cast-input"]
    assert local == [f"x = x.to(torch.{weights})"] * len(local)
    assert found.message == f"a layer with weights in torch.{weights} got an input in torch.{given}: model and input were cast apart"
    assert any("`model.to(torch.bfloat16)`" in one for one in found.avoid) is (BF16 in (given, weights) and place in (T4, V100, P40))


@pytest.mark.parametrize("roles", [{"input": "", "weight": ""}, {}, {"expected": "", "found": ""}])
@pytest.mark.parametrize(("place", "target"), [(None, ""), (T4, ""), (CPU, FP32)])
def test_ivd450_fires_without_dtypes_where_the_text_does_not_say(place: Place | None, target: str, roles: dict[str, str]) -> None:
    """The parameters' own dtype stands for them; on the CPU float32 is known to be right."""
    (found,) = findings(input_and_weights_differ, a_failure(CONV, operands=operands(**roles)), *there(place))
    assert [fix.action for fix in found.fixes] == ["cast-input", "fp32" if target else "cast-model", "load-dtype"]
    assert found.fixes[0].code == "x = x.to(next(model.parameters()).dtype)"
    assert (f"torch.{target}" in found.fixes[1].code) is bool(target)
    assert "another dtype" in found.message


def test_ivd450_fires_where_only_expected_and_found_are_named() -> None:
    """`expected scalar type Half but found Float` out of a convolution: expected is the input's, as the kernel is made for it."""
    (found,) = findings(input_and_weights_differ, a_failure(CONV, operands=operands(expected=FP16, found=FP32)))
    assert "weights in torch.float32 got an input in torch.float16" in found.message


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("out = model(pixel_values)", "pixel_values"),
        ("self.vision_tower(images)", "pixel_values"),
        ("x = self.image_processor(x)", "pixel_values"),
        ("y = f(x)", "x"),
    ],
)
def test_ivd450_fires_with_the_name_of_the_tensor_where_the_traceback_tells(code: str, name: str) -> None:
    """Pixels; never token ids, and never one bias alone."""
    (found,) = findings(input_and_weights_differ, a_failure(CONV, frames=(a_frame(code=code),), operands=operands(input=FP32, weight=FP16)))
    assert found.fixes[0].code == f"{name} = {name}.to(torch.float16)"
    assert f"{name} = {name}.to(dtype)" in found.fixes[1].code
    assert any("bias" in one for one in found.avoid)
    assert any("token ids" in one for one in found.avoid)


def test_ivd450_fires_with_the_trials_of_the_miniature_where_it_ran() -> None:
    """A cast of the input or of the model, on this very pair of dtypes; without a run nothing is claimed."""
    failure = a_failure(CONV, operands=operands(input=BF16, bias=FP16))
    (found,) = findings(input_and_weights_differ, failure, A100, a_mismatch("cuda:0"))
    assert [(fix.action, fix.trial.status, fix.trial.how) for fix in found.fixes] == [
        ("cast-model", "passed", "miniature"),
        ("cast-input", "passed", "miniature"),
        ("load-dtype", "not-tried", None),
    ]
    (found,) = findings(input_and_weights_differ, failure, A100)
    assert {fix.trial.status for fix in found.fixes} == {"not-tried"}
    (found,) = findings(input_and_weights_differ, failure, V100, a_mismatch("cuda:0", refused={"fp16": "no"}))
    assert {fix.trial.status for fix in found.fixes} == {"not-tried"}, "a trial that failed recommends nothing"


def test_ivd450_silent_where_matrices_differ() -> None:
    """A product has two operands and no weights of its own."""
    assert findings(input_and_weights_differ, a_failure(MATMUL), A100) == []


@pytest.mark.parametrize(
    ("place", "first", "second", "actions"),
    [
        (None, FP16, FP32, ["cast-input", "autocast", "load-dtype"]),
        (None, FP32, BF16, ["cast-input", "autocast", "load-dtype"]),
        (None, FP16, BF16, ["load-dtype", "cast-input"]),
        (T4, BF16, FP16, ["load-dtype", "cast-input"]),
        (A100, BF16, FP16, ["load-dtype", "cast-input"]),
        (None, "", "", ["cast-input", "cast-model", "autocast"]),
        (T4, FP16, "", ["cast-input", "cast-model", "autocast"]),
    ],
)
def test_ivd451_fires_with_one_cast_or_with_one_loading(place: Place | None, first: str, second: str, actions: list[str]) -> None:
    """Two 16-bit formats mean two parts that were loaded apart; a float32 was made somewhere, and autocast is for mixing on purpose."""
    failure = a_failure(MATMUL, message="mat1 and mat2 must have the same dtype", operands=operands(mat1=first, mat2=second))
    (found,) = findings(matrices_differ, failure, *there(place))
    assert [fix.action for fix in found.fixes] == actions
    lacking = place is T4
    assert not lacking or not any(BF16 in f"{fix.title}{fix.code}" for fix in found.fixes)
    assert ("8.0" in found.fixes[0].title) is (place is None and {first, second} == {FP16, BF16})
    assert ("does not say" in found.message) is (not (first and second))
    assert any("uint8" in one for one in found.avoid)
    assert "promotion" in found.look_next[0]


def test_ivd451_fires_with_float32_where_one_is_float64() -> None:
    """NumPy made it; nobody computes a model in double precision, and Metal cannot."""
    for dtypes in ({"mat1": FP32, "mat2": FP64}, {"mat1": FP64, "mat2": FP16}):
        (found,) = findings(matrices_differ, a_failure(MATMUL, operands=operands(**dtypes)), M1)
        assert [fix.code for fix in found.fixes] == ["x = x.float()", "array = array.astype(numpy.float32)"]


def test_ivd451_fires_with_float32_where_the_words_tell_of_a_cpu() -> None:
    """`expected m1 and m2` is what a CPU's product says; two 16-bit formats are a matter of loading there too."""
    words = "expected m1 and m2 to have the same dtype, but got: float != c10::Half"
    (found,) = findings(matrices_differ, a_failure(MATMUL, message=words, operands=operands(mat1=FP32, mat2=FP16)))
    assert [fix.action for fix in found.fixes] == ["cast-input", "fp32", "autocast"]
    (found,) = findings(matrices_differ, a_failure(MATMUL, message=words, operands=operands(mat1=BF16, mat2=FP16)))
    assert [fix.action for fix in found.fixes] == ["load-dtype", "cast-input"]


@pytest.mark.parametrize(
    ("place", "dtype"),
    [(None, BF16), (A100, BF16), (T4, FP16), (V100, FP16), (CPU, FP16)],
    ids=lambda one: one.title if isinstance(one, Place) else "",
)
def test_ivd451_fires_with_autocast_in_a_format_of_the_hardware(place: Place | None, dtype: str) -> None:
    """A bfloat16 model on a T4 is run in float16."""
    (found,) = findings(matrices_differ, a_failure(MATMUL, message="", operands=operands(mat1=FP32, mat2=BF16)), *there(place))
    assert f"dtype=torch.{dtype})" in next(fix.code for fix in found.fixes if fix.action == "autocast")


@pytest.mark.parametrize(
    ("words", "libraries", "adapter"), [(("lora",), (), True), ((), ("peft",), True), ((), ("torch",), False), (("training",), (), False)]
)
def test_ivd451_fires_with_the_adapter_where_there_is_one(words: tuple[str, ...], libraries: tuple[str, ...], adapter: bool) -> None:
    """peft keeps it in float32; it comes last, as a cast may do."""
    (found,) = findings(matrices_differ, a_failure(MATMUL, words=words, libraries=libraries))
    assert (found.fixes[-1].action == "cast-module") is adapter
    assert any("autocast_adapter_dtype=False" in fix.code for fix in found.fixes) is adapter


@pytest.mark.parametrize(
    ("family", "roles", "message"),
    [
        ("scalar-type", {"expected": FP32, "found": FP16}, "an operator wanted torch.float32 and found torch.float16"),
        ("mat-dtypes", {"mat1": FP32, "mat2": FP16}, "a matrix product got torch.float32 and torch.float16"),
        ("vector-product", {"first": FP32, "second": FP16}, "a matrix product got torch.float32 and torch.float16"),
        ("vector-product", {"self": FP32, "batch1": FP16}, "a matrix product got torch.float32 and torch.float16"),
    ],
)
def test_ivd451_fires_with_both_dtypes_by_the_messages_own_roles(family: str, roles: dict[str, str], message: str) -> None:
    """What was expected is the other operand's."""
    said = findings(matrices_differ, a_failure(MATMUL, family=family, operands=operands(**roles)))[0].message
    assert said == message


def test_ivd451_silent_on_packed_weights_and_shapes() -> None:
    """Messages that begin alike."""
    assert findings(matrices_differ, a_failure("quant-kernel-dtype"), A100) == []
    assert findings(matrices_differ, a_failure("neg-shape-mismatch"), A100) == []


@pytest.mark.parametrize("odd", ["query", "key", "value"])
def test_ivd452_fires_with_the_odd_one_cast_or_the_two_others(odd: str) -> None:
    """Query and key follow the value, unless the value is the odd one; which it is, is what to look for."""
    failure = a_failure(ATTENTION, family="sdpa-qkv", operands=operands(**{"query": FP16, "key": FP16, "value": FP16} | {odd: FP32}))
    (found,) = findings(attention_operands_differ, failure, A100)
    assert [fix.action for fix in found.fixes] == ["cast-input", "load-dtype"]
    assert found.fixes[0].code == ("value = value.to(query.dtype)" if odd == "value" else "query, key = query.to(value.dtype), key.to(value.dtype)")
    assert f"the odd one is the {odd}" in found.look_next[0]
    assert "another GPU: it gives the same" in found.avoid


@pytest.mark.parametrize("dtypes", [(FP16, FP32, BF16), *permutations((FP16, FP32, "")), ("", "", "")])
def test_ivd452_fires_without_an_odd_one_where_there_is_none_or_the_text_does_not_tell(dtypes: tuple[str, str, str]) -> None:
    """Three different dtypes, or two known ones."""
    query, key, value = dtypes
    (found,) = findings(attention_operands_differ, a_failure(ATTENTION, family="sdpa-qkv", operands=operands(query=query, key=key, value=value)))
    assert ("does not say" in found.message) is not bool(query and key)
    assert found.look_next == ()


@pytest.mark.parametrize(("family", "roles"), [("sdpa-mask", {"mask": FP32, "query": FP16}), ("attention-bias", {}), ("sdpa-qkv", {"mask": FP32})])
def test_ivd452_fires_with_the_mask_where_that_differs(family: str, roles: dict[str, str]) -> None:
    """In the query's dtype, or bool."""
    (found,) = findings(attention_operands_differ, a_failure(ATTENTION, family=family, operands=operands(**roles)))
    assert found.fixes[0].code.startswith("attn_mask = attn_mask.to(query.dtype)")
    assert [fix.action for fix in found.fixes] == ["cast-input", "load-dtype"]
    assert ("torch.float16" in found.message) is ("query" in roles)
    assert ("or bias" in found.message) is not bool(roles)


def test_ivd452_silent_where_flash_attention_wants_sixteen_bits() -> None:
    """All three agree there."""
    assert findings(attention_operands_differ, a_failure("flash-attn-needs-half"), A100) == []


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"destination": BF16, "source": FP32}, "values in torch.float32 are written by index into a tensor in torch.bfloat16"),
        ({"destination": BF16}, "values are written by index into a tensor of another dtype"),
        ({}, "values are written by index into a tensor of another dtype"),
    ],
)
def test_ivd453_fires_with_the_source_in_the_destinations_dtype(roles: dict[str, str], message: str) -> None:
    """The index and the mask are right as they are, and autocast can be the cause."""
    (found,) = findings(written_by_index_in_another_dtype, a_failure("index-write-dtype-mismatch", operands=operands(**roles)), A100)
    assert found.message == message
    assert [fix.action for fix in found.fixes] == ["cast-input", "cast-input", "load-dtype"]
    assert found.fixes[0].code == "destination[index] = source.to(destination.dtype)"
    assert any("index or the mask" in one for one in found.avoid)
    assert any("autocast" in one for one in found.avoid)


def test_ivd453_silent_where_an_index_is_no_integer() -> None:
    """The values may fit."""
    assert findings(written_by_index_in_another_dtype, a_failure("neg-integer-dtype")) == []


def test_ivd454_fires_with_the_norm_in_float32() -> None:
    """Which the values of a norm want; casting the parameters, or the whole model once, come after."""
    (found,) = findings(norm_and_input_differ, a_failure("norm-dtype-mismatch"), T4)
    assert [fix.action for fix in found.fixes] == ["cast-input", "cast-module", "cast-model"]
    assert ".to(x.dtype)" in found.fixes[0].code
    assert "Tesla T4" in found.evidence[-1]


def test_ivd454_silent_where_a_product_differs() -> None:
    """A norm in float32 may be the reason, and is not what raised."""
    assert findings(norm_and_input_differ, a_failure(MATMUL), T4) == []


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"self": FP32, "other": FP16}, "an operator got operands of two dtypes: torch.float32 and torch.float16"),
        ({"first": FP32, "second": FP32, "weight": FP16}, "an operator got operands of two dtypes: torch.float32 and torch.float16"),
        ({}, "an operator got operands of two dtypes"),
    ],
)
def test_ivd455_fires_with_a_cast_in_that_line(roles: dict[str, str], message: str) -> None:
    """Each dtype is said once."""
    (found,) = findings(operands_differ, a_failure("operand-dtype-mismatch", family="operands", operands=operands(**roles)))
    assert found.message == message
    assert [fix.action for fix in found.fixes] == ["cast-input", "load-dtype"]
    assert found.avoid == ("autocast: it does not reach these operators",)


@pytest.mark.parametrize(
    ("family", "word"),
    [("jax-dtypes", "astype"), ("tf-types", "tf.cast"), ("onnx-types", "graph"), ("onnx-input", "graph"), ("compiler-types", "graph")],
)
@pytest.mark.parametrize("place", [None, T4, A100], ids=lambda one: one.title if one else "none")
def test_ivd450_and_ivd451_and_ivd455_fire_in_the_words_of_another_framework(place: Place | None, family: str, word: str) -> None:
    """No line of torch is of use to JAX, TensorFlow, ONNX or a compiler."""
    given = operands(input=FP32, weight=FP16)
    found = [
        *findings(input_and_weights_differ, a_failure(CONV, family=family, operands=given), *there(place)),
        *findings(matrices_differ, a_failure(MATMUL, family=family, operands=given), *there(place)),
        *findings(operands_differ, a_failure("operand-dtype-mismatch", family=family, operands=given), *there(place)),
    ]
    assert [[fix.action for fix in one.fixes] for one in found] == [["cast-input", "load-dtype"]] * 3
    assert all(word in one.fixes[0].title for one in found)
    assert not any(fix.code for one in found for fix in one.fixes)


def test_ivd455_silent_where_two_devices_met() -> None:
    """Their dtypes agree."""
    assert findings(operands_differ, a_failure("neg-device-mismatch")) == []


@pytest.mark.parametrize(("roles", "dtype"), [({"input": "float8_e4m3fn"}, "float8_e4m3fn"), ({"input": BF16}, BF16), ({}, BF16)])
def test_ivd456_fires_with_a_cast_before_numpy(roles: dict[str, str], dtype: str) -> None:
    """The cast stands in front of `.numpy()`; neither the hardware nor the model's dtype is at fault."""
    (found,) = findings(numpy_has_no_such_dtype, a_failure("numpy-bf16-unsupported", operands=operands(**roles)))
    assert f"no {dtype}:" in found.message
    (fix,) = found.fixes
    assert (fix.action, fix.code) == ("cast-input", "array = tensor.detach().float().cpu().numpy()")
    assert "other hardware" in found.avoid[0]


def test_ivd456_silent_where_an_operator_refused_bfloat16() -> None:
    """Inside torch."""
    assert findings(numpy_has_no_such_dtype, a_failure("bf16-op-unsupported")) == []
