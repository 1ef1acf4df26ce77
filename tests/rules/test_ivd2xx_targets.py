"""IVD2xx at hardware that is not here: by the tables, and with a torch that is only supposed."""

from itertools import product

import pytest

from ivdoctor.builds import build
from ivdoctor.evidence import Range
from ivdoctor.facts import Asked, Cast, Half, Model, Place
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd2xx import (
    bf16_emulated,
    bf16_flag_would_mislead,
    fp16_not_native,
    half_precision_slow_on_this_cpu,
    reduced_precision_reductions,
    tf32_on,
)
from ivdoctor.tables import table
from ivdoctor.targets import target
from ivdoctor.testing import a_cast, a_checkpoint, a_mismatch, a_model, a_place, a_torch, findings, some_packages

T4, V100, P40, A100 = target("T4"), target("V100"), target("P40"), target("A100")
HERE = [a_place("sm_75", "Tesla T4"), a_place("sm_70", "Tesla V100-SXM2-32GB")]
RUN = """\
dtype = torch.{dtype}
model = LlamaForCausalLM.from_pretrained(path, dtype=dtype)
{inputs} = {inputs}.to(model.device, dtype)"""
RUN_FP32 = "model = model.float()\npixel_values = pixel_values.float()"
RUN_FP16 = RUN.format(dtype="float16", inputs="inputs")
UNKNOWN = "(fp16 ends at 65504, and whether this model stays below is unknown: test it)"

EVERY = [target(row["id"]) for row in table("architectures") if row["id"] and not row["match"]]
"""One device of each architecture that has an identifier."""


@pytest.mark.parametrize("place", [T4, V100, P40, target("RX 6800"), target("MI50")], ids=lambda place: place.title)
def test_ivd201_fires_as_an_error_on_a_target_for_a_model_in_bf16(place: Place) -> None:
    """Nobody can run it there to see, and a loader takes the weights' own dtype; without a model it is a warning."""
    (found,) = findings(bf16_emulated, place, a_model(), a_checkpoint())
    assert found.severity is Severity.ERROR
    assert found.message == f"{place.label} has no bfloat16 arithmetic: bf16 is emulated"
    assert {fix.trial.reason for fix in found.fixes} == {f"{place.title} is not here"}
    (machine,) = findings(bf16_emulated, place)
    assert machine.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("model", "asked", "severity"),
    [
        (a_model(), Asked(), Severity.ERROR),
        (a_model(dtype="float16"), Asked(), Severity.NOTE),
        (a_model(dtype="float16"), Asked(dtype="bf16"), Severity.ERROR),
        (a_model(), Asked(dtype="fp16"), Severity.NOTE),
        (a_model(), Asked(engine="transformers"), Severity.ERROR),
        (a_model(), Asked(engine="vllm"), Severity.WARNING),
        (a_model(), Asked(engine="vllm", dtype="bf16"), Severity.ERROR),
    ],
    ids=["its own", "another's", "asked for", "not asked for", "transformers", "vllm casts", "vllm told not to"],
)
def test_ivd201_fires_on_a_target_as_gravely_as_the_model_would_be_run(model: Model, asked: Asked, severity: Severity) -> None:
    """In bf16 or not; what vLLM does with it there is IVD503's."""
    (found,) = findings(bf16_emulated, T4, model, asked)
    assert found.severity is severity


def test_ivd201_fires_as_a_note_on_a_target_where_the_installed_transformers_loads_in_fp32() -> None:
    """Before 5.0 a model was loaded in float32 unless a dtype was named."""
    (found,) = findings(bf16_emulated, T4, a_model(), some_packages({"transformers": "4.57.0"}))
    assert found.severity is Severity.NOTE
    (found,) = findings(bf16_emulated, T4, a_model(), some_packages({"transformers": "5.23.0"}))
    assert found.severity is Severity.ERROR


@pytest.mark.parametrize("place", [target("M1"), a_place("mps", "Apple M1")], ids=["target", "here"])
@pytest.mark.parametrize("asked", [Asked(), Asked(dtype="bf16")], ids=["auto", "bf16"])
def test_ivd201_fires_on_metal_as_a_warning_whatever_was_asked_for(place: Place, asked: Asked) -> None:
    """Metal computes it in float32, half as fast and no more."""
    (found,) = findings(bf16_emulated, place, a_model(), asked)
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize("name", ["Ascend 910A", "Ascend 310P"])
def test_ivd201_fires_where_the_hardware_takes_no_bf16_at_all(name: str) -> None:
    """Not emulated, but none: silence would be a wrong `works`."""
    (found,) = findings(bf16_emulated, target(name), a_model())
    assert found.severity is Severity.ERROR
    assert found.message == f"{name} (Da Vinci) has no bfloat16 at all"
    assert found.fixes[0].code == RUN_FP16


@pytest.mark.parametrize("place", [A100, target("H100"), target("MI300X"), target("M3"), target("zen3"), target("sm_140"), target("TPU v4")])
def test_ivd201_silent_on_targets_with_bf16_and_on_processors(place: Place) -> None:
    """Native by the tables, or by the capability of a device newer than they are; a processor is IVD204's."""
    assert findings(bf16_emulated, place, a_model(), a_checkpoint(), Asked(dtype="bf16")) == []


CASTS: dict[Range, tuple[str, Cast | None]] = {
    "unknown": ("llama", None),
    "stays": ("gemma4", None),
    "overflows": ("gemma3", None),
    "fits": ("gemma3", a_cast()),
    "lost": ("llama", a_cast(overflow=("fp16",))),
}
"""A family, and a run of the model, for each thing that may be known of float16's range."""


@pytest.mark.parametrize("place", [T4, V100, *HERE], ids=lambda place: f"{place.title}, {place.kind}")
@pytest.mark.parametrize(
    ("fp16", "advice"),
    [
        ("unknown", [(f"Load the model and cast inputs with one variable, float16 {UNKNOWN}", RUN_FP16)]),
        (
            "overflows",
            [("Load the model and cast pixel_values with one variable, float32", RUN.format(dtype="float32", inputs="pixel_values"))],
        ),
        (
            "fits",
            [
                (
                    "Run the model in float16 (on these inputs its activations stay within 0.3% of float16's range, which ends at 65504)",
                    "model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float16)",
                ),
                ("Run the model in float32", "model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32)"),
            ],
        ),
        ("lost", [("Run the model in float32", "model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32)")]),
    ],
)
def test_ivd201_fires_with_float16_only_as_far_as_its_range_allows(place: Place, fp16: Range, advice: list[tuple[str, str]]) -> None:
    """A run is believed before the table of families, and either before nobody; on the hardware that is here and on the same that is not."""
    family, cast = CASTS[fp16]
    (found,) = findings(bf16_emulated, place, a_model(model_type=family), *([cast] if cast else []))
    assert [(fix.title, fix.code) for fix in found.fixes] == advice


@pytest.mark.parametrize("place", [T4, V100, *HERE], ids=lambda place: f"{place.title}, {place.kind}")
def test_ivd201_fires_with_float16_and_its_end_for_a_family_that_is_known_to_stay_below(place: Place) -> None:
    """What is known of a family is no run of the model."""
    (found,) = findings(bf16_emulated, place, a_model(model_type="gemma4"))
    assert [fix.code for fix in found.fixes] == [RUN_FP16]
    assert found.fixes[0].title.startswith("Load the model and cast inputs with one variable, float16 (fp16 ends at 65504")


def test_ivd201_advises_no_float32_that_does_not_fit() -> None:
    """Eight billion weights are 30 GiB in it, and a T4 has 16."""
    (found,) = findings(bf16_emulated, T4, a_model(model_type="gemma3"), a_checkpoint())
    assert [(fix.kind, fix.code) for fix in found.fixes] == [("hardware", "")]
    assert "29.9 GiB" in found.fixes[0].title


@pytest.mark.parametrize("place", [T4, target("Ascend 910A")], ids=lambda place: place.title)
def test_ivd201_casts_no_quantised_weights(place: Place) -> None:
    """Neither to float16 nor to float32: no line of code at all."""
    (found,) = findings(bf16_emulated, place, a_model(quantization="compressed-tensors"))
    assert [(fix.kind, fix.code) for fix in found.fixes] == [("hardware", "")]


def halves(text: str) -> bool:
    """Whether somebody who does as this says has float16."""
    bare = text.replace("bfloat16", "")
    return ".half()" in bare or "torch.float16" in bare or bare.startswith("Use float16")


@pytest.mark.parametrize("fp16", CASTS)
def test_nobody_is_told_to_use_float16_without_where_it_ends(fp16: Range) -> None:
    """By IVD201, IVD209 and IVD205, on every architecture; and not at all where the model is known to leave it."""
    family, cast = CASTS[fp16]
    for place, dtype in product(EVERY, ("auto", "bf16", "fp16")):
        asked, run = Asked(dtype=dtype), [cast] if cast else []  # type: ignore[arg-type]  # the words it takes
        for torch, rule in product((build("2.6+cu124"), build("2.6+rocm6.2.4")), (bf16_emulated, bf16_flag_would_mislead, fp16_not_native)):
            for fix in (fix for one in findings(rule, place, torch, a_model(model_type=family), asked, *run) for fix in one.fixes):
                advised = halves(fix.code) or halves(fix.title)
                assert not advised or "65504" in fix.title, (place.title, fix)
                assert not advised or fp16 not in {"overflows", "lost"}, (place.title, fix)


@pytest.mark.parametrize(
    ("name", "version", "dtype"), [("T4", "2.6+cu124", "float16"), ("V100", "2.13+cu126", "float16"), ("P40", "2.6+cu124", "float32")]
)
def test_ivd209_fires_on_a_target_with_what_the_flag_would_say(name: str, version: str, dtype: str) -> None:
    """Since torch 2.4 `is_bf16_supported()` counts emulation: foretold by the table, and said to be."""
    (found,) = findings(bf16_flag_would_mislead, build(version), target(name))
    assert found.severity is Severity.NOTE
    assert found.message == f"torch would say bf16 is supported = True; by the tables it is emulated on {target(name).title}"
    assert found.evidence[0] == "torch.cuda.is_bf16_supported() would be True, by the tables"
    assert f"in torch {build(version).version} the call means: can hold a bf16 tensor, emulation included" in found.evidence[1]
    assert found.fixes[0].code == f"dtype = torch.{dtype}"
    assert ("65504" in found.fixes[0].title) == (dtype == "float16")


@pytest.mark.parametrize("name", ["gfx1030", "RX 6800", "MI50"])
def test_ivd209_fires_on_a_target_of_amds_because_the_flag_only_asks_for_rocm(name: str) -> None:
    """It says True for every card since 1.13."""
    (found,) = findings(bf16_flag_would_mislead, build("2.6+rocm6.2.4"), target(name))
    assert "the call means: is a ROCm build" in found.evidence[1]
    assert found.fixes[0].code == "dtype = torch.float16"


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("T4", "2.2"),
        ("T4", "1.12"),
        ("A100", "2.2"),
        ("A100", "2.6+cu124"),
        ("MI300X", "2.6+rocm6.2.4"),
        ("T4", "2.6+cpu"),
        ("T4", "2.6+rocm6.2.4"),
        ("RX 6800", "2.6+cu124"),
        ("M2", "2.6+cu124"),
        ("M2", "2.6+rocm6.2.4"),
        ("zen3", "2.6+rocm6.2.4"),
        ("Ascend 910A", "2.6+cpu"),
    ],
)
def test_ivd209_silent_on_a_target_where_the_flag_is_right_or_nobody_asks_it(name: str, version: str) -> None:
    """Before 2.4 it told the hardware; on bf16 hardware True is right; and a build that does not drive the device says nothing of it."""
    assert findings(bf16_flag_would_mislead, build(version), target(name)) == []


def test_ivd209_silent_on_a_device_that_is_here_and_was_not_asked() -> None:
    """What torch says is asked of torch where that can be done, never foretold."""
    assert findings(bf16_flag_would_mislead, a_torch(), HERE[0]) == []


@pytest.mark.parametrize(
    ("name", "formats", "asked", "severity"),
    [
        ("zen3", "fp16 and bf16", Asked(), Severity.NOTE),
        ("zen3", "fp16 and bf16", Asked(dtype="bf16"), Severity.WARNING),
        ("genoa", "fp16", Asked(dtype="fp16"), Severity.WARNING),
        ("genoa", "fp16", Asked(dtype="bf16"), Severity.NOTE),
    ],
)
def test_ivd204_fires_on_a_processor_that_is_not_here(name: str, formats: str, asked: Asked, severity: Severity) -> None:
    """By the instructions that are listed for it; its speed was not measured, because it is not here."""
    place = target(name)
    (found,) = findings(half_precision_slow_on_this_cpu, place, asked)
    assert found.severity is severity
    assert found.message == f"{place.title} has no instructions for {formats}, so that matrix products are slow"
    assert found.fixes[0].code == RUN_FP32
    assert found.fixes[0].trial.reason == f"{place.title} is not here"


def test_ivd204_silent_on_a_processor_with_the_instructions_that_is_not_here() -> None:
    """Sapphire Rapids has both formats, and an accelerator is no processor."""
    assert findings(half_precision_slow_on_this_cpu, target("sapphirerapids"), Asked(dtype="fp16")) == []
    assert findings(half_precision_slow_on_this_cpu, T4, Asked(dtype="fp16")) == []


@pytest.mark.parametrize(
    ("model", "asked", "severity"),
    [
        (a_model(dtype="float16"), Asked(), Severity.ERROR),
        (a_model(), Asked(), Severity.WARNING),
        (a_model(), Asked(dtype="fp16"), Severity.ERROR),
        (a_model(dtype="float16"), Asked(dtype="fp32"), Severity.WARNING),
    ],
)
def test_ivd205_fires_on_a_target_as_gravely_as_the_model_would_be_run(model: Model, asked: Asked, severity: Severity) -> None:
    """A P40 runs fp16 at 1/64 of its fp32 rate: an error for a model that would be loaded in it."""
    (found,) = findings(fp16_not_native, P40, model, asked)
    assert found.severity is severity
    assert (found.fixes[0].title, found.fixes[0].code) == ("Compute in float32", RUN_FP32)
    assert found.fixes[0].trial.reason == "Tesla P40 is not here"


@pytest.mark.parametrize("name", ["Gaudi", "TPU v4"])
def test_ivd205_fires_with_bfloat16_where_that_is_what_the_hardware_has(name: str) -> None:
    """float32 would be the slowest of all."""
    (found,) = findings(fp16_not_native, target(name))
    assert (found.fixes[0].title, "torch.bfloat16" in found.fixes[0].code) == ("Compute in bfloat16", True)


@pytest.mark.parametrize("place", [T4, A100, target("MI300X"), target("M1"), target("zen3")], ids=lambda place: place.title)
def test_ivd205_silent_on_targets_with_fp16_and_on_processors(place: Place) -> None:
    """Native, or IVD204's."""
    assert findings(fp16_not_native, place, a_model(dtype="float16"), Asked(dtype="fp16")) == []


def test_ivd206_and_ivd207_fire_on_a_target_with_the_defaults_of_the_torch_that_is_supposed() -> None:
    """Convolutions in TF32 on an A100; reduced-precision sums on every NVIDIA device."""
    (tf32,) = findings(tf32_on, build("2.6+cu124"), A100)
    assert tf32.message == "TF32 is on: torch.backends.cudnn.allow_tf32"
    for place in (A100, T4):
        (sums,) = findings(reduced_precision_reductions, build("2.6+cu124"), place)
        assert sums.message == "reduced-precision sums are on for 2 format(s)"


@pytest.mark.parametrize(
    ("name", "version"), [("A100", "2.6+cpu"), ("A100", "2.6+rocm6.2.4"), ("MI300X", "2.6+cu124"), ("MI300X", "2.6+rocm6.2.4"), ("zen3", "2.6+cpu")]
)
def test_ivd206_and_ivd207_are_silent_on_a_target_that_the_build_does_not_drive(name: str, version: str) -> None:
    """The switches of another vendor's build, or of one for the CPU, change nothing there."""
    assert findings(tf32_on, build(version), target(name)) + findings(reduced_precision_reductions, build(version), target(name)) == []


def test_ivd206_silent_on_a_target_without_tf32() -> None:
    """Turing has none, whatever the switch."""
    assert findings(tf32_on, build("2.6+cu124"), T4) == []


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_a_miniature_that_ran_elsewhere_changes_nothing_of_a_targets_advice(dtype: Half) -> None:
    """A trial on this machine's CPU would not be one there; the pipeline gives a target none, and a rule says so where there is none."""
    asked = Asked(dtype=dtype)
    (without,) = findings(bf16_emulated, T4, asked)
    assert without.fixes[0].trial.status == "not-tried"
    (ran,) = findings(bf16_emulated, HERE[0], a_mismatch("cuda:0"), asked)
    assert ran.fixes[0].trial.status == "passed"


def test_ivd205_fires_without_a_cast_for_quantised_weights() -> None:
    """Nor does IVD204 cast them on a processor."""
    (found,) = findings(fp16_not_native, P40, a_model(quantization="awq"))
    assert [(fix.kind, fix.code) for fix in found.fixes] == [("hardware", "")]
