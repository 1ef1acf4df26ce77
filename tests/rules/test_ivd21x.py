"""IVD21x: where tables and runs differ, and devices that are not alike."""

from typing import Any

import pytest

from ivdoctor.builds import build
from ivdoctor.facts import Asked, Checkpoint, Gpu, Host, Model, Place, Precision, Torch, Version
from ivdoctor.finding import Finding, Severity
from ivdoctor.rules.ivd21x import devices_of_several_generations, fp8_without_hardware, mps_lacks_a_format, run_and_tables_differ
from ivdoctor.targets import target
from ivdoctor.testing import (
    OPERATIONS,
    a_checkpoint,
    a_device,
    a_gpu,
    a_host,
    a_model,
    a_place,
    a_precision,
    a_torch,
    an_environ,
    an_operation,
    findings,
    some_packages,
    some_weights,
    verdict,
)

T4 = a_place("sm_75", "Tesla T4")
M1 = a_place("mps", "Apple M1")
XEON = a_place("cpu", features=("avx512_fp16", "avx512_bf16"))
PLAIN = a_place("cpu", features=("avx2",))


def only(dtype: Any, **changes: Any) -> Precision:
    """Every everyday operation of one format, and of no other."""
    return a_precision(operations=tuple(an_operation(dtype, name, **changes) for name in OPERATIONS))


@pytest.mark.parametrize("place", [T4, XEON, a_place("gfx942", "AMD Instinct MI300X")], ids=lambda place: place.title)
def test_ivd210_fires_where_a_native_format_works_only_in_name(place: Place) -> None:
    """Twenty times the time of fp32 is a plain loop: a warning with what ran, and how slow."""
    odd = (an_operation("fp16", "conv2d", ratio=40.5), an_operation("fp16", "linear", ratio=20.0), an_operation("fp16", "matmul", ratio=19.9))
    (found,) = findings(run_and_tables_differ, place, a_precision(*odd))
    assert found.severity is Severity.WARNING
    assert found.message == f"fp16 is native on {place.title} by the tables; here linear 20x, conv2d 40.5x the time of fp32"
    assert place.dtypes.source in found.evidence[0]
    assert found.evidence[1] == "run here: from 20 times on no conversion explains it"
    assert found.fixes[0].title == "Believe the run; unset what caps the instructions, or update torch"
    assert (found.fixes[0].code, found.fixes[0].trial.status) == ("", "not-tried")


def test_ivd210_fires_once_a_format() -> None:
    """Two formats are two findings."""
    found = findings(run_and_tables_differ, XEON, a_precision(ratios={"fp16": 60.0, "bf16": 25.0}))
    assert [one.message.partition(" ")[0] for one in found] == ["fp16", "bf16"]


def test_ivd210_fires_where_a_format_that_is_none_works() -> None:
    """The row is too strict: a note, without a word on slowness or on settings."""
    (found,) = findings(run_and_tables_differ, M1, only("fp64"))
    assert found.severity is Severity.NOTE
    assert found.message == "fp64 is none on Apple M1 by the tables; here matmul, linear, conv2d, attention, layer_norm ran and gave right results"
    assert len(found.evidence) == 1
    assert "caps" not in found.fixes[0].title


@pytest.mark.parametrize(
    ("place", "precision"),
    [
        (T4, a_precision(ratios={"fp16": 0.3, "bf16": 60.0})),
        (T4, a_precision(an_operation("fp16", "conv2d", ratio=19.9))),
        (T4, a_precision(an_operation("fp16", "conv2d", "refused"))),
        (T4, a_precision(an_operation("fp16", "fft", ratio=300.0))),
        (PLAIN, a_precision(ratios={"fp16": 60.0, "bf16": 60.0})),
        (a_place("sm_80"), only("fp64", ratio=64.0)),
        (M1, a_precision(an_operation("fp64", "matmul", "refused"), an_operation("fp64", "linear"))),
        (M1, a_precision()),
        (a_place("gfx1300", "Unheard-of"), a_precision(ratios={"fp16": 60.0})),
    ],
    ids=["emulated", "a conversion", "refused", "a rare one", "no instructions", "fp64", "none and refused in part", "none and not run", "unknown"],
)
def test_ivd210_silent_where_run_and_tables_agree(place: Place, precision: Precision) -> None:
    """What is emulated is slow; what is refused is IVD203's; a conversion costs up to ten times; fp64 has a rate of its own."""
    assert findings(run_and_tables_differ, place, precision) == []


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("T4", "fp8 weights can stay packed, and are converted before each product"),
        ("A100", "fp8 weights can stay packed, and are converted before each product"),
        ("V100", "fp8 weights are converted, or not taken"),
        ("MI250", "fp8 weights are converted, or not taken"),
        ("RX 7900 XTX", "fp8 weights are converted, or not taken"),
    ],
)
def test_ivd211_fires_where_the_accelerator_has_no_fp8(name: str, how: str) -> None:
    """A note without a model in it; the row says why."""
    place = target(name)
    (found,) = findings(fp8_without_hardware, place)
    assert found.severity is Severity.NOTE
    assert found.message == f"{place.label} has no fp8 arithmetic: {how}"
    assert found.evidence == (f"table: {place.dtypes.note}; {place.dtypes.source}",)
    assert (found.fixes[0].kind, found.fixes[0].trial.reason) == ("hardware", f"{place.title} is not here")


@pytest.mark.parametrize(
    ("model", "checkpoint"),
    [
        (a_model(quantization="fp8"), a_checkpoint()),
        (a_model(quantization="fbgemm_fp8"), a_checkpoint()),
        (a_model(quantization="compressed-tensors"), a_checkpoint(some_weights("float8_e4m3fn", width=1))),
    ],
)
@pytest.mark.parametrize("place", [target("A100"), a_place("sm_80")], ids=["target", "here"])
def test_ivd211_fires_as_a_warning_for_weights_in_fp8(place: Place, model: Model, checkpoint: Checkpoint) -> None:
    """By the method that the configuration names, or by what is stored."""
    (found,) = findings(fp8_without_hardware, place, model, checkpoint)
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("model", "checkpoint"), [(a_model(quantization="awq"), a_checkpoint(some_weights("int32", width=4))), (a_model(), a_checkpoint())]
)
def test_ivd211_silent_for_a_model_without_fp8(model: Model, checkpoint: Checkpoint) -> None:
    """It is news for whoever asks about the device alone; what an engine does with fp8 weights IVD503 says."""
    assert findings(fp8_without_hardware, target("A100"), model, checkpoint) == []
    assert findings(fp8_without_hardware, target("A100"), a_model(quantization="fp8"), Asked(engine="vllm")) == []


@pytest.mark.parametrize("name", ["L4", "H100", "B200", "RTX 5090", "MI300X", "RX 9070 XT", "zen3", "sm_140", "M2"])
def test_ivd211_silent_with_fp8_hardware_and_on_processors(name: str) -> None:
    """From 8.9 on, MI300 and RDNA4; on no processor is fp8 fast, and nobody expects it; of Apple's GPUs IVD213 tells."""
    assert findings(fp8_without_hardware, target(name), a_model(quantization="fp8")) == []


def test_ivd211_silent_where_nothing_is_known_of_the_device() -> None:
    """Unknown is not none."""
    assert findings(fp8_without_hardware, a_place("gfx1300", "Unheard-of"), a_model(quantization="fp8")) == []


def devices(*named: tuple[str, str]) -> Gpu:
    """Devices in torch's order."""
    return a_gpu(*(a_device(identifier, name, index=index) for index, (identifier, name) in enumerate(named)))


TURING, AMPERE, HOPPER = ("sm_75", "Tesla T4"), ("sm_80", "NVIDIA A100-SXM4-80GB"), ("sm_90", "NVIDIA H100 80GB HBM3")
PASCAL, ADA = ("sm_61", "Tesla P40"), ("sm_89", "NVIDIA GeForce RTX 4090")
MI300X, MI250X = ("gfx942", "AMD Instinct MI300X"), ("gfx90a", "AMD Instinct MI250X")


@pytest.mark.parametrize(
    ("gpu", "told", "command"),
    [
        (devices(TURING, AMPERE), "Tesla T4 has no native bf16", "export CUDA_VISIBLE_DEVICES=1"),
        (devices(AMPERE, TURING, AMPERE), "Tesla T4 has no native bf16", "export CUDA_VISIBLE_DEVICES=0,2"),
        (
            devices(PASCAL, HOPPER, TURING, HOPPER),
            "Tesla P40 has no native bf16, fp16, fp8_e4m3; Tesla T4 has no native bf16, fp8_e4m3",
            "export CUDA_VISIBLE_DEVICES=1,3",
        ),
        (devices(AMPERE, HOPPER), "NVIDIA A100-SXM4-80GB has no native fp8_e4m3", "export CUDA_VISIBLE_DEVICES=1"),
        (devices(PASCAL, TURING), "Tesla P40 has no native fp16", "export CUDA_VISIBLE_DEVICES=1"),
        (devices(MI300X, MI250X), "AMD Instinct MI250X has no native fp8_e4m3", "export HIP_VISIBLE_DEVICES=0"),
    ],
)
def test_ivd212_fires_on_devices_of_several_generations(gpu: Gpu, told: str, command: str) -> None:
    """What each lacks that another has, all devices by their numbers, and the variable that leaves the strong ones."""
    (found,) = findings(devices_of_several_generations, gpu)
    assert found.severity is Severity.WARNING
    assert found.message == f"the devices differ: {told}"
    assert found.evidence == tuple(f"{one.index}: {one.name}" for one in gpu.devices)
    assert [(fix.title, fix.command) for fix in found.fixes] == [("Use the devices that carry them all", command)]
    assert found.place == ""


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ({"CUDA_VISIBLE_DEVICES": "4,7"}, "export CUDA_VISIBLE_DEVICES=7"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1, GPU-2"}, "export CUDA_VISIBLE_DEVICES=GPU-2"),
        ({"HIP_VISIBLE_DEVICES": "4,7"}, "export CUDA_VISIBLE_DEVICES=1"),
        ({}, "export CUDA_VISIBLE_DEVICES=1"),
    ],
)
def test_ivd212_fires_with_the_numbers_that_the_variable_counts(variables: dict[str, str], command: str) -> None:
    """torch counts what the variable leaves; whoever writes it anew counts all."""
    (found,) = findings(devices_of_several_generations, devices(TURING, AMPERE), an_environ(variables))
    assert found.fixes[0].command == command


def test_ivd212_fires_without_leaving_a_device_of_which_nothing_is_known() -> None:
    """It is not among the weak, and nobody can say that it carries them all."""
    (found,) = findings(devices_of_several_generations, devices(MI250X, ("gfx1300", "Unheard-of"), MI300X))
    assert found.fixes[0].command == "export HIP_VISIBLE_DEVICES=2"


@pytest.mark.parametrize(
    "gpu",
    [
        devices(ADA, ADA),
        devices(TURING),
        devices(("sm_70", "Tesla V100-SXM2-32GB"), TURING),
        devices(HOPPER, ("sm_100", "NVIDIA B200")),
        devices(MI250X, ("gfx1300", "Unheard-of")),
        a_gpu(a_device("mps", "Apple M1")),
        a_gpu(),
    ],
    ids=["equal", "one", "as weak", "as strong", "unknown", "mps", "none"],
)
def test_ivd212_silent_where_all_carry_the_same(gpu: Gpu) -> None:
    """Two generations that carry the same formats are no trouble."""
    assert findings(devices_of_several_generations, gpu) == []


def a_mac(kernel: str) -> Host:
    """By Darwin's release: 22 is macOS 13, 23 is 14."""
    return a_host(system="Darwin", release=Version(kernel), machine="arm64")


def about(dtype: str, found: list[Finding]) -> Finding | None:
    """What is said of one of torch's dtypes."""
    return next((one for one in found if f" {dtype} " in one.message), None)


TOO_OLD = "MPS takes no bfloat16 here: MPS BFloat16 is only supported on MacOS 14 or newer"
NOT_KNOWN = "MPS takes bfloat16 from macOS 14 on, and the macOS is not known"
BEFORE = "MPS takes no bfloat16 here: BFloat16 is not supported on MPS"


@pytest.mark.parametrize(
    ("host", "torch", "message", "update"),
    [
        (a_mac("22.6.0"), a_torch(version="2.6.0"), TOO_OLD, "Update macOS to 14 or newer"),
        (a_mac("21.1.0"), a_torch(version="2.3.0"), TOO_OLD, "Update macOS to 14 or newer"),
        (a_mac("23.0.0"), a_torch(version="2.2.2"), BEFORE, "Update torch to 2.3 or newer"),
        (a_mac("22.6.0"), a_torch(version="2.2.2"), BEFORE, "Update torch to 2.3 or newer"),
        (None, a_torch(version="2.6.0"), NOT_KNOWN, "Update macOS to 14 or newer"),
        (a_host(), a_torch(version="2.6.0"), NOT_KNOWN, "Update macOS to 14 or newer"),
        (None, a_torch(version="2.2.2"), BEFORE, "Update torch to 2.3 or newer"),
        (a_mac("22.6.0"), None, TOO_OLD, "Update macOS to 14 or newer"),
    ],
    ids=["13", "12 and 2.3", "14 and 2.2", "13 and 2.2", "no host", "a snapshot's Linux", "no host and 2.2", "no torch"],
)
def test_ivd213_fires_on_bfloat16_by_torch_and_macos(host: Host | None, torch: Torch | None, message: str, update: str) -> None:
    """It came with torch 2.3 and macOS 14; which of them is missing is what the second fix says."""
    found = about("bfloat16", findings(mps_lacks_a_format, M1, *(one for one in (host, torch) if one)))
    assert found
    assert (found.message, found.severity, found.category) == (message, Severity.NOTE, "mps-dtype-unsupported")
    assert [fix.title for fix in found.fixes] == ["Use float32 there", update]
    assert found.fixes[0].code == "tensor = tensor.to(torch.float32).to('mps')"
    assert "pytorch#119641" in found.evidence[0]


@pytest.mark.parametrize("kernel", ["23.1.0", "24.6.0", "25.0.0", "26.0.0", "31.0.0"])
def test_ivd213_silent_about_bfloat16_from_macos_14_on(kernel: str) -> None:
    """Also where the kernel is newer than any that is known here."""
    assert about("bfloat16", findings(mps_lacks_a_format, M1, a_mac(kernel), a_torch(version="2.6.0"), Asked(dtype="bf16"))) is None


@pytest.mark.parametrize("place", [M1, target("M4")], ids=["here", "target"])
@pytest.mark.parametrize("version", ["2.2.0", "2.6.0", "2.14.0"])
def test_ivd213_fires_on_float64_whatever_the_versions(place: Place, version: str) -> None:
    """Metal has none; a note, with the cast that is left, and nothing to update."""
    found = about("float64", findings(mps_lacks_a_format, place, a_mac("25.0.0"), a_torch(version=version)))
    assert found
    assert found.severity is Severity.NOTE
    assert found.message.startswith("MPS takes no float64 here: Cannot convert a MPS Tensor to float64 dtype")
    assert [fix.title for fix in found.fixes] == ["Use float32 there"]


@pytest.mark.parametrize(("version", "said"), [("2.6.0", "Trying to convert Float8_e4m3fn"), ("2.14.0", "Undefined type Float8_e4m3fn")])
def test_ivd213_fires_on_float8_with_what_that_torch_says(version: str, said: str) -> None:
    """The message changed before the type came."""
    found = about("float8_e4m3fn", findings(mps_lacks_a_format, M1, a_torch(version=version)))
    assert found
    assert said in found.message
    assert [fix.title for fix in found.fixes] == ["Use float32 there"]


@pytest.mark.parametrize(
    ("place", "facts", "severity"),
    [
        (M1, (a_mac("22.6.0"), Asked(dtype="bf16")), Severity.ERROR),
        (M1, (a_mac("22.6.0"), Asked(dtype="fp16", input_dtype="bf16")), Severity.ERROR),
        (M1, (a_mac("22.6.0"), Asked(dtype="fp16")), Severity.NOTE),
        (M1, (Asked(dtype="bf16"),), Severity.WARNING),
        (M1, (a_mac("22.6.0"), a_model()), Severity.NOTE),
        (target("M1"), (a_model(),), Severity.WARNING),
        (target("M1"), (a_model(), build("2.2+cpu")), Severity.ERROR),
        (target("M1"), (a_model(dtype="float16"), build("2.2+cpu")), Severity.NOTE),
        (target("M1"), (a_model(), build("2.2+cpu"), some_packages({"transformers": "4.57.0"})), Severity.NOTE),
        (target("M1"), (), Severity.NOTE),
    ],
    ids=[
        "asked",
        "its input",
        "not asked",
        "macOS unknown",
        "here by itself",
        "target",
        "target 2.2",
        "target in fp16",
        "loaded in fp32",
        "no model",
    ],
)
def test_ivd213_fires_as_gravely_as_the_format_is_wanted_and_the_limit_is_certain(place: Place, facts: tuple[Any, ...], severity: Severity) -> None:
    """An error where it was asked for, or would be loaded at a target; a warning where only the macOS decides and is not known."""
    found = about("bfloat16", findings(mps_lacks_a_format, place, *facts))
    assert found
    assert found.severity is severity


@pytest.mark.parametrize("place", [T4, PLAIN, target("A100"), target("zen3"), a_place("xpu", "Intel(R) Arc(TM) B580 Graphics")])
def test_ivd213_silent_away_from_metal(place: Place) -> None:
    """Whatever was asked for."""
    assert findings(mps_lacks_a_format, place, a_mac("22.6.0"), a_torch(version="2.2.0"), Asked(dtype="bf16")) == []


def test_without_their_facts_the_rules_are_skipped() -> None:
    """A target was not run, and has no neighbours: never passed."""
    assert verdict(run_and_tables_differ, target("T4")).skipped == "precision: no probe gave it"
    assert verdict(devices_of_several_generations, an_environ()).skipped == "gpu: no probe gave it"
