"""IVD31x: quantised weights, judged before they are loaded."""

import re
import shlex
from itertools import product
from typing import Any

import pytest

from ivdoctor.checkup import judged
from ivdoctor.facts import Anatomy, Asked, Checkpoint, Model, Place, Quantisation
from ivdoctor.finding import Finding, Severity
from ivdoctor.outcome import Outcome
from ivdoctor.plugins import plugins
from ivdoctor.rules.ivd31x import (
    fp8_cache_without_fp8,
    quantisation_is_not_given_again,
    quantisation_package_missing,
    quantised_model_computes_in_another_dtype,
    quantised_weights_are_expanded,
    quantised_weights_refused,
    quantised_weights_save_no_time,
)
from ivdoctor.tables import table
from ivdoctor.targets import target
from ivdoctor.testing import a_checkpoint, a_model, a_place, findings, some_packages, some_weights, verdict

T4, V100, A100, H100, L4, B200, MI300X = map(target, ("T4", "V100", "A100", "H100", "L4", "B200", "MI300X"))
H200X8 = target("8xH200")
CPU = a_place("cpu", memory_mib=65536, features=("avx2",))
HERE = a_place("sm_80", "NVIDIA A100-SXM4-80GB", memory_mib=81920)

ROWS = {row["method"]: row for row in table("quantisations")}

FORMATS = {"fp8": "fp8", "awq": "awq", "gptq": "gptq", "mxfp4": "mxfp4", "nvfp4": "nvfp4", "modelopt": "nvfp4", "fbgemm_fp8": "fp8"}
STORED = {
    "fp8": ("float8_e4m3fn", 1.0),
    "fbgemm_fp8": ("float8_e4m3fn", 1.0),
    "awq": ("int32", 0.5),
    "gptq": ("int32", 0.5),
    "bitsandbytes": ("uint8", 0.5),
    "mxfp4": ("uint8", 0.5),
    "compressed-tensors": ("int32", 0.5),
}
BILLION = 10**9


def quantised(method: str, format: str = "", *, model_type: str = "llama", dtype: str = "bfloat16", **changes: Any) -> Model:
    """A model of this method, in the engines' word that goes with it unless another is given."""
    said = Quantisation(method=method, format=format or FORMATS.get(method, ""), **changes)
    return a_model(quantization=method, quantised=said, model_type=model_type, dtype=dtype)


def packed(method: str, parameters: int = 8 * BILLION) -> Checkpoint:
    """Its weights, scales beside them, and a twentieth that is left in bfloat16."""
    dtype, width = STORED.get(method, ("uint8", 0.5))
    return a_checkpoint(
        some_weights(dtype, parameters, width, role="weights" if width == 1.0 else "packed"),
        some_weights("bfloat16", parameters // 20),
        some_weights("float32", parameters // 64, 4, role="scales"),
    )


def advice(found: list[Finding]) -> list[str]:
    return [fix.title for one in found for fix in one.fixes]


def commands(found: list[Finding]) -> list[str]:
    return [fix.command for one in found for fix in one.fixes if fix.command]


# IVD310


def test_ivd310_fires_with_what_transformers_says_and_the_command() -> None:
    """The text that the user would see, and one word for the shell each."""
    (found,) = findings(quantisation_package_missing, quantised("compressed-tensors", "int4"), some_packages({"transformers": "5.23.0"}))
    assert found.severity is Severity.ERROR
    assert found.message == "compressed-tensors weights need compressed-tensors>=0.15.0, not installed here"
    assert found.evidence[0].startswith("ImportError: compressed-tensors>=0.15.0 is required for compressed-tensors quantization.")
    assert shlex.split(found.fixes[0].command) == ["pip", "install", "compressed-tensors>=0.15.0"]


def test_ivd310_fires_on_a_version_that_is_too_old_and_says_which() -> None:
    """Installed, and refused all the same; the message is that of the package that lacks."""
    packages = some_packages({"transformers": "5.23.0", "optimum": "1.27.0", "gptqmodel": "1.4.2"})
    (found,) = findings(quantisation_package_missing, quantised("gptq"), packages)
    assert "gptqmodel>=1.4.3" in found.message
    assert "optimum" not in found.message
    assert found.evidence[:2] == (
        "ImportError: Loading a GPTQ quantized model requires gptqmodel (`pip install gptqmodel`) library.",
        "installed: gptqmodel 1.4.2",
    )


def test_ivd310_fires_on_a_version_that_is_too_new() -> None:
    """Transformers takes the kernels package below 0.19 alone."""
    packages = some_packages({"kernels": "0.19.0", "accelerate": "1.15.0"})
    (found,) = findings(quantisation_package_missing, quantised("eetq"), packages)
    assert shlex.split(found.fixes[0].command)[2:] == ["kernels>=0.18.2,<0.19.0"]


def test_ivd310_fires_as_a_warning_for_a_target() -> None:
    """What is installed there nobody has looked at."""
    (found,) = findings(quantisation_package_missing, quantised("awq"), some_packages({}), Asked(targets=("T4",)))
    assert found.severity is Severity.WARNING
    assert found.message.endswith("what is installed on T4 is not known")


def test_ivd310_silent_where_all_is_there_or_the_engine_brings_it() -> None:
    """And with transformers 4, which read AWQ by AutoAWQ."""
    model = quantised("awq")
    assert findings(quantisation_package_missing, model, some_packages({"gptqmodel": "7.7.0", "accelerate": "1.15.0"})) == []
    assert findings(quantisation_package_missing, model, some_packages({}), Asked(engine="vllm")) == []
    assert findings(quantisation_package_missing, model, some_packages({"transformers": "4.51.0", "autoawq": "0.2.9"})) == []
    assert findings(quantisation_package_missing, a_model(), some_packages({})) == []
    assert findings(quantisation_package_missing, quantised("of-tomorrow"), some_packages({})) == []


# IVD311


def test_ivd311_fires_where_fp8_is_expanded_with_the_bytes_before_and_after() -> None:
    """Every weight takes two bytes, and the scales are gone."""
    (found,) = findings(quantised_weights_are_expanded, quantised("fp8"), A100, packed("fp8"))
    assert found.severity is Severity.WARNING
    assert found.message == f"transformers expands fp8 weights to 16 bits on {A100.title}: 8.7 GiB become 15.6 GiB"
    assert any("actual = `8.0`" in line for line in found.evidence)
    assert commands([found]) == ["vllm serve PATH --dtype bfloat16"]


def test_ivd311_fires_as_an_error_where_the_expanded_weights_do_not_fit() -> None:
    """A hundred billion weights in fp8 fit two cards of 80 GB, and expanded they do not."""
    (found,) = findings(quantised_weights_are_expanded, quantised("fp8"), target("2xA100"), packed("fp8", 100 * BILLION))
    assert found.severity is Severity.ERROR
    assert found.category == "neg-oom"


def test_ivd311_fires_without_an_engine_where_the_packed_weights_do_not_fit_either() -> None:
    """An engine that keeps them packed would be of no use: IVD303 says what is."""
    (found,) = findings(quantised_weights_are_expanded, quantised("fp8"), A100, packed("fp8", 100 * BILLION))
    assert commands([found]) == []


def test_ivd311_fires_on_kimi_where_eight_h200_would_hold_it_packed() -> None:
    """594 GB become two thousand with transformers; vLLM keeps them packed, and the arithmetic is done without any file."""
    stored = (
        some_weights("int32", 1014 * BILLION, 0.5, role="packed"),
        some_weights("bfloat16", 12 * BILLION),
        some_weights("bfloat16", 32 * BILLION, role="scales"),
    )
    anatomy = Anatomy(how="arithmetic", stored=stored)
    (found,) = findings(quantised_weights_are_expanded, quantised("compressed-tensors", "int4"), H200X8, anatomy)
    assert found.severity is Severity.ERROR
    assert found.message.endswith("554.1 GiB become 1911.1 GiB")
    assert advice([found])[0].startswith("Serve it with vLLM, which keeps the weights packed there (weight-only)")


def test_ivd311_fires_on_fp8_of_compressed_tensors_even_where_fp8_is_native() -> None:
    """It is decompressed on the first forward pass, unless its kernels are asked for."""
    (found,) = findings(quantised_weights_are_expanded, quantised("compressed-tensors", "fp8"), H100)
    assert "use_optimized_inference=True" in found.fixes[0].code
    (older,) = findings(quantised_weights_are_expanded, quantised("compressed-tensors", "fp8"), A100)
    assert not any("use_optimized_inference" in fix.code for fix in older.fixes)


def test_ivd311_fires_in_four_bytes_where_fp32_is_asked_for() -> None:
    """Measured: the expanded weights take the dtype that is named."""
    (found,) = findings(quantised_weights_are_expanded, quantised("mxfp4"), V100, packed("mxfp4"), Asked(dtype="fp32"))
    assert "to 32 bits" in found.message
    assert found.message.endswith("4.9 GiB become 31.3 GiB")


def test_ivd311_fires_on_mxfp4_whose_kernels_are_not_installed() -> None:
    """Here it is known; of a target it is not."""
    bare = some_packages({"triton": "3.4.0"})
    (found,) = findings(quantised_weights_are_expanded, quantised("mxfp4"), HERE, bare)
    assert shlex.split(found.fixes[0].command) == ["pip", "install", "kernels>=0.18.2,<0.19.0"]
    assert findings(quantised_weights_are_expanded, quantised("mxfp4"), HERE, some_packages({"triton": "3.4.0", "kernels": "0.18.3"})) == []
    assert findings(quantised_weights_are_expanded, quantised("mxfp4"), A100, bare) == []


def test_ivd311_fires_as_a_note_where_the_engines_table_says_it_too() -> None:
    """IVD503 speaks of the engine that was named; the bytes are new."""
    (found,) = findings(quantised_weights_are_expanded, quantised("fp8"), A100, packed("fp8"), Asked(engine="transformers"))
    assert found.severity is Severity.NOTE


@pytest.mark.parametrize(
    ("model", "place", "asked"),
    [
        (quantised("fp8"), H100, Asked()),
        (quantised("fp8"), A100, Asked(engine="vllm")),
        (quantised("awq"), T4, Asked()),
        (a_model(), A100, Asked()),
        (quantised("hqq"), A100, Asked()),
    ],
    ids=["native", "vllm keeps it", "awq stays packed", "not quantised", "unknown"],
)
def test_ivd311_silent_where_the_weights_stay_packed_or_nobody_knows(model: Model, place: Place, asked: Asked) -> None:
    """Of what no table says nothing is claimed."""
    assert findings(quantised_weights_are_expanded, model, place, asked, packed(model.quantization)) == []


# IVD312


def test_ivd312_fires_on_modelopt_which_transformers_reads_as_if_it_were_not_quantised() -> None:
    """A warning in the log, and an output of noise: the worst kind of ready."""
    (found,) = findings(quantised_weights_refused, quantised("modelopt", "fp8"), H100)
    assert (found.severity, found.category) == (Severity.ERROR, "silent-wrong-dtype")
    assert "without their scales" in found.message
    assert commands([found]) == ["vllm serve PATH --dtype bfloat16"]


def test_ivd312_fires_on_a_method_that_no_table_knows() -> None:
    """Tomorrow's transformers may know it; this one skips what it does not know."""
    (found,) = findings(quantised_weights_refused, quantised("of-tomorrow"), A100)
    assert found.evidence[0] == "Unknown quantization type, got of-tomorrow"


def test_ivd312_fires_on_a_configuration_without_a_method() -> None:
    """Transformers raises a ValueError."""
    (found,) = findings(quantised_weights_refused, quantised("unknown"), A100)
    assert "names no method" in found.message


@pytest.mark.parametrize(
    ("method", "place", "words"),
    [
        ("fbgemm_fp8", A100, "compute capability >= 9.0"),
        ("fbgemm_fp8", CPU, "without a GPU"),
        ("eetq", CPU, "No GPU found"),
        ("spqr", CPU, "GPU is required"),
        ("nvfp4", B200, "not supported yet"),
        ("awq", target("K80"), "gptqmodel wants a device of 6.0"),
    ],
)
def test_ivd312_fires_where_transformers_refuses_the_method_there(method: str, place: Place, words: str) -> None:
    """No engine was named: it is transformers that is asked about."""
    (found,) = findings(quantised_weights_refused, quantised(method), place)
    assert found.severity is Severity.ERROR
    assert any(words in line for line in found.evidence), found.evidence


@pytest.mark.parametrize(("method", "words"), [("hqq", "Unknown quantization method: hqq."), ("fbgemm_fp8", "--allow-deprecated-quantization")])
def test_ivd312_fires_where_vllm_does_not_take_the_method(method: str, words: str) -> None:
    """Its list is shorter than that of transformers."""
    (found,) = findings(quantised_weights_refused, quantised(method), H100, Asked(engine="vllm"))
    assert found.severity is Severity.ERROR
    assert words in found.evidence[0]


@pytest.mark.parametrize(
    ("model", "place", "asked"),
    [
        (quantised("fbgemm_fp8"), H100, Asked()),
        (quantised("awq"), T4, Asked()),
        (quantised("awq"), target("K80"), Asked(engine="transformers")),
        (quantised("bitsandbytes", "bnb-4bit"), A100, Asked(engine="vllm")),
        (quantised("modelopt", "fp8"), H100, Asked(engine="vllm")),
        (quantised("hqq"), H100, Asked(engine="sglang")),
        (a_model(), T4, Asked()),
    ],
    ids=["native", "weights alone", "IVD503 says it", "IVD503 says it of vLLM", "vLLM reads it", "nobody knows", "not quantised"],
)
def test_ivd312_silent_where_it_runs_or_another_rule_says_it(model: Model, place: Place, asked: Asked) -> None:
    """The same thing is said once."""
    assert findings(quantised_weights_refused, model, place, asked) == []


# IVD313


def test_ivd313_fires_where_a_format_that_promises_speed_is_only_unpacked() -> None:
    """MXFP4 on an A100: the weights are small, the arithmetic is bfloat16's."""
    (found,) = findings(quantised_weights_save_no_time, quantised("mxfp4"), A100)
    assert (found.severity, found.fixes) == (Severity.NOTE, ())
    assert found.message == f"mxfp4 on {A100.title} saves memory and no time: weight-only"


@pytest.mark.parametrize(("model", "asked"), [(quantised("awq"), Asked()), (quantised("mxfp4"), Asked(engine="vllm")), (a_model(), Asked())])
def test_ivd313_silent_where_that_is_what_the_format_is(model: Model, asked: Asked) -> None:
    """AWQ never promised it, and of a named engine IVD503 says it."""
    assert findings(quantised_weights_save_no_time, model, A100, asked) == []


# IVD314


def clash(model: Model, place: Place, asked: Asked | None = None, *facts: object) -> list[Finding]:
    return findings(quantised_model_computes_in_another_dtype, model, place, asked or Asked(), *facts)


def test_ivd314_fires_where_awq_becomes_fp16_whatever_is_asked() -> None:
    """A warning where bfloat16 was asked for by name, a note where it is the model's own."""
    (named,) = findings(quantised_model_computes_in_another_dtype, quantised("awq"), A100, Asked(dtype="bf16"))
    assert named.severity is Severity.WARNING
    assert "dtype=torch.float16" in named.fixes[0].code
    (own,) = clash(quantised("awq"), A100)
    assert own.severity is Severity.NOTE


def test_ivd314_fires_as_an_error_where_the_family_leaves_the_range_of_fp16() -> None:
    """AWQ with transformers has no other format; vLLM's kernels take bfloat16 where the device has it."""
    family = next(row["model_type"] for row in table("fp16_range") if row["verdict"] == "overflows")
    (found,) = clash(quantised("awq", model_type=family), A100)
    assert (found.severity, found.category) == (Severity.ERROR, "fp16-overflow")
    assert commands([found]) == ["vllm serve PATH --dtype bfloat16"]
    (turing,) = clash(quantised("awq", model_type=family), T4)
    assert not [line for line in (*advice([turing]), *commands([turing])) if "float16" in line]


def test_ivd314_fires_where_spqr_refuses_bfloat16() -> None:
    """A ValueError at load; it takes float16 alone."""
    (found,) = clash(quantised("spqr"), a_place("sm_80", "A100"))
    assert found.severity is Severity.ERROR


def test_ivd314_silent_on_spqr_whose_place_nobody_knows() -> None:
    """The rule has nothing to say of a CPU, where the method is refused."""
    assert clash(quantised("spqr"), CPU) == []


def test_ivd314_fires_where_an_expanded_fp8_checkpoint_would_be_of_two_dtypes() -> None:
    """Measured: the layers that were fp8 take the dtype that is asked for, the others keep bfloat16, and the first product raises."""
    (found,) = clash(quantised("fp8"), A100, Asked(dtype="fp16"), packed("fp8"))
    assert (found.severity, found.category) == (Severity.ERROR, "matmul-dtype-mismatch")
    assert 'dtype="auto"' in found.fixes[0].code
    (turing,) = clash(quantised("fp8"), T4, Asked(dtype="fp16"), packed("fp8"))
    assert not any("auto" in fix.code for fix in turing.fixes)
    assert commands([turing]) == ["vllm serve PATH --dtype float16"]


@pytest.mark.parametrize(
    ("place", "compute", "dtype"),
    [(T4, "bfloat16", "float16"), (A100, "", "bfloat16"), (T4, "float32", "float16")],
    ids=["bf16 on a T4", "not set on an A100", "float32 on a T4"],
)
def test_ivd314_fires_where_bitsandbytes_computes_in_what_the_device_lacks(place: Place, compute: str, dtype: str) -> None:
    """Its own configuration has to be changed before loading: one that is passed is not used."""
    (found,) = clash(quantised("bitsandbytes", "bnb-4bit", compute=compute), place)
    assert f'config.quantization_config["bnb_4bit_compute_dtype"] = "{dtype}"' in found.fixes[0].code
    assert found.severity is (Severity.WARNING if compute == "bfloat16" else Severity.NOTE)


def test_ivd314_fires_where_bitsandbytes_computes_in_fp16_and_the_family_overflows() -> None:
    """bfloat16 where the device has it, else float32."""
    family = next(row["model_type"] for row in table("fp16_range") if row["verdict"] == "overflows")
    model = quantised("bitsandbytes", "bnb-4bit", compute="float16", model_type=family)
    assert '"bfloat16"' in clash(model, A100)[0].fixes[0].code
    assert '"float32"' in clash(model, T4)[0].fixes[0].code


def test_ivd314_fires_where_the_dtype_does_not_reach_a_bitsandbytes_checkpoint() -> None:
    """Measured: `dtype=torch.float16` leaves every weight and the arithmetic as they were saved."""
    (found,) = clash(quantised("bitsandbytes", "bnb-4bit", compute="bfloat16"), A100, Asked(dtype="fp16"))
    assert found.message == "dtype=torch.float16 does not reach a bitsandbytes checkpoint: it stays bfloat16"


@pytest.mark.parametrize(
    ("model", "asked", "words"),
    [
        (quantised("awq"), Asked(engine="vllm", dtype="fp32"), "torch.float32 is not supported for quantization method awq"),
        (quantised("mxfp4", dtype="float16"), Asked(engine="vllm"), "torch.float16 is not supported for quantization method gpt_oss_mxfp4"),
    ],
)
def test_ivd314_fires_where_vllm_refuses_the_dtype(model: Model, asked: Asked, words: str) -> None:
    """With its own words, and the dtype that it takes there."""
    (found,) = clash(model, A100, asked)
    assert found.severity is Severity.ERROR
    assert found.evidence[0].startswith(words)
    assert commands([found]) == ["vllm serve PATH --dtype bfloat16"]


@pytest.mark.parametrize(
    ("model", "place", "asked"),
    [
        (quantised("awq"), A100, Asked(dtype="fp16")),
        (quantised("awq"), CPU, Asked(dtype="bf16")),
        (quantised("awq"), A100, Asked(engine="vllm", dtype="bf16")),
        (quantised("awq", dtype="float32"), A100, Asked(engine="vllm")),
        (quantised("fp8"), H100, Asked(dtype="fp16")),
        (quantised("fp8"), A100, Asked(dtype="bf16")),
        (quantised("compressed-tensors", "int4"), A100, Asked(dtype="fp16")),
        (quantised("bitsandbytes", "bnb-4bit", compute="bfloat16"), A100, Asked()),
        (quantised("gptq"), A100, Asked(engine="sglang", dtype="fp32")),
        (a_model(), T4, Asked(dtype="bf16")),
    ],
)
def test_ivd314_silent_where_what_is_asked_is_what_is_computed(model: Model, place: Place, asked: Asked) -> None:
    """And where nobody knows."""
    assert findings(quantised_model_computes_in_another_dtype, model, place, asked) == []


# IVD315


def test_ivd315_fires_with_what_vllm_says_to_another_method() -> None:
    """The public start script that adds `--quantization fp8` to a compressed-tensors checkpoint."""
    (found,) = findings(quantisation_is_not_given_again, quantised("compressed-tensors", "fp8"), Asked(engine="vllm"))
    assert found.severity is Severity.NOTE
    assert "(compressed-tensors) does not match the quantization method specified in the `quantization` argument (fp8)." in found.avoid[0]
    (fp8,) = findings(quantisation_is_not_given_again, quantised("fp8"), Asked(engine="vllm"))
    assert fp8.avoid[0].startswith("--quantization awq")


@pytest.mark.parametrize(
    ("model", "engine"),
    [(quantised("fp8"), ""), (quantised("fp8"), "sglang"), (a_model(), "vllm"), (quantised("auto-round"), "vllm"), (quantised("hqq"), "vllm")],
)
def test_ivd315_silent_where_another_loader_is_asked_about(model: Model, engine: str) -> None:
    """Or where vLLM takes any name, or none."""
    assert findings(quantisation_is_not_given_again, model, Asked(engine=engine)) == []


# IVD316


@pytest.mark.parametrize(("place", "dtype"), [(T4, "float16"), (A100, "bfloat16")])
def test_ivd316_fires_where_the_checkpoint_wants_an_fp8_cache_and_the_device_has_no_fp8(place: Place, dtype: str) -> None:
    """The cache in the format that the model computes in there; never bfloat16 on a T4."""
    (found,) = findings(fp8_cache_without_fp8, quantised("modelopt", "fp8", kv_cache="fp8"), place, Asked(engine="vllm"))
    assert found.severity is Severity.WARNING
    assert commands([found]) == [f"vllm serve PATH --kv-cache-dtype {dtype}"]


@pytest.mark.parametrize(
    ("model", "place", "engine"),
    [
        (quantised("modelopt", "fp8", kv_cache="fp8"), L4, "vllm"),
        (quantised("modelopt", "fp8"), T4, "vllm"),
        (quantised("modelopt", "fp8", kv_cache="fp8"), T4, ""),
        (a_model(), T4, "vllm"),
    ],
)
def test_ivd316_silent_where_fp8_is_native_or_no_cache_is_quantised(model: Model, place: Place, engine: str) -> None:
    """Transformers keeps its cache in the model's dtype."""
    assert findings(fp8_cache_without_fp8, model, place, Asked(engine=engine)) == []


# All together

CASTS = re.compile(
    r"model(?:\.\w+)* ?= ?model.*\.(?:to\(|half\(|float\(|bfloat16\()|model\.(?:half|bfloat16|float)\(|torch_dtype=torch\.|model\.to\("
)
"""What casts a whole model."""

MODELS = {
    "fp8": quantised("fp8"),
    "compressed fp8": quantised("compressed-tensors", "fp8"),
    "compressed int4": quantised("compressed-tensors", "int4"),
    "awq": quantised("awq", dtype="float16"),
    "gptq": quantised("gptq", dtype="float16"),
    "bnb": quantised("bitsandbytes", "bnb-4bit", compute="bfloat16"),
    "mxfp4": quantised("mxfp4", model_type="gpt_oss"),
    "modelopt": quantised("modelopt", "nvfp4", kv_cache="fp8"),
    "hqq": quantised("hqq"),
}
PLACES = {place.name: place for place in (T4, A100, H100)}


QUESTIONS = [*product(("auto", "fp16", "bf16", "fp32"), ("", "vllm"), (8,)), ("auto", "transformers", 8), ("auto", "", 400), ("fp32", "", 400)]
"""dtype, engine, and billions of weights: those of the last fit none of the places."""


def findings_of(model: Model, place: Place, asked: Asked, billions: int) -> tuple[Finding, ...]:
    """The whole pipeline but for the looking."""
    facts = {
        "model": model,
        "checkpoint": packed(model.quantization, billions * BILLION),
        "packages": some_packages({"transformers": "5.23.0"}),
    }
    outcomes = [Outcome(subject=subject, status="ok", fact=fact) for subject, fact in facts.items()]
    return judged(outcomes, asked, registered=plugins(), targets=(place,)).findings


@pytest.mark.parametrize(("name", "place"), list(product(MODELS, PLACES)))
def test_a_quantised_model_is_never_cast_by_any_rules_advice(name: str, place: str) -> None:
    """
    Every rule, every dtype, with and without an engine: no fix casts it, and none takes bfloat16 to a device without.

    Nor is expanded fp8 loaded in another dtype than its other weights have: the layers would be of two.
    """
    for dtype, engine, billions in QUESTIONS:
        asked = Asked(model="m", dtype=dtype, engine=engine, targets=(place,))  # type: ignore[arg-type]  # the product of its words
        for one in findings_of(MODELS[name], PLACES[place], asked, billions):
            for fix in one.fixes:
                text = f"{fix.code}\n{fix.command}\n{fix.diff}"
                about = (one.code, dtype, engine, billions, text)
                assert not CASTS.search(text), about
                assert place != T4.name or "bfloat16" not in text, about
                assert fix.trial.status != "passed", about
                assert name != "fp8" or place == H100.name or not re.search(r"dtype=torch\.float(?:16|32)", text), about


@pytest.mark.parametrize(
    "line", ["model = model.to(torch.bfloat16)", "model = model.half()", "model.to(dtype)", "model = x(torch_dtype=torch.float16)", "model.half()"]
)
def test_what_casts_a_model_is_recognised(line: str) -> None:
    """Else the test above could not fail."""
    assert CASTS.search(line)


def test_without_a_model_the_rules_are_skipped() -> None:
    """And not passed."""
    assert "model" in verdict(quantised_weights_refused, A100).skipped


def test_ivd312_fires_with_the_flag_that_vllm_itself_names() -> None:
    """A deprecated method is there still, where the device computes its bfloat16; another has no such way."""
    asked = Asked(engine="vllm")
    assert commands(findings(quantised_weights_refused, quantised("fbgemm_fp8"), H100, asked)) == ["vllm serve PATH --allow-deprecated-quantization"]
    assert commands(findings(quantised_weights_refused, quantised("fbgemm_fp8"), T4, asked)) == []
    assert commands(findings(quantised_weights_refused, quantised("hqq"), H100, asked)) == []


def test_ivd311_fires_without_another_format_of_as_many_bits_where_the_packed_weights_do_not_fit() -> None:
    """117 billion weights of four bits are more than a V100 holds in any four bits."""
    stored = a_checkpoint(some_weights("uint8", 117 * BILLION, 0.55, role="packed"))
    (found,) = findings(quantised_weights_are_expanded, quantised("mxfp4"), V100, stored)
    assert [fix.title for fix in found.fixes] == ["Take a smaller model, or a device that holds it packed and keeps it so"]
