"""IVD35x: quantised weights met what cannot compute with them."""

import pytest

from ivdoctor.facts import Place
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd35x import float8_in_an_ordinary_operator, kbit_parts_disagree, quantised_weight_or_kernel_refuses
from ivdoctor.testing import a_failure, a_place, findings, operands

T4 = a_place("sm_75", "Tesla T4")
P40 = a_place("sm_61", "Tesla P40")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
CPU = a_place()


def there(place: Place | None) -> list[Place]:
    return [place] if place else []


@pytest.mark.parametrize(("place", "dtype"), [(None, "bfloat16"), (CPU, "bfloat16"), (A100, "bfloat16"), (T4, "float16"), (P40, "float16")])
def test_ivd350_fires_with_a_cast_of_the_weight_where_it_is_used(place: Place | None, dtype: str) -> None:
    """float8 stays the storage, and what is computed in is a format that the hardware has."""
    (found,) = findings(float8_in_an_ordinary_operator, a_failure("fp8-dtype-mismatch"), *there(place))
    assert [fix.action for fix in found.fixes] == ["cast-input", "load-dtype", "kernel"]
    assert found.fixes[0].code.startswith("weight = self.weight.to(x.dtype)")
    assert f"compute_dtype=torch.{dtype})" in found.fixes[1].code
    assert ("8.0" in found.fixes[1].title) is (place is None)
    assert any("scales" in one for one in found.avoid)


def test_ivd350_silent_where_the_gpu_refused_float8() -> None:
    """No cast cures that."""
    assert findings(float8_in_an_ordinary_operator, a_failure("fp8-unsupported-gpu"), T4) == []


@pytest.mark.parametrize("place", [None, CPU, T4, A100], ids=lambda one: one.title if one else "none")
def test_ivd351_fires_with_fp16_for_a_kernel_that_takes_nothing_else(place: Place | None) -> None:
    """A kernel that computes in bfloat16 comes second, and only where the hardware has it."""
    failure = a_failure("quant-kernel-dtype", family="quant-kernel-half-only", operands=())
    (found,) = findings(quantised_weight_or_kernel_refuses, failure, *there(place))
    assert [fix.action for fix in found.fixes] == ["fp16", "kernel"]
    assert ("bfloat16" in found.fixes[1].title) is (place is not T4)
    assert found.fixes[1].code == ""
    assert found.message == "the quantisation's kernel does not take this dtype"


@pytest.mark.parametrize(
    ("family", "words", "command"),
    [("quant-method-dtype", (), True), ("quant-kernel-half-only", ("vllm",), True), ("quant-kernel-half-only", ("awq",), False)],
)
def test_ivd351_fires_with_the_engines_flag_where_an_engine_speaks(family: str, words: tuple[str, ...], command: bool) -> None:
    """vLLM's own message, or its name beside it."""
    (found,) = findings(quantised_weight_or_kernel_refuses, a_failure("quant-kernel-dtype", family=family, words=words, operands=()))
    assert (found.fixes[0].command == "vllm serve MODEL --dtype half") is command


@pytest.mark.parametrize("packed", ["uint8", "int8", "int32"])
def test_ivd351_fires_with_the_module_left_out_where_packed_weights_met_an_operator(packed: str) -> None:
    """They are codes and not numbers: no fix casts them."""
    failure = a_failure("quant-kernel-dtype", family="mat-dtypes", operands=operands(mat1="float16", mat2=packed))
    (found,) = findings(quantised_weight_or_kernel_refuses, failure, T4)
    assert found.message == f"packed weights (torch.{packed}) met an operator that does not know them"
    assert [fix.action for fix in found.fixes] == ["kernel", "version"]
    assert "llm_int8_skip_modules" in found.fixes[0].code
    assert not any(packed in fix.code.replace("llm_int8_skip_modules", "") for fix in found.fixes)
    assert "codes, not numbers" in found.avoid[0]


@pytest.mark.parametrize(
    ("message", "place", "actions", "dtype"),
    [
        ("expect A to be bfloat16 tensor.", None, ["bf16", "kernel"], "bfloat16"),
        ("expect A to be bfloat16 tensor.", A100, ["bf16", "kernel"], "bfloat16"),
        ("expect A to be bfloat16 tensor.", T4, ["kernel"], ""),
        ("only supports float16 or bfloat16 inputs", A100, ["load-dtype", "kernel"], "float16"),
        ("only supports float16 or bfloat16 inputs", T4, ["load-dtype", "kernel"], "float16"),
    ],
)
def test_ivd351_fires_with_the_format_that_the_kernel_names(message: str, place: Place | None, actions: list[str], dtype: str) -> None:
    """bfloat16 where it takes nothing else and the hardware has it; another quantisation where it has not."""
    failure = a_failure("quant-kernel-dtype", family="quant-kernel-16", message=message, needs="", operands=())
    (found,) = findings(quantised_weight_or_kernel_refuses, failure, *there(place))
    assert [fix.action for fix in found.fixes] == actions
    assert not dtype or f"torch_dtype=torch.{dtype})" in found.fixes[0].code


@pytest.mark.parametrize(
    ("family", "weight", "actions"),
    [
        ("bnb-blockwise", "bfloat16", ["version"]),
        ("bnb-blockwise", "uint8", ["kernel", "version"]),
        ("not-implemented", "uint8", ["kernel", "version"]),
    ],
)
def test_ivd351_fires_with_weights_that_are_not_packed_yet(family: str, weight: str, actions: list[str]) -> None:
    """What is quantised twice is left quantised once; bitsandbytes of today quantises bfloat16."""
    failure = a_failure("quant-kernel-dtype", family=family, operands=operands(input=weight))
    (found,) = findings(quantised_weight_or_kernel_refuses, failure, A100)
    assert [fix.action for fix in found.fixes] == actions
    assert "codes, not numbers" in found.avoid[0]


def test_ivd351_silent_where_a_matrix_of_floats_differs() -> None:
    """Which a cast cures."""
    assert findings(quantised_weight_or_kernel_refuses, a_failure("matmul-dtype-mismatch"), T4) == []


@pytest.mark.parametrize(
    ("place", "dtypes", "dtype"),
    [
        (None, ("float16", "float32"), "float16"),
        (None, ("bfloat16", "float32"), "bfloat16"),
        (None, (), "bfloat16"),
        (None, ("float32", "uint8"), "bfloat16"),
        (A100, ("float16", "bfloat16"), "bfloat16"),
        (T4, ("bfloat16", "float32"), "float16"),
        (T4, (), "float16"),
        (P40, ("float32", "bfloat16"), "float16"),
        (CPU, ("float32", "bfloat16"), "bfloat16"),
    ],
)
def test_ivd352_fires_with_one_dtype_for_computing_and_for_the_rest(place: Place | None, dtypes: tuple[str, ...], dtype: str) -> None:
    """The 16-bit one that is there, if the hardware has it."""
    failure = a_failure("peft-kbit-dtype-mismatch", operands=operands(**{f"m{number}": one for number, one in enumerate(dtypes)}))
    (found,) = findings(kbit_parts_disagree, failure, *there(place))
    assert [fix.action for fix in found.fixes] == ["load-dtype", "cast-input", "autocast", "version"]
    assert found.fixes[0].code.startswith(f"dtype = torch.{dtype}\n")
    assert f"dtype=torch.{dtype})" in found.fixes[2].code
    assert ("8.0" in found.fixes[0].title) is (place is None and dtype == "bfloat16")
    assert "uint8" in found.avoid[0]


@pytest.mark.parametrize(("family", "severity"), [("linear4bit-compute", Severity.WARNING), ("mat-dtypes", Severity.ERROR)])
def test_ivd352_fires_as_a_warning_where_it_only_runs_slowly(family: str, severity: Severity) -> None:
    """bitsandbytes warns of the compute dtype, and computes."""
    assert findings(kbit_parts_disagree, a_failure("peft-kbit-dtype-mismatch", family=family))[0].severity is severity


def test_ivd352_silent_where_fsdp_wants_one_dtype() -> None:
    """That is about the storage."""
    assert findings(kbit_parts_disagree, a_failure("fsdp-uniform-dtype"), A100) == []
