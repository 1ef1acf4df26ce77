"""IVD503: what an inference engine does with a format on a place."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest

from ivdoctor.facts import Asked, Checkpoint, Model, Place, Quantisation, Stored
from ivdoctor.finding import Finding, Severity
from ivdoctor.kernels import ENGINES, PACKED, QUANTISED, family_row
from ivdoctor.rules.ivd5xx import WEIGHTS_ALONE, engine_refuses
from ivdoctor.tables import table
from ivdoctor.targets import target
from ivdoctor.testing import a_cast, a_checkpoint, a_model, a_place, findings, some_packages, some_weights

T4, V100, A100, H100 = target("T4"), target("V100"), target("A100"), target("H100")
T4_HERE = a_place("sm_75", "Tesla T4")
RANGE = "(fp16 ends at 65504, and whether this model stays below is unknown: test it)"
WIDER = "Run it in float32, or on a device with bfloat16 (fp16 ends at 65504, and models of this family are known to overflow)"

OVERFLOWS = sorted(row["model_type"] for row in table("fp16_range") if row["verdict"] == "overflows")


def told(place: Place, asked: Asked, *facts: object) -> list[Finding]:
    """What is said of the format in question, without the list of all that the engine does not take there."""
    return [one for one in findings(engine_refuses, place, asked, *facts) if " does not take " not in one.message]


def vllm(**changes: Any) -> Asked:
    """A question about vLLM."""
    return Asked(engine="vllm", **changes)


def quantised(method: str, *stored: Stored) -> tuple[Model, Checkpoint]:
    """A model whose configuration names this method."""
    return a_model(quantization=method), a_checkpoint(*stored)


def advice(found: Iterable[Finding]) -> list[str]:
    return [fix.title for one in found for fix in one.fixes]


@pytest.mark.parametrize("place", [T4, T4_HERE], ids=["target", "here"])
def test_ivd503_fires_as_an_error_where_vllm_refuses_the_format_that_was_asked_for(place: Place) -> None:
    """torch emulates bf16 on a T4, and vLLM refuses it: with its own words, and what it offers instead."""
    (found,) = told(place, vllm(dtype="bf16"), a_model(), a_checkpoint())
    assert found.severity is Severity.ERROR
    assert found.message == "vllm refuses bf16 on Tesla T4"
    assert found.evidence[0].startswith("Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has compute")
    assert "compute capability 7.5." in found.evidence[0]
    assert "vllm 0.33.0" in found.evidence[1]
    assert [(fix.title, fix.kind, fix.code) for fix in found.fixes] == [(f"Give vllm: --dtype float16 {RANGE}", "setting", "")]
    assert found.fixes[0].trial.reason == ("Tesla T4 is not here" if place.kind == "target" else "no engine was started")


def test_ivd503_fires_as_a_warning_where_vllm_casts_by_itself() -> None:
    """`--dtype auto` takes a bf16 checkpoint in fp16, and nobody who reads the verdict would know."""
    (found,) = told(T4, vllm(), a_model(), a_checkpoint())
    assert found.severity is Severity.WARNING
    assert found.message == "vllm casts bf16 to fp16 by itself on Tesla T4"
    assert advice([found]) == [f"Give vllm: --dtype float16 {RANGE}"]


@pytest.mark.parametrize("family", OVERFLOWS)
@pytest.mark.parametrize("asked", [vllm(), vllm(dtype="bf16")], ids=["auto", "bf16"])
def test_ivd503_fires_as_an_error_without_float16_for_a_family_that_overflows(family: str, asked: Asked) -> None:
    """Neither the engine's own cast nor its advice is a way out for it."""
    (found,) = told(T4, asked, a_model(model_type=family), a_checkpoint())
    wider = asked.dtype == "auto" and family_row("vllm", family, "fp16") is not None
    assert found.severity is (Severity.WARNING if wider else Severity.ERROR)
    assert ("casts bf16 to fp32 by itself" in found.message) is wider
    assert advice([found]) == [WIDER]
    assert found.fixes[0].kind == "hardware"


@pytest.mark.parametrize("place", [T4, H100], ids=["T4", "H100"])
@pytest.mark.parametrize("family", ["gemma2", "gemma3", "glm4"])
def test_ivd503_fires_where_vllm_refuses_a_family_float16_on_any_hardware(place: Place, family: str) -> None:
    """In vLLM's own words, and with what it takes instead."""
    (found,) = told(place, vllm(dtype="fp16"), a_model(model_type=family), a_checkpoint())
    assert found.severity is Severity.ERROR
    assert found.message == f"vllm refuses fp16 for models of the family {family}"
    assert found.evidence[0].startswith(f"The model type '{family}' does not support float16.")
    assert advice([found]) == ["Give vllm: --dtype float32"]


def test_ivd503_silent_on_float16_for_a_family_that_vllm_takes_in_it() -> None:
    """And for those families in another engine, or another format."""
    assert told(H100, vllm(dtype="fp16"), a_model(), a_checkpoint()) == []
    assert told(H100, vllm(dtype="bf16"), a_model(model_type="gemma3"), a_checkpoint()) == []
    assert told(H100, Asked(dtype="fp16", engine="transformers"), a_model(model_type="gemma3"), a_checkpoint()) == []


def test_ivd503_fires_as_an_error_without_float16_for_a_model_that_was_lost_in_it_here() -> None:
    """The own run is believed before what is known of a family, both ways."""
    (lost,) = told(T4_HERE, vllm(), a_model(), a_cast("cuda:0", overflow=("fp16",)))
    assert lost.severity is Severity.ERROR
    assert advice([lost]) == ["Run it in float32, or on a device with bfloat16 (fp16 ends at 65504, and this model was run in it here and fails)"]
    (fits,) = told(T4_HERE, vllm(), a_model(model_type="gemma3"), a_cast("cuda:0"))
    assert fits.severity is Severity.WARNING
    assert advice([fits])[0].startswith("Give vllm: --dtype float16 (fp16 ends at 65504")


@pytest.mark.parametrize("place", [V100, target("P40")], ids=lambda place: place.title)
@pytest.mark.parametrize("asked", [vllm(), vllm(dtype="bf16")], ids=["auto", "bf16"])
def test_ivd503_fires_as_an_error_where_the_format_it_would_cast_to_is_refused_as_well(place: Place, asked: Asked) -> None:
    """vLLM's wheel has no code below 7.5: fp16 is no way out there, and to say so would be a wrong `works`."""
    (found,) = told(place, asked, a_model(), a_checkpoint())
    assert found.severity is Severity.ERROR
    assert found.message == f"vllm refuses bf16, and fp16 too on {place.title}"
    assert any("no kernel image is available" in line for line in found.evidence)
    assert not any("--dtype float16" in title for title in advice([found]))
    assert [title.startswith("Take instead: vLLM 0.14") for title in advice([found])] == ([True] if place is V100 else [])


@pytest.mark.parametrize(
    ("engine", "place", "model", "what", "severity"),
    [
        ("vllm", A100, quantised("fp8"), "vllm runs fp8 weight-only on A100 SXM4 40GB", Severity.WARNING),
        ("vllm", A100, quantised("fbgemm_fp8"), "vllm runs fp8 weight-only on A100 SXM4 40GB", Severity.WARNING),
        ("transformers", A100, quantised("fp8"), "transformers runs fp8 dequantised on A100 SXM4 40GB", Severity.WARNING),
        ("tensorrt-llm", A100, quantised("fp8"), "tensorrt-llm refuses fp8 on A100 SXM4 40GB", Severity.ERROR),
        ("vllm", A100, quantised("awq"), "vllm runs awq weight-only on A100 SXM4 40GB", Severity.NOTE),
        ("vllm", H100, quantised("gptq"), "vllm runs gptq weight-only on H100 SXM5 80GB", Severity.NOTE),
        ("vllm", A100, quantised("mxfp4"), "vllm runs mxfp4 weight-only on A100 SXM4 40GB", Severity.WARNING),
        ("vllm", A100, quantised("modelopt_fp4"), "vllm runs nvfp4 weight-only on A100 SXM4 40GB", Severity.WARNING),
        ("transformers", H100, quantised("modelopt_fp4"), "transformers refuses nvfp4 on H100 SXM5 80GB", Severity.ERROR),
        (
            "vllm",
            A100,
            quantised("compressed-tensors", some_weights("float8_e4m3fn", width=1)),
            "vllm runs fp8 weight-only on A100 SXM4 40GB",
            Severity.WARNING,
        ),
        (
            "vllm",
            A100,
            quantised("compressed-tensors", some_weights(), some_weights("int32", width=4)),
            "vllm runs int4 weight-only on A100 SXM4 40GB",
            Severity.NOTE,
        ),
        (
            "vllm",
            target("B200"),
            quantised("compressed-tensors", some_weights("int8", width=1)),
            "vllm refuses int8 on B200",
            Severity.ERROR,
        ),
        (
            "vllm",
            A100,
            quantised("compressed-tensors", some_weights("uint8", width=1), some_weights("float8_e4m3fn", width=1)),
            "vllm runs nvfp4 weight-only on A100 SXM4 40GB",
            Severity.WARNING,
        ),
        ("vllm", A100, quantised("bitsandbytes", some_weights("uint8", width=1)), "vllm refuses bnb-4bit on A100 SXM4 40GB", Severity.ERROR),
    ],
)
def test_ivd503_fires_on_a_quantised_model_by_what_it_is_stored_in(
    engine: str, place: Place, model: tuple[Model, Checkpoint], what: str, severity: Severity
) -> None:
    """A warning where a format that some hardware computes in is only stored; where nothing else is meant by it, a note."""
    (found,) = told(place, Asked(engine=engine), *model)
    assert (found.message, found.severity) == (what, severity)
    assert found.evidence


def test_ivd503_fires_on_a_quantised_model_for_the_format_it_computes_in_as_well() -> None:
    """AWQ's weights are unpacked to something: a T4 takes no bf16 for that either."""
    found = told(T4, vllm(dtype="bf16"), *quantised("awq"))
    assert [(one.message, one.severity) for one in found] == [
        ("vllm refuses bf16 on Tesla T4", Severity.ERROR),
        ("vllm runs awq weight-only on Tesla T4", Severity.NOTE),
    ]


@pytest.mark.parametrize("place", [V100, target("P40")], ids=lambda place: place.title)
def test_ivd503_fires_as_an_error_on_awq_below_7_5(place: Place) -> None:
    """With the capability in the engine's own words."""
    found = next(one for one in told(place, vllm(dtype="fp16"), *quantised("awq")) if "awq" in one.message)
    assert (found.message, found.severity) == (f"vllm refuses awq on {place.title}", Severity.ERROR)
    assert found.evidence[0].startswith("The quantization method auto_awq is not supported for the current GPU. Minimum capability: 75. Current capa")
    assert found.evidence[0].endswith({"Tesla P40": " 61."}.get(place.title, " 70."))


def test_ivd503_fires_with_a_command_where_a_plug_in_is_what_is_missing() -> None:
    """And with words where it is neither an option nor a command."""
    (plug_in,) = told(A100, vllm(), *quantised("bitsandbytes", some_weights("uint8", width=1)))
    assert [(fix.title, fix.kind, fix.command) for fix in plug_in.fixes] == [("Install the plug-in", "command", "pip install vllm-bnb-plugin")]
    (other,) = told(T4, Asked(engine="sglang"), a_model())
    assert (other.severity, advice([other])) == (Severity.ERROR, ["Take instead: vLLM"])


def test_ivd503_fires_by_the_models_own_format_whatever_transformers_would_load_it_in() -> None:
    """transformers 4 loads in float32; vLLM goes by the configuration."""
    (found,) = told(T4_HERE, vllm(), a_model(), some_packages({"transformers": "4.57.0"}))
    assert found.message == "vllm casts bf16 to fp16 by itself on Tesla T4"
    assert told(T4_HERE, Asked(engine="transformers"), a_model(), some_packages({"transformers": "4.57.0"})) == []
    (found,) = told(T4_HERE, Asked(engine="transformers"), a_model(), some_packages({"transformers": "5.23.0"}))
    assert (found.message, found.severity) == ("transformers runs bf16 emulated on Tesla T4", Severity.WARNING)
    assert advice([found]) == [f"Give transformers: dtype=torch.float16 {RANGE}"]


def test_ivd503_fires_with_a_note_of_all_that_the_engine_does_not_take_there() -> None:
    """Without what was said already, each with its source; also where no model was named."""
    whole = findings(engine_refuses, T4, vllm())
    assert [(one.severity, one.message) for one in whole] == [(Severity.NOTE, "vllm on Tesla T4 does not take bf16, bnb-4bit, bnb-int8, gguf, mxfp4")]
    assert [line.partition(":")[0] for line in whole[0].evidence] == ["bf16", "bnb-4bit", "bnb-int8", "gguf", "mxfp4"]
    assert not whole[0].fixes
    asked = findings(engine_refuses, T4, vllm(dtype="bf16"))
    assert [one.message for one in asked] == [
        "vllm refuses bf16 on Tesla T4",
        "vllm on Tesla T4 does not take bnb-4bit, bnb-int8, gguf, mxfp4",
    ]


@pytest.mark.parametrize(("place", "engine"), [(target("M1"), "vllm"), (T4, "tensorrt-llm"), (target("zen3"), "tensorrt-llm"), (V100, "vllm")])
def test_ivd503_fires_as_an_error_where_the_engine_takes_nothing_at_all(place: Place, engine: str) -> None:
    """Also with no dtype and no model named: whatever they are, it does not run there."""
    (found,) = findings(engine_refuses, place, Asked(engine=engine))
    assert found.severity is Severity.ERROR
    assert found.message.startswith(f"{engine} on {place.title} does not take fp32, fp16, bf16")
    assert advice([found]) == ["Take another engine, or another device"]


@pytest.mark.parametrize(
    ("place", "asked", "model"),
    [
        (H100, Asked(engine="sglang"), (a_model(), a_checkpoint())),
        (A100, Asked(engine="sglang", dtype="fp16"), (a_model(), a_checkpoint())),
        (target("MI300X"), Asked(engine="sglang"), (a_model(), a_checkpoint())),
        (target("MI300X"), Asked(engine="sglang"), quantised("fp8")),
        (target("gfx906"), Asked(engine="sglang"), (a_model(), a_checkpoint())),
        (target("sm_140"), vllm(), (a_model(), a_checkpoint())),
        (a_place("gfx1300", "Unheard-of"), vllm(dtype="bf16"), (a_model(), a_checkpoint())),
    ],
    ids=["H100", "A100", "MI300X", "MI300X in fp8", "no row", "newer than the tables", "unknown"],
)
def test_ivd503_silent_where_nothing_is_refused_or_nothing_is_known(place: Place, asked: Asked, model: tuple[Model, Checkpoint]) -> None:
    """Native there, or not in the tables: an interval that is open says nothing of the next generation."""
    assert findings(engine_refuses, place, asked, *model) == []


@pytest.mark.parametrize("place", [T4, V100, A100, T4_HERE, a_place()], ids=lambda place: f"{place.title}, {place.kind}")
def test_ivd503_silent_without_an_engine(place: Place) -> None:
    """torch by itself is what the other rules are about."""
    assert findings(engine_refuses, place, Asked(dtype="bf16"), a_model(quantization="fp8"), a_checkpoint()) == []


@pytest.mark.parametrize(
    "model",
    [
        quantised("unknown"),
        quantised("bitsandbytes"),
        quantised("compressed-tensors"),
        quantised("compressed-tensors", some_weights("int16", width=2)),
    ],
    ids=lambda model: model[0].quantization,
)
def test_ivd503_silent_on_a_method_that_the_weights_do_not_tell(model: tuple[Model, Checkpoint]) -> None:
    """bitsandbytes is 4 or 8 bits, compressed-tensors anything: nobody guesses."""
    assert told(H100, vllm(), *model) == []


METHODS = ("", *QUANTISED, *PACKED)


@pytest.mark.parametrize("engine", ENGINES)
def test_no_engine_is_told_to_use_float16_without_where_it_ends(engine: str) -> None:
    """On every architecture, for every method and family; and not at all where the family is known to leave it."""
    places = [target(row["id"]) for row in table("architectures") if row["id"] and not row["match"]]
    stored = [a_checkpoint(), a_checkpoint(some_weights("uint8"), some_weights("float8_e4m3fn")), a_checkpoint(some_weights("int8"))]
    for place, method, family, checkpoint in product(places, METHODS, ("llama", "gemma3"), stored):
        for asked in (Asked(engine=engine), Asked(engine=engine, dtype="bf16")):
            for fix in (fix for one in told(place, asked, a_model(quantization=method, model_type=family), checkpoint) for fix in one.fixes):
                bare = fix.title.replace("bfloat16", "").partition("(fp16 ends")[0]
                advised = "float16" in bare or "fp16" in bare
                assert not advised or ("65504" in fix.title and family == "llama"), (place.title, fix.title)
                assert not fix.code


def test_formats_are_those_of_the_table() -> None:
    """A word that the table does not have would never be found."""
    formats = {row["format"] for row in table("engines")}
    packed = {word for method in PACKED.values() for _, word in method}
    assert {*QUANTISED.values(), *packed, *WEIGHTS_ALONE} <= formats


def test_ivd503_silent_where_the_methods_own_loader_does_something_else() -> None:
    """transformers refuses NVFP4 by that method's name, and expands what compressed-tensors packed in it: IVD311 says so."""
    model = a_model(quantization="compressed-tensors", quantised=Quantisation(method="compressed-tensors", format="nvfp4"))
    found = findings(engine_refuses, target("H100"), Asked(engine="transformers"), model)
    assert [one.message for one in found if "nvfp4" in one.message] == []
