"""IVD32x: families, publishers' code, and what the installed transformers makes of a model."""

from dataclasses import replace
from typing import Any

import pytest

from ivdoctor.facts import Asked, Native, Packages, Quantisation, Version
from ivdoctor.finding import Severity
from ivdoctor.rules._family import wanted_here
from ivdoctor.rules.ivd32x import (
    architecture_unknown,
    documented_hardware,
    inputs_are_not_cast,
    its_own_code_names_a_device,
    loaded_wider_than_stored,
    published_code_fixes_a_dtype,
    repository_pins_other_versions,
    transformers_does_not_run_its_code,
    weights_of_several_dtypes,
)
from ivdoctor.targets import target
from ivdoctor.testing import a_cast, a_checkpoint, a_flow, a_model, a_place, a_torch, findings, some_packages, some_weights

INTERNVIDEO = a_model(
    name="InternVideo2_5_Chat_8B",
    model_type="internvl_chat",
    architectures=("InternVLChatModel",),
    remote_code=True,
    code=("configuration_internvl_chat", "modeling_internvl_chat_hico2"),
)
GLMASR = a_model(name="GLM-ASR-Nano-2512", model_type="glmasr", architectures=("GlmAsrForConditionalGeneration",))
GLMTTS = a_model(name="GLM-TTS", model_type="", architectures=())
SPARK = a_model(name="Spark-Formalizer-X1-7B", model_type="spark", architectures=())
T4, H100, CPU = target("T4"), target("H100"), a_place("cpu", features=("avx2",))


def native(model_type: str, *, known: bool = False, nearest: tuple[str, ...] = ()) -> Native:
    return Native(version=Version("5.23.0"), model_type=model_type, known=known, nearest=nearest)


def installed(version: str) -> Packages:
    return some_packages({"transformers": version})


# --- IVD320


@pytest.mark.parametrize("version", ["5.23.0", "5.0.0", "4.57.3"])
def test_ivd320_fires_on_a_transformers_that_does_not_run_the_code(version: str) -> None:
    """An error that names both releases, what the user would see, and the release to install."""
    (found,) = findings(transformers_does_not_run_its_code, INTERNVIDEO, installed(version))
    assert found.severity is Severity.ERROR
    assert f"transformers {version} does not run the code of InternVideo2_5_Chat_8B" in found.message
    assert any("all_tied_weights_keys" in line for line in found.evidence)
    assert (found.fixes[0].command, found.fixes[0].trial.status) == ('pip install "transformers==4.40.1"', "not-tried")


@pytest.mark.parametrize(
    ("model", "packages", "asked"),
    [
        (INTERNVIDEO, installed("4.40.1"), Asked()),
        (INTERNVIDEO, some_packages(), Asked()),
        (INTERNVIDEO, installed("5.23.0"), Asked(engine="vllm")),
        (a_model(), installed("5.23.0"), Asked()),
    ],
)
def test_ivd320_is_silent(model: Any, packages: Any, asked: Any) -> None:
    """Where the release fits, none is installed, another engine loads it, or the family has no such limit."""
    assert findings(transformers_does_not_run_its_code, model, packages, asked) == []


# --- IVD321


def test_ivd321_fires_on_a_type_that_the_installed_release_is_too_old_for() -> None:
    """The release that first knows it is named."""
    (found,) = findings(architecture_unknown, GLMASR, replace(native("glmasr"), version=Version("4.40.1")))
    assert found.severity is Severity.ERROR
    assert found.message == "transformers 4.40.1 does not know the model type glmasr"
    assert found.fixes[0].command.startswith('pip install "transformers>=5')


def test_ivd321_fires_on_a_type_that_nobody_knows() -> None:
    """With the names that are most alike."""
    (found,) = findings(architecture_unknown, a_model(model_type="lama"), native("lama", nearest=("llama", "llava")))
    assert found.severity is Severity.ERROR
    assert "the nearest that it knows: llama, llava" in found.evidence


def test_ivd321_is_a_warning_where_the_family_is_known_to_bring_code() -> None:
    """Its code is missing here, and an upgrade would not help."""
    (found,) = findings(architecture_unknown, SPARK, native("spark"))
    assert found.severity is Severity.WARNING
    assert found.fixes[0].command == ""
    assert "code" in found.fixes[0].title


@pytest.mark.parametrize(("model", "known", "asked"), [(GLMASR, True, Asked()), (INTERNVIDEO, False, Asked()), (SPARK, False, Asked(engine="vllm"))])
def test_ivd321_is_silent(model: Any, known: bool, asked: Any) -> None:
    """On a known type, on a model with code of its own, and where another engine loads it."""
    assert findings(architecture_unknown, model, native(model.model_type, known=known), asked) == []


# --- IVD322


def test_ivd322_fires_for_internvideo_on_a_t4_and_names_float16_for_both() -> None:
    """One variable for the model and its pixels, the range to be tested, and no bfloat16."""
    (found,) = findings(inputs_are_not_cast, INTERNVIDEO, T4, installed("5.23.0"))
    assert found.severity is Severity.WARNING
    assert "does not cast pixel_values" in found.message
    fix = found.fixes[0]
    assert fix.code == (
        "dtype = torch.float16\n"
        "model = AutoModel.from_pretrained(path, torch_dtype=dtype, trust_remote_code=True)\n"
        "pixel_values = pixel_values.to(model.device, dtype)"
    )
    assert "test it" in fix.title
    assert found.avoid == ("model.to(torch.bfloat16): Tesla T4 has no bfloat16 arithmetic",)


def test_ivd322_keeps_bfloat16_where_it_is_native() -> None:
    """Nothing to avoid there."""
    (found,) = findings(inputs_are_not_cast, GLMASR, H100, installed("5.23.0"))
    assert found.fixes[0].code.startswith("dtype = torch.bfloat16\n")
    assert "input_features" in found.fixes[0].code
    assert found.avoid == ()


def test_ivd322_is_an_error_where_the_input_dtype_was_named() -> None:
    """The cell that is judged is one that fails: the bug itself."""
    (found,) = findings(inputs_are_not_cast, INTERNVIDEO, H100, Asked(dtype="fp16", input_dtype="bf16"))
    assert found.severity is Severity.ERROR
    assert "in float16 fails on bfloat16" in found.message


@pytest.mark.parametrize(
    "facts",
    [
        (INTERNVIDEO, H100, Asked(dtype="bf16", input_dtype="bf16")),
        (INTERNVIDEO, H100, Asked(dtype="fp32")),
        (INTERNVIDEO, H100, Asked(engine="vllm")),
        (a_model(model_type="glm4v"), H100),
        (a_model(), H100),
        (GLMASR, CPU, a_cast()),
        (GLMASR, H100, Asked(dtype="bf16"), a_flow()),
        (GLMASR, H100, Asked(dtype="bf16"), a_flow({"bf16/fp32": "RuntimeError: it differs"})),
    ],
    ids=[
        "named alike",
        "fp32 as processors give it",
        "another engine",
        "casts by itself",
        "no family",
        "really run",
        "its flow runs",
        "its flow raises",
    ],
)
def test_ivd322_is_silent(facts: tuple[Any, ...]) -> None:
    """Where nothing can clash, nothing is known, or the model itself was run."""
    assert findings(inputs_are_not_cast, *(replace(one, how="real-run") if one == a_cast() else one for one in facts)) == []


def test_ivd322_fires_where_the_flow_does_not_know() -> None:
    """Then the table is the best there is."""
    assert findings(inputs_are_not_cast, GLMASR, H100, Asked(dtype="bf16"), a_flow(unknown={"bf16/fp32": "a loop"}))


# --- IVD323


def test_ivd323_fires_with_what_the_published_demo_does() -> None:
    """And what to write in its place."""
    (found,) = findings(published_code_fixes_a_dtype, INTERNVIDEO)
    assert ".half()" in found.message
    assert found.fixes[0].code == "pixel_values = pixel_values.to(model.device, model.dtype)"


@pytest.mark.parametrize(("model", "asked"), [(a_model(), Asked()), (INTERNVIDEO, Asked(engine="vllm"))])
def test_ivd323_is_silent(model: Any, asked: Any) -> None:
    """For a family without such a trap, and where a server makes the inputs."""
    assert findings(published_code_fixes_a_dtype, model, asked) == []


# --- IVD324, IVD325


def test_ivd324_fires_on_other_releases_than_the_pinned() -> None:
    """Each with both numbers; what is not installed is no difference."""
    (found,) = findings(repository_pins_other_versions, GLMTTS, installed("5.23.0"), a_torch())
    assert "transformers 5.23.0, 4.57.3" in found.message
    assert "torch 2.6.0, 2.3.1" in found.message
    assert "numpy" not in found.message
    assert found.fixes[0].command == 'pip install "torch==2.3.1" "transformers==4.57.3" "numpy==1.26.4"'


@pytest.mark.parametrize("model", [GLMTTS, INTERNVIDEO, a_model()], ids=lambda model: model.name)
def test_ivd324_is_silent(model: Any) -> None:
    """On the pinned releases, on a model that pins none, and where the release does not run its code at all, which IVD320 says."""
    packages = some_packages({"transformers": "4.57.3", "numpy": "1.26.4"})
    assert findings(repository_pins_other_versions, model, packages, a_torch(version=Version("2.3.1+cu121"))) == []


@pytest.mark.parametrize("name", ["RTX 5090", "B200"])
def test_ivd324_fires_without_a_torch_that_has_no_code_for_the_device(name: str) -> None:
    """GLM-TTS pins torch 2.3.1, which is older than Blackwell."""
    (one,) = findings(repository_pins_other_versions, GLMTTS, some_packages({"transformers": "5.23.0", "torch": "2.13.0"}), target(name))
    assert one.fixes[0].command == 'pip install "transformers==4.57.3" "numpy==1.26.4"'
    assert "torch==2.3.1 has no code for" in one.fixes[0].title
    (one,) = findings(repository_pins_other_versions, GLMTTS, some_packages({"transformers": "5.23.0", "torch": "2.13.0"}), T4)
    assert '"torch==2.3.1"' in one.fixes[0].command


def test_ivd324_and_ivd325_silent_where_an_engine_has_code_of_its_own() -> None:
    """What the repository's code asks for is nothing to vLLM."""
    packages = some_packages({"transformers": "5.23.0", "torch": "2.13.0"})
    assert findings(repository_pins_other_versions, GLMTTS, packages, T4, Asked(engine="vllm")) == []
    assert findings(its_own_code_names_a_device, GLMTTS, CPU, Asked(engine="vllm")) == []


def test_ivd322_fires_without_leading_a_family_to_the_float16_that_it_leaves() -> None:
    """Asked for by name, and native: the line takes what the family survives."""
    model = a_model(name="some", model_type="table-transformer", dtype="float32")
    (one,) = findings(inputs_are_not_cast, model, target("A100-80"), Asked(dtype="fp16"))
    assert one.fixes[0].code.startswith("dtype = torch.float16")
    assert wanted_here("fp16", target("A100-80"), Asked(dtype="fp16"), "overflows") == "bf16"
    assert wanted_here("fp16", T4, Asked(dtype="fp16"), "overflows") == "fp32"


@pytest.mark.parametrize("place", [CPU, target("M2"), target("zen3")], ids=lambda place: place.title)
def test_ivd325_fires_where_there_is_no_cuda(place: Any) -> None:
    """An error, and no line of Python cures it."""
    (found,) = findings(its_own_code_names_a_device, GLMTTS, place)
    assert found.severity is Severity.ERROR
    assert found.fixes[0].kind == "hardware"


@pytest.mark.parametrize(("model", "place"), [(GLMTTS, T4), (GLMTTS, target("MI300X")), (a_model(), CPU)])
def test_ivd325_is_silent(model: Any, place: Any) -> None:
    """On CUDA, on ROCm that answers to its name, and for a model without such code."""
    assert findings(its_own_code_names_a_device, model, place) == []


# --- IVD326


@pytest.mark.parametrize(("place", "dtype"), [(H100, "bfloat16"), (T4, "float16")], ids=["H100", "T4"])
def test_ivd326_fires_where_transformers_4_loads_float32(place: Any, dtype: str) -> None:
    """The dtype to name is one that the place computes in."""
    (found,) = findings(loaded_wider_than_stored, a_model(), a_checkpoint(), installed("4.40.1"), place)
    assert found.message == "transformers 4.40.1 loads the bfloat16 weights in float32 where no dtype is named"
    assert found.fixes[0].code == f"model = LlamaForCausalLM.from_pretrained(path, torch_dtype=torch.{dtype})"


@pytest.mark.parametrize(
    "facts",
    [
        (a_model(), a_checkpoint(), installed("5.23.0")),
        (a_model(), a_checkpoint(), installed("4.40.1"), Asked(dtype="bf16")),
        (a_model(), a_checkpoint(some_weights("float32", width=4)), installed("4.40.1")),
        (a_model(quantization="awq"), a_checkpoint(), installed("4.40.1")),
        (a_model(), a_checkpoint(), installed("4.40.1"), Asked(engine="vllm")),
    ],
    ids=["5.x", "named", "stored in fp32", "quantised", "another engine"],
)
def test_ivd326_is_silent(facts: tuple[Any, ...]) -> None:
    """Where the load follows the weights."""
    assert findings(loaded_wider_than_stored, *facts, H100) == []


# --- IVD327


def test_ivd327_fires_on_mixed_weights() -> None:
    """With the share of each."""
    (found,) = findings(weights_of_several_dtypes, a_checkpoint(some_weights(parameters=990), some_weights("float32", parameters=10, width=4)))
    assert found.severity is Severity.NOTE
    assert "bfloat16 99.0%, float32 1.0%" in found.message


@pytest.mark.parametrize(
    "checkpoint",
    [
        a_checkpoint(),
        a_checkpoint(some_weights("int32", role="packed"), some_weights(role="scales")),
        a_checkpoint(some_weights(), some_weights("float32", role="scales")),
        a_checkpoint(some_weights(), some_weights("int64", width=8)),
    ],
    ids=["one", "packed and scales", "float32 scales", "indices"],
)
def test_ivd327_is_silent(checkpoint: Any) -> None:
    """Scales, packed words and integers are no second dtype of weights."""
    assert findings(weights_of_several_dtypes, checkpoint) == []


# --- IVD328


KIMI = a_model(
    name="Kimi-K2-Thinking",
    model_type="kimi_k2",
    quantization="compressed-tensors",
    quantised=Quantisation(method="compressed-tensors", format="int4"),
)


@pytest.mark.parametrize(
    ("name", "said", "command"),
    [
        ("8xH200", "is documented to serve Kimi-K2-Thinking on H200 SXM 141GB", "vllm serve PATH -tp 8 --trust-remote-code"),
        ("A100-80", "is documented to serve Kimi-K2-Thinking on other hardware than A100 SXM4 80GB", ""),
    ],
)
def test_ivd328_fires_with_the_recipe(name: str, said: str, command: str) -> None:
    """Its arguments where it takes in the hardware; elsewhere what it is about."""
    (found,) = findings(documented_hardware, KIMI, Asked(engine="vllm"), target(name))
    assert said in found.message
    assert any("8x H200" in line for line in found.evidence)
    assert [fix.command for fix in found.fixes] == ([command] if command else [])


@pytest.mark.parametrize(("model", "asked"), [(KIMI, Asked()), (KIMI, Asked(engine="sglang")), (a_model(), Asked(engine="vllm"))])
def test_ivd328_is_silent(model: Any, asked: Any) -> None:
    """Where no engine is named, or no recipe is about it."""
    assert findings(documented_hardware, model, asked, target("8xH200")) == []
