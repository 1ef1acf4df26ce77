"""IVD5xx: operators that lack a kernel for a dtype."""

import pytest

from ivdoctor.builds import build
from ivdoctor.facts import HALVES, Asked, Half, Model, Operation, Place
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd5xx import (
    ESSENTIAL,
    no_flash_attention,
    operator_refuses_dtype,
    rarer_operators_lack_a_kernel,
    torch_lacks_cpu_kernels,
)
from ivdoctor.targets import target
from ivdoctor.testing import (
    OPERATIONS,
    a_model,
    a_place,
    a_precision,
    a_torch,
    an_operation,
    findings,
    some_packages,
    verdict,
)

CPU = a_place("cpu", features=("avx2",))
T4 = a_place("sm_75", "Tesla T4")
P40 = a_place("sm_61", "Tesla P40")
MI50 = a_place("gfx906", "AMD Instinct MI50")
UNLISTED = a_place("sm_90", "a device", dtypes=a_place("gfx1300").dtypes)
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


def test_ivd501_fires_on_an_equal_of_the_device_by_its_operator() -> None:
    """`matmul on cuda:1` is a matrix product: without it nothing is left to run in that format."""
    (found,) = findings(operator_refuses_dtype, T4, a_precision(an_operation("bf16", "matmul on cuda:1", "refused")), a_torch())
    assert found.message == "bf16 on cuda:0: matmul on cuda:1 cannot be used"
    assert found.fixes[0].code == "model = model.float()\npixel_values = pixel_values.float()"


@pytest.mark.parametrize("name", ["fft", "quantile", "group_norm", "attention_flash", "fft on cuda:1"])
def test_ivd501_silent_on_operators_that_a_model_can_do_without(name: str) -> None:
    """They are IVD504's, which is a note; and of SDPA's backends torch takes another by itself."""
    assert findings(operator_refuses_dtype, CPU, a_precision(an_operation("fp16", name, "refused")), a_torch(), Asked(dtype="fp16")) == []


SDPA = 'model = AutoModel.from_pretrained(path, attn_implementation="sdpa")'


@pytest.mark.parametrize("name", ["T4", "V100", "P40", "K80", "RTX 2080 Ti"])
def test_ivd502_fires_below_compute_capability_8(name: str) -> None:
    """A note: a model that does not ask for it does not miss it. The fix is SDPA, and no format."""
    place = target(name)
    (found,) = findings(no_flash_attention, place)
    assert found.severity is Severity.NOTE
    assert found.message == f"FlashAttention 2 does not run on {place.title}"
    assert found.evidence[0].startswith("FlashAttention only supports Ampere GPUs or newer: flash-attn 2, ")
    assert [(fix.title, fix.code) for fix in found.fixes] == [("Use SDPA", SDPA)]
    assert found.fixes[0].trial.reason == f"{place.title} is not here"


@pytest.mark.parametrize(
    ("installed", "severity"), [({"flash-attn": "2.7.4"}, Severity.WARNING), ({"flash-attn-3": "1"}, Severity.NOTE), ({}, Severity.NOTE)]
)
def test_ivd502_fires_as_a_warning_where_the_package_is_installed(installed: dict[str, str], severity: Severity) -> None:
    """transformers then takes the request for it, and the first forward pass raises."""
    (found,) = findings(no_flash_attention, T4, some_packages(installed), a_torch())
    assert found.severity is severity
    assert found.fixes[0].trial.reason == "it is a line of the caller's code"


def test_ivd502_fires_as_a_note_on_a_target_whatever_is_installed_here() -> None:
    """What this machine has says nothing of another."""
    (found,) = findings(no_flash_attention, target("T4"), some_packages({"flash-attn": "2.7.4"}))
    assert found.severity is Severity.NOTE


@pytest.mark.parametrize(
    "place",
    [
        *(target(name) for name in ("A100", "RTX 3060 12GB", "L4", "H100", "RTX 5090", "MI300X", "RX 6800", "M1", "zen3", "sm_140")),
        *(CPU, a_place("gfx1300", "Unheard-of"), a_place("sm_80")),
    ],
    ids=lambda place: place.title,
)
def test_ivd502_silent_where_it_runs_and_where_nothing_is_known(place: Place) -> None:
    """From 8.0 on; AMD's own FlashAttention is another, and a processor has none to miss."""
    assert findings(no_flash_attention, place, some_packages({"flash-attn": "2.7.4"}), a_torch()) == []


FFT = an_operation("fp16", "fft", "RuntimeError: Unsupported dtype Half")


def test_ivd504_fires_on_rarer_operators_with_what_each_said() -> None:
    """Once a format, in the order of the 3x3; a wrong result is no usable kernel either. The cast is around that operator alone."""
    odd = (FFT, an_operation("fp16", "quantile", status="wrong", error=0.5), an_operation("bf16", "fft", "Unsupported dtype BFloat16"))
    fp16, bf16 = findings(rarer_operators_lack_a_kernel, CPU, a_precision(*odd))
    assert (fp16.severity, bf16.severity) == (Severity.NOTE, Severity.NOTE)
    assert (fp16.message, bf16.message) == ("fp16 on cpu: no usable kernel for fft, quantile", "bf16 on cpu: no usable kernel for fft")
    assert fp16.evidence == ("fft: RuntimeError: Unsupported dtype Half", "quantile: wrong result")
    assert [(fix.title, fix.code) for fix in fp16.fixes] == [("Compute it in float32", "output = operator(input.float()).to(input.dtype)")]


@pytest.mark.parametrize(
    ("asked", "severity"),
    [
        (Asked(thorough=True), Severity.NOTE),
        (Asked(dtype="bf16"), Severity.NOTE),
        (Asked(dtype="fp16"), Severity.WARNING),
        (Asked(dtype="bf16", input_dtype="fp16"), Severity.WARNING),
    ],
)
def test_ivd504_fires_as_a_warning_where_the_format_was_asked_for(asked: Asked, severity: Severity) -> None:
    """Never as an error: most models have no such operator."""
    norm = an_operation("fp16", "group_norm", "\"GroupNormKernelImpl\" not implemented for 'Half'")
    (found,) = findings(rarer_operators_lack_a_kernel, CPU, a_precision(norm), asked)
    assert found.severity is severity
    (nowhere,) = findings(rarer_operators_lack_a_kernel, CPU, a_precision(FFT), asked)
    assert nowhere.severity is Severity.NOTE, "no half-precision FFT is no fault of this device"


def test_ivd504_fires_on_fp32_without_advising_fp32() -> None:
    """There is no wider format to compute it in."""
    (found,) = findings(rarer_operators_lack_a_kernel, T4, a_precision(an_operation("fp32", "fft", "cuFFT error")))
    assert found.message == "fp32 on cuda:0: no usable kernel for fft"
    assert [(fix.title, fix.code) for fix in found.fixes] == [("Update torch, or compute it on another device", "")]


@pytest.mark.parametrize("odd", [(), (NO_HALF, NO_CONV), (an_operation("bf16", "attention_flash", "refused"),), (an_operation("fp16", "fft"),)])
def test_ivd504_silent_on_everyday_operators_on_sdpas_backends_and_on_what_works(odd: tuple[Operation, ...]) -> None:
    """IVD501's, torch's own choice, and no trouble."""
    assert findings(rarer_operators_lack_a_kernel, CPU, a_precision(*odd), Asked(dtype="fp16")) == []


ZEN3 = target("zen3")


@pytest.mark.parametrize(
    ("version", "classes"),
    [
        ("1.13+cpu", "matmul, linear, conv, norm, softmax"),
        ("2.0+cpu", "matmul, linear, conv, attention, norm, softmax"),
        ("2.1+cpu", "matmul, linear, conv, attention, norm, softmax"),
        ("2.2+cpu", "norm"),
    ],
)
def test_ivd505_fires_on_a_processor_with_a_torch_that_lacks_float16(version: str, classes: str) -> None:
    """An error where it was asked for; one operator of each class with what torch says, and the release that has them all."""
    (found,) = findings(torch_lacks_cpu_kernels, ZEN3, build(version), Asked(dtype="fp16"))
    assert found.severity is Severity.ERROR
    assert found.message == f"torch {build(version).version} has no float16 on a CPU for {classes}"
    assert len(found.evidence) == len(classes.split(", "))
    assert "'Half'" in found.evidence[0]
    assert [(fix.title, fix.code, fix.command) for fix in found.fixes] == [("Take torch 2.3 or newer, or float32", "", "")]
    assert found.fixes[0].trial.reason == "zen3 is not here"


@pytest.mark.parametrize(
    ("model", "asked", "severity"),
    [
        (None, Asked(), Severity.NOTE),
        (None, Asked(dtype="bf16"), Severity.NOTE),
        (None, Asked(input_dtype="fp16"), Severity.ERROR),
        (a_model(), Asked(), Severity.NOTE),
        (a_model(dtype="float16"), Asked(), Severity.ERROR),
        (a_model(dtype="float16"), Asked(dtype="fp32"), Severity.NOTE),
    ],
)
def test_ivd505_fires_as_an_error_where_the_format_would_be_run(model: Model | None, asked: Asked, severity: Severity) -> None:
    """Asked for by name, or a model's own."""
    (found,) = findings(torch_lacks_cpu_kernels, ZEN3, build("2.1+cpu"), asked, *([model] if model else []))
    assert found.severity is severity


def test_ivd505_fires_for_bfloat16_too_where_that_torch_lacks_it() -> None:
    """Before 1.12 two norms had none."""
    fp16, bf16 = findings(torch_lacks_cpu_kernels, ZEN3, build("1.11+cpu"), Asked(dtype="bf16"))
    assert (fp16.severity, bf16.severity) == (Severity.NOTE, Severity.ERROR)
    assert bf16.message == "torch 1.11.0+cpu has no bfloat16 on a CPU for norm"
    assert bf16.fixes[0].title == "Take torch 1.12 or newer, or float32"


@pytest.mark.parametrize("version", ["2.3+cpu", "2.6+cu124", "2.13+cpu"])
def test_ivd505_silent_from_2_3_on(version: str) -> None:
    """What is still missing there, no model needs: FFT, quantiles, inverses."""
    assert findings(torch_lacks_cpu_kernels, ZEN3, build(version), Asked(dtype="fp16")) == []
    assert not {"fft", "reduction", "linalg"} & set(ESSENTIAL)


@pytest.mark.parametrize("place", [CPU, T4, target("T4"), target("M1"), target("MI300X")], ids=lambda place: f"{place.title}, {place.kind}")
def test_ivd505_silent_on_a_processor_that_is_here_and_on_accelerators(place: Place) -> None:
    """Here the operators are run instead, which is IVD501's; and the table is about processors alone."""
    assert findings(torch_lacks_cpu_kernels, place, build("2.1"), Asked(dtype="fp16")) == []


def test_without_a_run_or_a_torch_the_rules_are_skipped() -> None:
    """Never passed; FlashAttention needs neither."""
    for rule in (operator_refuses_dtype, rarer_operators_lack_a_kernel):
        assert verdict(rule, ZEN3, build("2.1+cpu")).skipped == "precision: no probe gave it"
    assert verdict(torch_lacks_cpu_kernels, ZEN3).skipped == "torch: no probe gave it"
