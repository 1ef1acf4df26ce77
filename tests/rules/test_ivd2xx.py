"""IVD2xx: which number formats the hardware computes in."""

from typing import Any

import pytest

from ivdoctor.facts import HALVES, Asked, Half, Place, Precision, Torch, Version
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd2xx import (
    bf16_emulated,
    bf16_flag_misleads,
    device_not_in_tables,
    fp16_not_native,
    half_precision_slow_on_this_cpu,
    native_format_fails,
    reduced_precision_reductions,
    tf32_on,
)
from ivdoctor.tables import newest
from ivdoctor.targets import target
from ivdoctor.testing import (
    OPERATIONS,
    a_cast,
    a_cpu,
    a_mismatch,
    a_model,
    a_place,
    a_precision,
    a_torch,
    an_operation,
    findings,
    switches,
    verdict,
)

T4 = a_place("sm_75", "Tesla T4")
GTX1660 = a_place("sm_75", "NVIDIA GeForce GTX 1660")
V100 = a_place("sm_70", "Tesla V100-SXM2-32GB")
P40 = a_place("sm_61", "Tesla P40")
P100 = a_place("sm_60", "Tesla P100-PCIE-16GB")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
H100 = a_place("sm_90", "NVIDIA H100 80GB HBM3")
MI50 = a_place("gfx906", "AMD Instinct MI50")
RX6800 = a_place("gfx1030", "AMD Radeon RX 6800")
MI300X = a_place("gfx942", "AMD Instinct MI300X")
UNLISTED = a_place("gfx1300", "AMD Unknown")
ROCM = a_torch(cuda=None, hip=Version("6.2.41134"), arch_list=("gfx906", "gfx942", "gfx1030"))
EMULATED = a_precision(bf16_flag=True, bf16_flag_native=False)
NATIVE = a_precision(bf16_flag=True, bf16_flag_native=True)

RUN_FP16 = "model = model.half()\npixel_values = pixel_values.half()"
NO_KERNEL = "RuntimeError: CUDA error: no kernel image is available for execution on the device"


@pytest.mark.parametrize("place", [T4, GTX1660, V100, P100, RX6800], ids=lambda place: place.title)
def test_ivd201_fires_and_leads_with_fp16_where_that_is_native(place: Place) -> None:
    """Two bytes a weight as in bf16, on the units the device has; the range of fp16 is said in the title."""
    (found,) = findings(bf16_emulated, place, a_mismatch("cuda:0"))
    assert found.severity is Severity.WARNING
    assert found.category == "bf16-unsupported-gpu"
    assert found.message == f"{place.title} ({place.architecture}) has no bfloat16 arithmetic: bf16 is emulated"
    assert place.dtypes.source in found.evidence[0]
    assert found.fixes[0].code == RUN_FP16
    assert "65504" in found.fixes[0].title
    assert (found.fixes[0].trial.status, found.fixes[0].trial.how, found.fixes[0].trial.where) == ("passed", "miniature", "cuda:0")


@pytest.mark.parametrize("place", [T4, V100], ids=lambda place: place.title)
def test_ivd201_fires_and_leads_with_fp16_when_bf16_was_asked_for(place: Place) -> None:
    """What the user wanted was sixteen bits: fp32 doubles the memory and leaves the tensor cores idle, so it comes second."""
    (found,) = findings(bf16_emulated, place, a_mismatch("cuda:0"), Asked(dtype="bf16"))
    assert found.fixes[0].code == RUN_FP16


def test_ivd201_fires_and_leads_with_fp32_where_fp16_is_crippled() -> None:
    """A P40 runs fp16 at 1/64 of its fp32 rate."""
    (found,) = findings(bf16_emulated, P40, a_mismatch("cuda:0"))
    assert found.fixes[0].code == "model = model.to(torch.float32)"
    assert "slow" not in found.fixes[0].title


def test_ivd201_fires_without_a_reproduction_and_says_so() -> None:
    """Where nothing could run there is no trial to show, and the advice is the tables'."""
    (turing,) = findings(bf16_emulated, T4)
    assert turing.fixes[0].code == RUN_FP16
    assert "65504" in turing.fixes[0].title
    assert turing.fixes[0].trial.status == "not-tried"
    assert turing.fixes[0].trial.reason
    (pascal,) = findings(bf16_emulated, P40)
    assert pascal.fixes[0].code == "model = model.float()\npixel_values = pixel_values.float()"


@pytest.mark.parametrize(
    ("asked", "severity"),
    [
        (Asked(dtype="bf16"), Severity.ERROR),
        (Asked(dtype="fp16", input_dtype="bf16"), Severity.ERROR),
        (Asked(dtype="fp16"), Severity.WARNING),
        (Asked(), Severity.WARNING),
    ],
)
def test_ivd201_fires_as_an_error_only_where_bf16_was_named(asked: Asked, severity: Severity) -> None:
    """For the model or for its input."""
    (found,) = findings(bf16_emulated, T4, asked)
    assert found.severity is severity


def test_ivd201_fires_without_any_advice_in_bf16() -> None:
    """No fix computes in bf16, nor casts to a dtype that would be bf16."""
    for asked in (Asked(), Asked(dtype="bf16")):
        (found,) = findings(bf16_emulated, T4, a_mismatch("cuda:0"), asked)
        assert found.fixes
        assert not any("bfloat16" in fix.code or "next(" in fix.code for fix in found.fixes)


@pytest.mark.parametrize("place", [A100, H100, MI300X, a_place(), UNLISTED], ids=lambda place: place.title)
def test_ivd201_silent_where_bf16_is_native_or_not_known(place: Place) -> None:
    """Ampere and newer, MI300X; a CPU is IVD204's, and what the tables do not know is not accused."""
    assert findings(bf16_emulated, place, a_mismatch(place.name), Asked(dtype="bf16")) == []


@pytest.mark.parametrize(
    ("cast", "dtype"), [({}, "float16"), ({"overflow": ("fp16",)}, "float32"), ({"drift": {"fp16": 0.3}}, "float32"), ({"headroom": 0.8}, "float32")]
)
@pytest.mark.parametrize("asked", [Asked(), Asked(dtype="bf16")], ids=["auto", "bf16"])
def test_ivd201_and_ivd202_fire_with_what_the_users_own_model_showed(cast: dict[str, Any], dtype: str, asked: Asked) -> None:
    """The miniature runs in fp16 everywhere: a model that overflowed in it must not be sent there."""
    (emulated,) = findings(bf16_emulated, T4, a_mismatch("cuda:0"), a_cast("cuda:0", **cast), a_model(), asked)
    assert emulated.fixes[0].code == f"model = LlamaForCausalLM.from_pretrained(path, dtype=torch.{dtype})"
    assert (emulated.fixes[0].trial.status, emulated.fixes[0].trial.how) == ("passed", "real-run")
    assert {fix.code for fix in emulated.fixes if "float16)" in fix.code.replace("bfloat16", "")} == ({emulated.fixes[0].code} if not cast else set())
    (misled,) = findings(bf16_flag_misleads, a_torch(), T4, EMULATED, a_cast("cuda:0", **cast), asked)
    assert misled.fixes[0].code == f"dtype = torch.{dtype}"


def test_ivd201_fires_with_fp32_untried_where_nothing_else_is_left() -> None:
    """fp32 did not fit and fp16 overflows: the reason is said, and the miniature's fp16 is no advice."""
    (found,) = findings(bf16_emulated, T4, a_mismatch("cuda:0"), a_cast("cuda:0", baseline="bf16", overflow=("fp16",)), a_model())
    (fix,) = found.fixes
    assert "torch.float32" in fix.code
    assert (fix.trial.status, fix.trial.reason) == ("not-tried", "fp32 needs 24.0 GiB and 15.2 GiB on cuda:0 are free")


def test_ivd201_and_ivd202_fire_on_the_miniatures_cast_as_without() -> None:
    """It knows nothing of a user's model."""
    (found,) = findings(bf16_emulated, T4, a_mismatch("cuda:0"), a_cast("cuda:0", how="miniature"))
    assert found.fixes[0].code == RUN_FP16
    (found,) = findings(bf16_flag_misleads, a_torch(), T4, EMULATED, a_cast("cuda:0", how="miniature"))
    assert "is unknown: test it" in found.fixes[0].title


def test_ivd202_fires_when_torch_counts_emulation() -> None:
    """A T4 answers True since torch 2.4; both answers, and what the question means in this version, are evidence."""
    (found,) = findings(bf16_flag_misleads, a_torch(), T4, EMULATED)
    assert found.severity is Severity.NOTE
    assert found.message == "torch says bf16 is supported = True; by the tables it is emulated on Tesla T4"
    assert found.evidence[:2] == (
        "torch.cuda.is_bf16_supported() = True",
        "torch.cuda.is_bf16_supported(including_emulation=False) = False",
    )
    assert "in torch 2.6.0+cu124 the call means: can hold a bf16 tensor, emulation included" in found.evidence[2]
    assert found.fixes[0].trial.status == "not-tried"


def test_ivd202_fires_when_torch_denies_what_the_hardware_has() -> None:
    """False on an A100, whatever build says so, is as wrong as True on a T4."""
    (found,) = findings(bf16_flag_misleads, a_torch(version="2.3.1+cu121"), A100, a_precision(bf16_flag=False))
    assert "bf16 is supported = False; by the tables it is native" in found.message
    assert len(found.evidence) == 2, "no answer without emulation before torch 2.4"
    assert "has bf16 hardware" in found.evidence[1]


@pytest.mark.parametrize(
    ("torch", "place", "dtype"),
    [
        (a_torch(), T4, "float16"),
        (a_torch(), V100, "float16"),
        (a_torch(), P40, "float32"),
        (a_torch(), A100, "bfloat16"),
        (ROCM, MI50, "float16"),
        (ROCM, RX6800, "float16"),
        (ROCM, MI300X, "bfloat16"),
    ],
    ids=lambda one: one.title if isinstance(one, Place) else "",
)
def test_ivd202_fires_with_the_format_the_device_computes_in(torch: Torch, place: Place, dtype: str) -> None:
    """Also on ROCm, whose compute capability is the gfx number; the range of fp16 is said."""
    (found,) = findings(bf16_flag_misleads, torch, place, a_precision(bf16_flag=place.dtypes.bf16 != "native"))
    assert found.fixes[0].code == f"dtype = torch.{dtype}"
    assert ("65504" in found.fixes[0].title) == (dtype == "float16")


@pytest.mark.parametrize(
    ("place", "precision"),
    [(T4, a_precision(bf16_flag=False, bf16_flag_native=False)), (A100, NATIVE), (MI300X, NATIVE), (a_place(), a_precision()), (UNLISTED, NATIVE)],
    ids=["right no", "right yes", "right yes on rocm", "no such question", "unknown device"],
)
def test_ivd202_silent_where_torch_is_right_or_nothing_is_known(place: Place, precision: Precision) -> None:
    """A flag that agrees misleads nobody; without a row there is no truth to compare with."""
    assert findings(bf16_flag_misleads, a_torch(), place, precision) == []


def test_ivd203_fires_for_each_native_format_that_failed() -> None:
    """The live run is believed: an error for every such format, with what torch said or how far off the result is."""
    odd = (an_operation("bf16", "conv2d", "RuntimeError: cuDNN error"), an_operation("fp32", "matmul", status="wrong", error=0.25))
    fp32, bf16 = findings(native_format_fails, A100, a_precision(*odd), a_torch())
    assert fp32.severity is bf16.severity is Severity.ERROR
    assert fp32.message == "fp32 is native on NVIDIA A100-SXM4-80GB, but matmul failed"
    assert fp32.evidence == ("matmul: wrong result, relative L2 2.5e-01",)
    assert bf16.evidence == ("conv2d: RuntimeError: cuDNN error",)
    assert bf16.fixes[0].title == "Reinstall torch and its libraries from one source"
    assert not bf16.fixes[0].code


def test_ivd203_silent_where_all_works_or_the_format_is_not_native() -> None:
    """A T4 that refuses a bf16 convolution does not contradict the tables."""
    assert findings(native_format_fails, A100, NATIVE, a_torch()) == []
    assert findings(native_format_fails, T4, a_precision(an_operation("bf16", "conv2d", "refused")), a_torch()) == []


def test_ivd203_silent_where_the_build_has_no_code_for_the_device() -> None:
    """Nothing runs there, whatever the format, and IVD103 knows why."""
    refused = [an_operation(dtype, name, NO_KERNEL) for name in OPERATIONS for dtype in HALVES]
    assert findings(native_format_fails, a_place("sm_120", "NVIDIA GeForce RTX 5090"), a_precision(*refused), a_torch()) == []


def test_ivd203_silent_on_a_cpu_whose_torch_lacks_the_kernels() -> None:
    """Before torch 2.2 no CPU had fp16 matrix products, those with the instructions included: that is IVD501's."""
    xeon = a_place("cpu", features=("avx512_fp16", "avx512_bf16"))
    refused = an_operation("fp16", "matmul", "RuntimeError: \"addmm_impl_cpu_\" not implemented for 'Half'")
    assert findings(native_format_fails, xeon, a_precision(refused), a_torch(version="2.0.1+cpu", cuda=None)) == []


@pytest.mark.parametrize(
    ("features", "formats"),
    [
        (("avx2",), "fp16 and bf16"),
        (("avx2", "avx512_bf16"), "fp16"),
        (("avx512_fp16",), "bf16"),
        (("amx_tile",), "fp16 and bf16"),
        ((), "fp16 and bf16"),
    ],
)
def test_ivd204_fires_for_the_formats_without_an_instruction(features: tuple[str, ...], formats: str) -> None:
    """A note that leads with float32; AMX tiles alone say nothing of formats."""
    (found,) = findings(half_precision_slow_on_this_cpu, a_place("cpu", features=features))
    assert found.severity is Severity.NOTE
    assert found.message == f"this CPU has no instructions for {formats}, so that matrix products are slow"
    assert found.fixes[0].code.startswith("model = model.float()")
    assert found.fixes[0].trial.status == "not-tried"


@pytest.mark.parametrize(
    ("features", "ratios"),
    [
        (("avx2",), ["fp16 and bf16: matrix products ran 50 to 180 times slower than fp32, linear layers 4 to 14 times"]),
        (("avx2", "avx512_bf16"), ["fp16: matrix products ran 50 to 180 times slower than fp32, linear layers 4 to 14 times"]),
        (
            ("avx2", "avx512f"),
            ["fp16: matrix products ran 50 to 180 times slower", "bf16: oneDNN converts, and matrix products ran about 4.5 times slower"],
        ),
        (("avx512_fp16", "avx512f"), ["bf16: oneDNN converts, and matrix products ran about 4.5 times slower"]),
        (("asimdhp",), []),
    ],
)
def test_ivd204_fires_with_the_ratios_measured_with_its_own_instructions(features: tuple[str, ...], ratios: list[str]) -> None:
    """With AVX512 oneDNN converts bf16; with AVX2 alone everything falls to plain loops; on ARM nothing was measured."""
    (found,) = findings(half_precision_slow_on_this_cpu, a_place("cpu", features=features), a_cpu(*features))
    told = found.evidence[1:]
    assert len(told) == len(ratios)
    assert all(line.startswith(ratio) for line, ratio in zip(told, ratios, strict=True))


@pytest.mark.parametrize(("dtype", "severity"), [("fp16", Severity.WARNING), ("bf16", Severity.NOTE), ("fp32", Severity.NOTE)])
def test_ivd204_fires_as_a_warning_where_a_slow_format_was_asked_for(dtype: Half, severity: Severity) -> None:
    """This CPU has bf16 instructions and none for fp16."""
    (found,) = findings(half_precision_slow_on_this_cpu, a_place("cpu", features=("avx512_bf16",)), Asked(dtype=dtype))
    assert found.severity is severity


def test_ivd204_fires_with_how_long_a_pass_of_the_model_took() -> None:
    """Of the formats that are slow here, against what it was compared with; the fix is a line that was run."""
    (found,) = findings(half_precision_slow_on_this_cpu, a_place("cpu", features=("avx512_bf16",)), a_cast(), a_model())
    assert found.evidence[-1] == "measured: a pass of model in fp16 takes 2.6 times as long as in fp32"
    assert not any("in bf16 takes" in line for line in found.evidence)
    assert [fix.code for fix in found.fixes] == ["model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32)"]
    assert (found.fixes[0].trial.status, found.fixes[0].trial.how) == ("passed", "real-run")
    (found,) = findings(half_precision_slow_on_this_cpu, a_place(), a_cast(baseline="bf16"), a_model())
    assert found.evidence[-1] == "measured: a pass of model in fp16 takes 2.6 times as long as in bf16"
    assert found.fixes[0].trial.status == "not-tried"


def test_ivd204_fires_without_a_measurement_where_none_was_taken() -> None:
    """A miniature is not timed, and a format that raised or was skipped took no time."""
    for cast in (a_cast(how="miniature"), a_cast(skipped={"fp16": "8 minutes"}, raised={"bf16": "no"})):
        (found,) = findings(half_precision_slow_on_this_cpu, a_place(), cast)
        assert not any(line.startswith("measured") for line in found.evidence)


@pytest.mark.parametrize("place", [a_place("cpu", features=("amx_bf16", "amx_fp16")), a_place("cpu", features=("asimdhp", "bf16")), T4])
def test_ivd204_silent_with_the_instructions_and_away_from_the_cpu(place: Place) -> None:
    """Granite Rapids and Neoverse V1 have both formats; an accelerator has rules of its own."""
    assert findings(half_precision_slow_on_this_cpu, place, Asked(dtype="fp16")) == []


@pytest.mark.parametrize(
    ("asked", "severity"), [(Asked(), Severity.WARNING), (Asked(dtype="fp16"), Severity.ERROR), (Asked(dtype="bf16"), Severity.WARNING)]
)
def test_ivd205_fires_where_fp16_is_crippled(asked: Asked, severity: Severity) -> None:
    """A P40: compute in float32, keep float16 for storage; an error where fp16 was asked for."""
    (found,) = findings(fp16_not_native, P40, asked)
    assert found.severity is severity
    assert found.message == "fp16 is emulated on Tesla P40 (Pascal)"
    assert "1/64" in found.evidence[0]
    assert found.fixes[0].code.startswith("model = model.float()")


@pytest.mark.parametrize("place", [T4, GTX1660, V100, P100, H100, MI300X, a_place(), UNLISTED], ids=lambda place: place.title)
def test_ivd205_silent_where_fp16_is_native_or_not_known(place: Place) -> None:
    """A GTX 1660 has no tensor cores and fp16 vector units all the same; a P100 runs fp16 at twice the fp32 rate."""
    assert findings(fp16_not_native, place, Asked(dtype="fp16")) == []


def test_ivd206_fires_on_each_switch_that_is_on() -> None:
    """The names are those one writes to switch it off."""
    on = {"torch.backends.cuda.matmul.allow_tf32": "True", "torch.backends.cudnn.allow_tf32": "True"}
    (found,) = findings(tf32_on, a_torch(switches=switches(on)), A100)
    assert found.severity is Severity.NOTE
    assert found.message == "TF32 is on: torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32"
    assert found.fixes[0].kind == "setting"
    assert found.fixes[0].code == "torch.backends.cuda.matmul.allow_tf32 = False\ntorch.backends.cudnn.allow_tf32 = False"


def test_ivd206_fires_with_torchs_defaults_on_ampere() -> None:
    """Convolutions use TF32 unless someone switched it off; matrix products do not."""
    (found,) = findings(tf32_on, a_torch(), A100)
    assert found.message == "TF32 is on: torch.backends.cudnn.allow_tf32"


@pytest.mark.parametrize(
    ("place", "value"), [(A100, "False"), (T4, "True"), (MI300X, "True"), (a_place(), "True")], ids=["off", "no such unit", "not NVIDIA", "cpu"]
)
def test_ivd206_silent_where_it_is_off_or_the_device_has_none(place: Place, value: str) -> None:
    """The switch does nothing below compute capability 8.0."""
    torch = a_torch(switches=switches({"torch.backends.cudnn.allow_tf32": value}))
    assert findings(tf32_on, torch, place) == []


REDUCED = "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction"


@pytest.mark.parametrize("value", ["True", "(True, True)"])
def test_ivd207_fires_where_sums_may_be_kept_in_half_precision(value: str) -> None:
    """Newer torch gives a pair, whose first part is the switch."""
    (found,) = findings(reduced_precision_reductions, a_torch(switches=switches({REDUCED: value})), A100)
    assert found.severity is Severity.NOTE
    assert found.message == "reduced-precision sums are on for 1 format(s)"
    assert found.evidence == (f"{REDUCED} = True",)
    assert found.fixes[0].code == f"{REDUCED} = False"


@pytest.mark.parametrize(
    ("place", "value"),
    [(A100, "False"), (A100, "(False, True)"), (MI300X, "True"), (a_place(), "True")],
    ids=["off", "off with split-k", "not NVIDIA", "cpu"],
)
def test_ivd207_silent_where_sums_are_in_fp32(place: Place, value: str) -> None:
    """Off, or no CUDA."""
    assert findings(reduced_precision_reductions, a_torch(switches=switches({REDUCED: value})), place) == []


def test_ivd206_and_ivd207_are_silent_where_torch_cannot_put_a_tensor() -> None:
    """The switches of a build without CUDA change nothing on a device it does not reach."""
    unreached = a_place("sm_80", "NVIDIA A100-SXM4-80GB", reachable=False)
    assert findings(tf32_on, a_torch(), unreached) + findings(reduced_precision_reductions, a_torch(), unreached) == []


@pytest.mark.parametrize(("identifier", "named"), [("gfx1300", "Unheard-of (gfx1300)"), ("xpu", "Unheard-of")])
def test_ivd208_fires_on_an_accelerator_without_a_row(identifier: str, named: str) -> None:
    """Named by its architecture, or by its title alone where it has none; its formats stay unknown, and the tables' date is said."""
    place = a_place(identifier, "Unheard-of")
    (found,) = findings(device_not_in_tables, place)
    assert found.severity is Severity.NOTE
    assert found.message == f"{named} is not in the tables of {newest()}"
    assert found.evidence == ()
    assert place.dtypes.bf16 == "unknown"
    assert found.fixes[0].command == "pip install --upgrade ivdoctor"


@pytest.mark.parametrize(
    ("place", "named", "nearest"),
    [
        (a_place("sm_140", "NVIDIA Unknown"), "NVIDIA Unknown (sm_140)", "sm_121"),
        (target("sm_140"), "sm_140", "sm_121"),
        (a_place("sm_111", "NVIDIA Unknown"), "NVIDIA Unknown (sm_111)", "sm_110"),
    ],
)
def test_ivd208_fires_on_a_capability_without_a_row_and_says_whose_it_takes(place: Place, named: str, nearest: str) -> None:
    """NVIDIA's newer devices keep what older ones have; that this is a guess is said."""
    (found,) = findings(device_not_in_tables, place)
    assert found.message == f"{named} is not in the tables of {newest()}"
    assert found.evidence == (f"not in the tables: judged by its compute capability, as {nearest}",)
    assert (place.dtypes.bf16, place.dtypes.fp64) == ("native", "unknown")


@pytest.mark.parametrize(
    "place",
    [
        *(T4, MI300X, a_place("mps", "Apple M2 Max"), a_place("xpu", "Intel(R) Arc(TM) B580 Graphics"), a_place()),
        *(target("T4"), target("M2"), target("zen3"), target("sm_75")),
    ],
    ids=lambda place: place.title,
)
def test_ivd208_silent_on_listed_devices_and_on_the_cpu(place: Place) -> None:
    """A Mac is found by its processor's name, an Intel GPU by its title."""
    assert findings(device_not_in_tables, place) == []


def test_without_a_live_run_the_rule_about_it_is_skipped() -> None:
    """Never passed."""
    assert verdict(native_format_fails, a_torch(), T4).skipped == "precision: no probe gave it"
