"""IVD55x: an operator has no kernel for a dtype."""

import pytest

from ivdoctor.facts import Place, Torch
from ivdoctor.rules.ivd55x import (
    fft_in_half_precision,
    half_on_the_cpu,
    mps_lacks_the_dtype,
    no_bfloat16_kernel,
    operator_takes_few_dtypes,
    primitive_not_created,
    torch_lacks_the_dtype,
)
from ivdoctor.testing import a_failure, a_frame, a_place, a_torch, a_torch_without_cuda, findings, operands

T4 = a_place("sm_75", "Tesla T4")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
M1 = a_place("mps", "Apple M1")
M3 = a_place("mps", "Apple M3 Max")


@pytest.mark.parametrize(
    ("torch", "said"), [(None, "find out why"), (a_torch(), "find out why"), (a_torch_without_cuda(), "install a build with CUDA")]
)
def test_ivd550_fires_with_float32_first_and_the_gpu_second(torch: Torch | None, said: str) -> None:
    """A cast to bfloat16 alone would leave the model on the CPU, and is avoided."""
    (found,) = findings(half_on_the_cpu, a_failure("cpu-half-op-unsupported"), *filter(None, [torch]))
    assert [fix.action for fix in found.fixes] == ["fp32", "device", "version"]
    assert said in found.fixes[1].title
    assert not any("bfloat16" in fix.code for fix in found.fixes)
    assert "bfloat16 alone" in found.avoid[0]


@pytest.mark.parametrize(
    ("code", "library", "local"),
    [
        ("c = a @ b", "", True),
        ("c = torch.einsum('ij,jk', a, b)", "", True),
        ("y = self.layer(x)", "", False),
        ("return torch.mm(a, b)", "torch", False),
    ],
)
def test_ivd550_fires_with_the_users_own_product_first(code: str, library: str, local: bool) -> None:
    """Where the innermost line is theirs, that line can be changed; a library's cannot."""
    (found,) = findings(half_on_the_cpu, a_failure("cpu-half-op-unsupported", frames=(a_frame(code=code, library=library),)))
    assert [fix.action for fix in found.fixes] == (["cast-input", "fp32", "device"] if local else ["fp32", "device", "version"])


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2.1.2+cpu", "the torch of this text is 2.1.2+cpu, older than 2.2"),
        ("2.2.0", "the torch of this text is 2.2.0"),
        ("1.13.1", "the torch of this text is 1.13.1, older than 2.2"),
    ],
)
def test_ivd550_fires_with_the_release_where_the_text_names_it(version: str, said: str) -> None:
    """Products in float16 run on the CPU since 2.2."""
    (found,) = findings(half_on_the_cpu, a_failure("cpu-half-op-unsupported", op="addmm_impl_cpu_"), a_torch(version=version))
    assert found.evidence[-1] == said
    assert found.message.startswith("`addmm_impl_cpu_` has no float16 kernel")
    (found,) = findings(half_on_the_cpu, a_failure("cpu-half-op-unsupported", op=""))
    assert found.message == "an operator has no float16 kernel on the CPU in this torch"


@pytest.mark.parametrize(
    ("message", "severity"), [("float16 is not supported on CPU, using FP32 instead", "note"), ("Half is not supported", "error")]
)
def test_ivd550_fires_with_the_gpu_first_where_a_program_refused(message: str, severity: str) -> None:
    """No operator lacked a kernel: no usable GPU was found; where float32 stepped in, nothing is wrong."""
    (found,) = findings(half_on_the_cpu, a_failure("cpu-half-op-unsupported", family="half-refused", message=message))
    assert (found.severity.value, [fix.action for fix in found.fixes]) == (severity, ["device", "fp32"])
    assert "torch.cuda.is_available()" in found.look_next[0]


def test_ivd550_silent_where_bfloat16_has_no_kernel() -> None:
    """A matter of the release, wherever it runs."""
    assert findings(half_on_the_cpu, a_failure("bf16-op-unsupported"), a_torch()) == []


@pytest.mark.parametrize(("op", "message"), [("triu", "`triu` has no bfloat16 kernel"), ("", "an operator has no bfloat16 kernel")])
def test_ivd551_fires_with_an_upgrade_first(op: str, message: str) -> None:
    """Then that one operator in float32; the GPU is not to blame."""
    (found,) = findings(no_bfloat16_kernel, a_failure("bf16-op-unsupported", family="not-implemented", op=op), a_torch(version="2.0.1"))
    assert found.message.startswith(message)
    assert [fix.action for fix in found.fixes] == ["version", "cast-input", "fp32"]
    assert found.evidence[-1].endswith("2.0.1, older than 2.1")
    assert "another GPU" in found.avoid[0]


def test_ivd551_fires_with_the_operator_in_float32() -> None:
    """By its name where it is one of upsampling; where the CPU lacks instructions, that is said."""
    (found,) = findings(no_bfloat16_kernel, a_failure("bf16-op-unsupported", family="not-implemented", op="upsample_bilinear2d_out_frame"))
    assert found.fixes[1].code.startswith("y = F.interpolate(x.float()")
    (found,) = findings(no_bfloat16_kernel, a_failure("bf16-op-unsupported", family="bf16-cpu-path", op=""))
    assert found.fixes[1].code == "y = operator(x.float()).to(x.dtype)"
    assert found.message.startswith("this CPU lacks the instructions")


def test_ivd551_silent_where_the_gpu_refused_bfloat16() -> None:
    """There the hardware is to blame."""
    assert findings(no_bfloat16_kernel, a_failure("bf16-unsupported-gpu"), a_torch()) == []


def test_ivd552_fires_with_the_transform_in_float32() -> None:
    """No other 16-bit format: bfloat16 is refused as well."""
    (found,) = findings(fft_in_half_precision, a_failure("half-op-unsupported-fft"))
    assert [fix.action for fix in found.fixes] == ["cast-input", "autocast"]
    assert found.fixes[0].code == "spectrum = torch.fft.rfft(x.float())"
    assert "enabled=False" in found.fixes[1].code
    assert "bfloat16 is refused" in found.avoid[0]


def test_ivd552_silent_on_linear_algebra() -> None:
    """Which has limits of its own."""
    assert findings(fft_in_half_precision, a_failure("op-dtype-unsupported")) == []


@pytest.mark.parametrize(
    ("op", "dtypes", "message"),
    [
        ("inv", {"input": "float16"}, "`inv` does not take torch.float16"),
        ("", {"input": "float16"}, "an operator takes wide formats only, whatever the device"),
        ("inv", {}, "an operator takes wide formats only, whatever the device"),
    ],
)
def test_ivd553_fires_with_that_operator_in_float32_and_back(op: str, dtypes: dict[str, str], message: str) -> None:
    """Neither another GPU nor another 16-bit format helps."""
    (found,) = findings(operator_takes_few_dtypes, a_failure("op-dtype-unsupported", family="few-dtypes", op=op, operands=operands(**dtypes)))
    assert found.message == message
    (fix,) = found.fixes
    assert (fix.action, "x.float()).to(x.dtype)" in fix.code) == ("cast-input", True)
    assert "another GPU" in found.avoid[0]


@pytest.mark.parametrize(
    ("family", "op", "code", "actions"),
    [
        ("few-dtypes", "svd", "y = torch.linalg.inv(", ["cast-input"]),
        ("few-dtypes", "quantile", "y = operator(", ["cast-input"]),
        ("not-implemented", "svd_cuda_gesvdj", "y = torch.linalg.inv(", ["cast-input"]),
        ("not-implemented", "my_own_cuda", "y = operator(", ["cast-input", "version"]),
    ],
)
def test_ivd553_fires_with_an_upgrade_for_a_packages_own_kernels(family: str, op: str, code: str, actions: list[str]) -> None:
    """Linear algebra is torch's, and no release has it in 16 bits."""
    (found,) = findings(operator_takes_few_dtypes, a_failure("op-dtype-unsupported", family=family, op=op, message="no", operands=()))
    assert found.fixes[0].code.startswith(code)
    assert [fix.action for fix in found.fixes] == actions


def test_ivd553_silent_on_a_fourier_transform() -> None:
    """It takes float16 on some devices."""
    assert findings(operator_takes_few_dtypes, a_failure("half-op-unsupported-fft")) == []


@pytest.mark.parametrize(
    ("needs", "message"), [("uint16", "this torch has no `torch.uint16`"), ("", "this torch does not have the dtype that is asked for")]
)
def test_ivd554_fires_with_an_upgrade(needs: str, message: str) -> None:
    """What a torch does not have cannot be cast to."""
    (found,) = findings(torch_lacks_the_dtype, a_failure("neg-missing-dtype", needs=needs), a_torch(version="2.0.1"))
    assert found.message == message
    assert [fix.action for fix in found.fixes] == ["version", "version"]
    assert found.avoid == ("a cast: the dtype itself is missing",)
    assert "older than 2.1" in found.evidence[-1]


def test_ivd554_fires_for_a_promotion_to_no_dtype() -> None:
    """torch 2.1 says `TypeMeta` where float8 meets others."""
    (found,) = findings(torch_lacks_the_dtype, a_failure("neg-missing-dtype", needs="", message="Unsupported TypeMeta in ATen: nullptr"))
    assert "no common one" in found.message


def test_ivd554_silent_where_a_function_is_missing() -> None:
    """Which is no dtype."""
    assert findings(torch_lacks_the_dtype, a_failure("neg-missing-feature"), a_torch()) == []


@pytest.mark.parametrize(
    ("family", "dtypes", "message", "actions"),
    [
        ("mps-accumulator", {}, "", ["cast-input", "fp32"]),
        ("mps-dtype", {"source": "float16", "destination": "float32"}, "", ["cast-input", "fp32"]),
        ("mps-dtype", {"input": "float8_e4m3fn"}, "", ["kernel", "load-dtype"]),
        ("mps-dtype", {"tensor": "float64"}, "", ["cast-input", "version"]),
        ("mps-dtype", {}, "Cannot convert a MPS Tensor to float64 dtype", ["cast-input", "version"]),
        ("mps-dtype", {"input": "bfloat16"}, "BFloat16 is not supported on MPS", ["fp16", "fp32", "version"]),
    ],
)
@pytest.mark.parametrize("place", [None, M1, M3], ids=lambda one: one.title if one else "none")
def test_ivd555_fires_for_float64_for_bfloat16_and_for_a_clash(
    place: Place | None, family: str, dtypes: dict[str, str], message: str, actions: list[str]
) -> None:
    """float64 is cast before the move; bfloat16 becomes float16 and is never loaded; two dtypes in a product become one."""
    failure = a_failure("mps-dtype-unsupported", family=family, operands=operands(**dtypes), message=message)
    (found,) = findings(mps_lacks_the_dtype, failure, *filter(None, [place]))
    assert [fix.action for fix in found.fixes] == actions
    assert not any("bfloat16" in fix.code for fix in found.fixes)
    if actions[0] == "fp16":
        assert bool(found.avoid) is (place is not M3)
    else:
        assert len(found.avoid) == 1


def test_ivd555_silent_where_cuda_refused_bfloat16() -> None:
    """Whose compute capability decides."""
    assert findings(mps_lacks_the_dtype, a_failure("bf16-unsupported-gpu"), T4) == []


def test_ivd556_fires_with_an_upgrade_and_questions() -> None:
    """The text names no dtype, so no cast is offered."""
    (found,) = findings(primitive_not_created, a_failure("neg-other"), a_torch(version="2.3.1"))
    assert [fix.action for fix in found.fixes] == ["version"]
    assert len(found.look_next) == 2
    assert "blind cast" in found.avoid[0]
    assert found.evidence[-1].endswith("2.3.1, older than 2.4")


def test_ivd556_silent_where_an_input_differs_from_the_weights() -> None:
    """A convolution that says why it was refused."""
    assert findings(primitive_not_created, a_failure("conv-input-param-dtype-mismatch"), a_torch()) == []
