"""IVD5xx: operators that lack a kernel for a dtype."""

import pytest

from ivdoctor.facts import HALVES, Asked, Half, Operation, Place
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd5xx import operator_refuses_dtype
from ivdoctor.testing import OPERATIONS, a_place, a_precision, a_torch, an_operation, findings

CPU = a_place("cpu", features=("avx2",))
T4 = a_place("sm_75", "Tesla T4")
P40 = a_place("sm_61", "Tesla P40")
MI50 = a_place("gfx906", "AMD Instinct MI50")
UNLISTED = a_place("sm_90", "a device", dtypes=a_place("sm_140").dtypes)
NO_HALF = an_operation("fp16", "layer_norm", "RuntimeError: \"LayerNormKernelImpl\" not implemented for 'Half'")
NO_CONV = an_operation("bf16", "conv2d", "RuntimeError: GET was unable to find an engine to execute this computation")


@pytest.mark.parametrize(
    ("place", "odd", "category"),
    [
        (CPU, NO_HALF, "cpu-half-op-unsupported"),
        (CPU, an_operation("bf16", "conv2d", "RuntimeError: refused"), "bf16-op-unsupported"),
        (T4, NO_CONV, ""),
        (MI50, NO_CONV, ""),
    ],
)
def test_ivd501_fires_on_an_operator_without_a_kernel(place: Place, odd: Operation, category: str) -> None:
    """It names the format, the place, the operator and torch's own words; the category is the CPU's only."""
    (found,) = findings(operator_refuses_dtype, place, a_precision(odd), a_torch())
    assert found.severity is Severity.WARNING
    assert found.category == category
    assert found.message == f"{odd.dtype} on {place.name}: {odd.name} cannot be used"
    assert found.evidence == (f"{odd.name}: {odd.message}",)
    assert found.fixes[0].code == "output = operator(input.float()).to(input.dtype)"
    assert "this is 2.6.0+cu124" in found.fixes[0].title
    assert found.fixes[0].trial.status == "not-tried"


def test_ivd501_fires_on_a_cpu_without_products_and_leads_with_fp32() -> None:
    """A model is matrix products: without them nothing is left to run in that format."""
    odd = (NO_HALF, an_operation("fp16", "linear", "refused"))
    (found,) = findings(operator_refuses_dtype, CPU, a_precision(*odd), a_torch())
    assert found.fixes[0].code == "model = model.float()\npixel_values = pixel_values.float()"


def test_ivd501_fires_on_a_wrong_result_with_its_distance() -> None:
    """An operator that runs and is far off cannot be used either."""
    (found,) = findings(operator_refuses_dtype, CPU, a_precision(an_operation("bf16", "matmul", status="wrong", error=0.5)), a_torch())
    assert found.evidence == ("matmul: wrong result, relative L2 5.0e-01",)


def test_ivd501_fires_once_a_format() -> None:
    """Two operators of one format are one finding; two formats are two, in the order of the 3x3."""
    odd = (NO_HALF, an_operation("fp16", "matmul", "refused"), an_operation("bf16", "conv2d", "refused"))
    fp16, bf16 = findings(operator_refuses_dtype, CPU, a_precision(*odd), a_torch())
    assert fp16.message == "fp16 on cpu: matmul, layer_norm cannot be used"
    assert bf16.message == "bf16 on cpu: conv2d cannot be used"


@pytest.mark.parametrize(
    ("asked", "severity"),
    [
        (Asked(), Severity.WARNING),
        (Asked(dtype="bf16"), Severity.WARNING),
        (Asked(dtype="fp16"), Severity.ERROR),
        (Asked(input_dtype="fp16"), Severity.ERROR),
    ],
)
def test_ivd501_fires_as_an_error_where_the_format_was_asked_for(asked: Asked, severity: Severity) -> None:
    """For the model or for its input."""
    (found,) = findings(operator_refuses_dtype, CPU, a_precision(NO_HALF), a_torch(), asked)
    assert found.severity is severity


def test_ivd501_fires_as_an_error_for_fp32_and_does_not_advise_fp32() -> None:
    """On a device the tables do not know."""
    (found,) = findings(operator_refuses_dtype, UNLISTED, a_precision(an_operation("fp32", "attention", "refused")), a_torch())
    assert found.severity is Severity.ERROR
    assert found.fixes
    assert not any("float" in fix.code for fix in found.fixes)


def test_ivd501_fires_on_a_cpu_with_the_instructions_and_an_old_torch() -> None:
    """fp16 matrix products came to the CPU with torch 2.2, whatever the CPU: update torch, or float32."""
    xeon = a_place("cpu", features=("avx512_fp16", "avx512_bf16"))
    (found,) = findings(operator_refuses_dtype, xeon, a_precision(an_operation("fp16", "matmul", "refused")), a_torch(version="2.0.1+cpu"))
    assert found.category == "cpu-half-op-unsupported"


@pytest.mark.parametrize(("place", "dtype"), [(CPU, "fp32"), (T4, "fp16"), (T4, "fp32")])
def test_ivd501_silent_on_a_format_the_tables_call_native(place: Place, dtype: Half) -> None:
    """That contradiction is IVD203's."""
    assert findings(operator_refuses_dtype, place, a_precision(an_operation(dtype, "matmul", "refused")), a_torch()) == []


def test_ivd501_silent_where_everything_runs() -> None:
    """An emulated format that works is no operator problem."""
    assert findings(operator_refuses_dtype, T4, a_precision(), a_torch(), Asked(dtype="bf16")) == []


def test_ivd501_silent_where_the_build_has_no_code_for_the_device() -> None:
    """`no kernel image` is no matter of dtype: IVD103 says which build to install."""
    message = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    refused = [an_operation(dtype, name, message) for name in OPERATIONS for dtype in HALVES]
    assert findings(operator_refuses_dtype, P40, a_precision(*refused), a_torch(arch_list=("sm_75", "sm_80"))) == []
