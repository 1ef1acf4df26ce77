"""IVD3xx: model files, quantisation, memory."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.facts import Anatomy, Asked, Cast, Place
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd3xx import (
    CONVERT,
    checkpoint_incomplete,
    dtype_of_config_and_weights_differ,
    model_brings_its_own_code,
    model_does_not_fit,
    parameters_without_weights,
    pickled_checkpoint,
    quantised_model_must_not_be_cast,
)
from ivdoctor.targets import target
from ivdoctor.testing import a_cast, a_checkpoint, a_host, a_model, a_place, findings, some_packages, some_weights, verdict

A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB", memory_mib=81920)
T4 = a_place("sm_75", "Tesla T4", memory_mib=15360)
SMALL_CPU = a_place("cpu", memory_mib=8192, features=("avx2",))
FP32 = a_checkpoint(some_weights("float32", width=4))
MODEL = a_model()
FULL = a_model(dtype="float32")
PICKLED = a_checkpoint(format="pickle", stored=(), bytes=16_060_522_496)


def cast(*missing: str) -> Cast:
    """A run in which these parameters were random."""
    return Cast(model="tiny", how="real-run", inputs="a row of ids", missing=missing)


def test_ivd301_fires_on_missing_and_torn_files_and_names_them_in_a_command() -> None:
    """Shell words exactly: the placeholder, the files, the flag without which the cache is believed."""
    found = a_checkpoint(missing=("model-00002-of-00004.safetensors",), torn=("model-00003-of-00004.safetensors: it is empty",))
    (one,) = findings(checkpoint_incomplete, found)
    assert one.severity is Severity.ERROR
    assert one.message == "of the checkpoint's files 1 are missing and 1 torn"
    assert one.evidence == ("missing: model-00002-of-00004.safetensors", "torn: model-00003-of-00004.safetensors: it is empty")
    assert shlex.split(one.fixes[0].command) == [
        "hf",
        "download",
        "REPOSITORY",
        "model-00002-of-00004.safetensors",
        "model-00003-of-00004.safetensors",
        "--force-download",
    ]
    assert (one.fixes[0].trial.status, one.fixes[0].trial.reason) == ("not-tried", "ivdoctor downloads nothing")


@pytest.mark.parametrize(
    "name", ["$(reboot)", "a; rm -rf ~", "`x`", "a b", "-rf", "--token=x", "<script>", "a\u202eb", "../x: points outside the folder"]
)
def test_ivd301_fires_and_keeps_hostile_names_out_of_the_command(name: str) -> None:
    """A name from an index may be shown, never pasted."""
    (one,) = findings(checkpoint_incomplete, a_checkpoint(missing=(name,)))
    assert one.fixes[0].command == 'hf download REPOSITORY --include "*.safetensors" "*.safetensors.index.json" --force-download'
    assert name in one.evidence[0]


def test_ivd301_fires_with_a_few_of_ten_thousand_names() -> None:
    """The message has the count."""
    (one,) = findings(checkpoint_incomplete, a_checkpoint(missing=tuple(f"{number}.safetensors" for number in range(10000))))
    assert one.message.startswith("10000 files of the checkpoint are missing")
    assert len(one.evidence) == 9
    assert one.evidence[-1] == "and 9992 more"
    assert "--include" in one.fixes[0].command


def test_ivd301_fires_on_one_torn_file_alone() -> None:
    """Without a count of nothing."""
    (one,) = findings(checkpoint_incomplete, a_checkpoint(torn=("model.safetensors: it is empty",)))
    assert one.message == "1 file of the checkpoint is torn"


def test_ivd301_silent_on_a_whole_checkpoint() -> None:
    """And skipped, not silent, where no model was named."""
    assert findings(checkpoint_incomplete, a_checkpoint()) == []
    assert verdict(checkpoint_incomplete).skipped


def test_ivd302_fires_on_parameters_that_were_random() -> None:
    """Their names are the evidence."""
    (one,) = findings(parameters_without_weights, cast("score.weight", "score.bias"), SMALL_CPU)
    assert one.severity is Severity.ERROR
    assert one.message == "parameters of tiny that its files do not hold, and that were random: 2"
    assert one.evidence == ("score.weight", "score.bias")


def test_ivd302_silent_where_every_parameter_was_stored() -> None:
    """As it should be."""
    assert findings(parameters_without_weights, cast(), SMALL_CPU) == []


def test_ivd302_fires_as_a_note_on_tensors_that_no_parameter_took() -> None:
    """Beside the error of what is missing, or alone."""
    alone = Cast(model="tiny", how="real-run", inputs="a row of ids", unexpected=("lm_head.weight",))
    (one,) = findings(parameters_without_weights, alone, SMALL_CPU)
    assert (one.severity, one.message) == (Severity.NOTE, "1 tensor of the files is not used by the configuration: lm_head.weight")
    both = replace(cast("pooler.weight"), unexpected=("lm_head.weight", "lm_head.bias", "x"))
    note, warning = findings(parameters_without_weights, both, SMALL_CPU)
    assert (note.severity, note.message) == (Severity.NOTE, "3 tensors of the files are not used by the configuration: lm_head.weight, …")
    assert note.evidence == ("lm_head.weight", "lm_head.bias", "x")
    assert (warning.severity, warning.evidence) == (Severity.ERROR, ("pooler.weight",))


@pytest.mark.parametrize(
    ("model", "stored", "place", "asked", "severity"),
    [
        (FULL, FP32, T4, Asked(), Severity.ERROR),
        (MODEL, a_checkpoint(), T4, Asked(dtype="fp32"), Severity.ERROR),
        (FULL, FP32, replace(T4, memory_mib=32000), Asked(), Severity.WARNING),
        (FULL, FP32, replace(T4, memory_mib=31000), Asked(), Severity.ERROR),
        (MODEL, a_checkpoint(), T4, Asked(), Severity.ERROR),
        (MODEL, a_checkpoint(), target("T4"), Asked(), Severity.ERROR),
        (MODEL, a_checkpoint(), target("RTX 4080"), Asked(), Severity.WARNING),
        (MODEL, a_checkpoint(), target("zen4-16GB"), Asked(), Severity.WARNING),
        (FULL, FP32, SMALL_CPU, Asked(), Severity.ERROR),
        (FULL, FP32, replace(T4, count=4), Asked(), Severity.WARNING),
        (FULL, FP32, replace(T4, count=4), Asked(engine="vllm"), Severity.NOTE),
        (FULL, FP32, replace(T4, count=2), Asked(), Severity.ERROR),
        (MODEL, PICKLED, replace(T4, memory_mib=8192), Asked(), Severity.ERROR),
        (MODEL, PICKLED, replace(T4, memory_mib=4096), Asked(dtype="fp16"), Severity.ERROR),
        (MODEL, Anatomy(how="arithmetic", stored=(some_weights(),)), target("T4"), Asked(), Severity.ERROR),
    ],
)
def test_ivd303_fires_where_the_weights_alone_are_too_large(model: Any, stored: Any, place: Place, asked: Asked, severity: Severity) -> None:
    """A warning where the CUDA context still has its room, and where equal devices together hold them; a maker's figure gives nothing to spare."""
    (one,) = findings(model_does_not_fit, model, stored, place, asked)
    assert (one.severity, one.category) == (severity, "neg-oom")
    assert place.title in one.message
    assert all(fix.trial.status == "not-tried" for fix in one.fixes)


def test_ivd303_fires_with_the_arithmetic_as_evidence() -> None:
    """Eight billion weights: 29.9 GiB in float32, half of that in a half format."""
    (one,) = findings(model_does_not_fit, FULL, FP32, replace(A100, memory_mib=24576), Asked())
    assert one.message == "the weights take 29.9 GiB of the 24.0 GiB of NVIDIA A100-SXM4-80GB"
    assert one.evidence == (
        "as stored: 29.9 GiB",
        "in float32: 29.9 GiB",
        "in float16: 15.0 GiB",
        "in bfloat16: 15.0 GiB",
        "memory of cuda:0: 24.0 GiB",
        "the margin is a tenth of the memory; cache and activations come on top",
    )
    assert one.fixes[0].title == "Load in torch.bfloat16: 15.0 GiB"
    assert one.fixes[0].code == "model = LlamaForCausalLM.from_pretrained(path, dtype=torch.bfloat16)"


def test_ivd303_fires_in_the_format_that_the_loader_takes() -> None:
    """Not the one on disk: transformers 4 takes bfloat16 weights as float32, and 5 follows the configuration."""
    place = replace(A100, memory_mib=24576)
    (one,) = findings(model_does_not_fit, MODEL, a_checkpoint(), place, some_packages({"transformers": "4.46.2"}))
    assert one.message.startswith("the weights take 29.9 GiB")
    assert findings(model_does_not_fit, MODEL, a_checkpoint(), place, some_packages({"transformers": "5.23.0"})) == []
    assert findings(model_does_not_fit, MODEL, FP32, place, some_packages({"transformers": "5.23.0"})) == []


def test_ivd303_fires_and_advises_the_format_that_the_device_computes_in() -> None:
    """A T4 has no bfloat16; what fp16 costs is said."""
    (one,) = findings(model_does_not_fit, FULL, FP32, replace(T4, memory_mib=20480), Asked(), some_packages({"transformers": "4.46.2"}))
    assert one.fixes[0].code == "model = LlamaForCausalLM.from_pretrained(path, torch_dtype=torch.float16)"
    assert "fp16 ends at 65504" in one.fixes[0].title


def test_ivd303_fires_and_never_advises_bfloat16_where_it_is_not() -> None:
    """Two T4 hold a bfloat16 model: `auto` would load it as it is, so the line names what they compute in, and what packs it computes in the same."""
    (one,) = findings(model_does_not_fit, MODEL, a_checkpoint(), target("T4"))
    lines = " ".join(fix.code + fix.command for fix in one.fixes)
    assert "bfloat16" not in lines
    assert '"auto"' not in lines.replace('device_map="auto"', "")
    assert one.fixes[0].title.startswith("Spread it over 2 of Tesla T4, no fewer (fp16 ends at 65504")
    (one,) = findings(model_does_not_fit, a_model(model_type="t5"), a_checkpoint(), target("T4"))
    lines = " ".join(fix.code + fix.command for fix in one.fixes)
    assert "float16" not in lines
    assert one.fixes[0].title == "Spread it over 3 of Tesla T4, no fewer"


@pytest.mark.parametrize("stored", [FP32])
def test_ivd303_fires_without_leading_a_family_that_overflows_to_fp16(stored: Any) -> None:
    """It fits, and gives NaN: it is not advised; a run of the model itself overrules the table."""
    small, family = replace(T4, memory_mib=20480), a_model(model_type="t5", dtype="float32")
    (one,) = findings(model_does_not_fit, stored, small, Asked(), family)
    assert not any("torch.float16" in fix.code for fix in one.fixes)
    (one,) = findings(model_does_not_fit, stored, small, Asked(), family, a_cast("cuda:0"))
    assert one.fixes[0].code == "model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float16)"
    (one,) = findings(model_does_not_fit, stored, replace(A100, memory_mib=20480), Asked(), family)
    assert "bfloat16" in one.fixes[0].code


QUANTISED = a_checkpoint(
    some_weights("int32", 10**10, 0.5, role="packed"), some_weights("bfloat16", 10**6), some_weights("bfloat16", 10**8, role="scales")
)


@pytest.mark.parametrize("stored", [a_checkpoint(), QUANTISED, PICKLED])
def test_ivd303_fires_without_advising_a_format_that_saves_nothing(stored: Any) -> None:
    """Weights of 16 bits and packed ones do not shrink by a cast; of pickled ones nobody knows."""
    (one,) = findings(model_does_not_fit, a_model(dtype=""), stored, replace(T4, memory_mib=4096), Asked())
    assert not any(fix.action == "load-dtype" for fix in one.fixes)


def test_ivd303_fires_without_casting_a_quantised_model() -> None:
    """As loaded normally, packed and with its scales, whatever is asked; what transformers expands is another rule's, and not spread as if it stayed packed."""
    model, place = a_model(quantization="compressed-tensors"), replace(A100, memory_mib=4096, count=2)
    for asked in (Asked(), Asked(dtype="fp16"), Asked(engine="vllm")):
        (one,) = findings(model_does_not_fit, model, QUANTISED, place, asked)
        assert one.message.startswith("the weights take 4.8 GiB")
        assert "in float16" not in " ".join(one.evidence)
        assert not any(fix.action == "load-dtype" or "BitsAndBytes" in fix.code for fix in one.fixes)
        assert any(fix.action == "device" and (fix.code or fix.command) for fix in one.fixes) is (asked.engine == "vllm")


def test_ivd303_fires_and_leads_to_the_devices_that_are_there() -> None:
    """Where half the width still is too much for one of them."""
    (one,) = findings(model_does_not_fit, FULL, FP32, replace(T4, memory_mib=12288, count=4), Asked())
    assert one.fixes[0].code == 'model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32, device_map="auto")'
    assert one.fixes[0].title == "Spread the layers over the 4 devices: 3 hold them"
    (one,) = findings(model_does_not_fit, FULL, FP32, replace(A100, memory_mib=12288, count=4), Asked(engine="vllm"))
    assert one.fixes[0].command == "vllm serve PATH --tensor-parallel-size 4"


def test_ivd303_fires_and_spreads_no_family_in_a_format_that_it_leaves() -> None:
    """Asked for by name: qwen2 is known to overflow in float16, so the line that spreads it takes what the device has instead."""
    model = a_model(model_type="qwen2", dtype="bfloat16")
    for name, dtype in (("T4", "float32"), ("A10", "bfloat16")):
        (one,) = findings(model_does_not_fit, model, a_checkpoint(some_weights("bfloat16", 3 * 10**10)), target(name), Asked(dtype="fp16"))
        code = " ".join(fix.code for fix in one.fixes)
        assert "torch.float16" not in code
        assert f"dtype=torch.{dtype}, device_map" in code


def test_ivd303_fires_and_gives_a_server_nothing_that_it_refuses() -> None:
    """vLLM takes nothing on a P40; no glm4 in float16 anywhere; and trtllm-serve has no --dtype."""
    plain = a_model(dtype="float32")
    (one,) = findings(model_does_not_fit, plain, FP32, target("P40"), Asked(engine="vllm"))
    assert not any(fix.command for fix in one.fixes)
    (one,) = findings(
        model_does_not_fit, replace(plain, model_type="glm4"), FP32, replace(target("T4"), memory_mib=20480), Asked(engine="vllm", dtype="fp32")
    )
    assert not any("float16" in fix.command for fix in one.fixes)
    big = a_checkpoint(some_weights("float32", 4 * 10**10, 4))
    for engine, command in (
        ("vllm", "vllm serve PATH --tensor-parallel-size 4 --dtype float32"),
        ("sglang", "python -m sglang.launch_server --model-path PATH --tp 4 --dtype float32"),
        ("tensorrt-llm", "trtllm-serve PATH --tp_size 4"),
    ):
        (one,) = findings(model_does_not_fit, plain, big, target("A100-80"), Asked(engine=engine, dtype="fp32"))
        assert [fix.command for fix in one.fixes if fix.command] == [command]


def test_ivd303_fires_and_leaves_the_dtype_of_quantised_weights_alone() -> None:
    """A dtype beside their own breaks some of them: the line that spreads them says auto, whatever is asked."""
    model, packed = a_model(quantization="fp8"), a_checkpoint(some_weights("float8_e4m3fn", 10**11, 1, role="packed"))
    (one,) = findings(model_does_not_fit, model, packed, target("H100"), Asked(dtype="fp16"))
    assert 'dtype="auto", device_map="auto"' in one.fixes[0].code


def test_ivd303_fires_and_counts_what_is_expanded_for_another_device() -> None:
    """100 GB of compressed-tensors become 200 with transformers: no H200 of 141 holds them."""
    model, packed = a_model(quantization="compressed-tensors"), a_checkpoint(some_weights("float8_e4m3fn", 10**11, 1, role="packed"))
    (one,) = findings(model_does_not_fit, model, packed, target("A100-80"))
    assert one.fixes[-1].title.endswith("a larger device: B300 (288 GB) holds it")


@pytest.mark.parametrize(("name", "severity"), [("V100", Severity.WARNING), ("T4", Severity.ERROR)])
def test_ivd303_fires_and_a_card_that_just_holds_it_is_no_certain_no(name: str, severity: Severity) -> None:
    """InternVideo2.5 in float16 is reported to run on a card of 16 GB, which a V100 has and a T4 has not quite."""
    model, stored = a_model(dtype="float16"), a_checkpoint(some_weights("float16", 8_075_365_376))
    (one,) = findings(model_does_not_fit, model, stored, target(name))
    assert one.severity is severity


def test_ivd303_fires_and_names_a_device_that_keeps_the_weights_packed() -> None:
    """MXFP4 is expanded on a V100 and stays packed on an A100, which so holds 61 GiB."""
    model, packed = a_model(quantization="mxfp4"), a_checkpoint(some_weights("uint8", 117 * 10**9, 0.55, role="packed"))
    (one,) = findings(model_does_not_fit, model, packed, target("V100"))
    assert one.fixes[-1].title.endswith("A100 SXM4 80GB (80 GB) holds it")


@pytest.mark.parametrize("name", ["M1", "zen3-16GB"])
def test_ivd303_fires_and_ties_no_macs_together(name: str) -> None:
    """There is one MPS device, and one CPU."""
    (one,) = findings(model_does_not_fit, FULL, FP32, target(name))
    assert not any("Spread" in fix.title for fix in one.fixes)


def test_ivd303_fires_with_what_crawls_there_last() -> None:
    """A P40 stores float16 and hardly computes in it."""
    (one,) = findings(model_does_not_fit, FULL, FP32, target("P40"))
    assert "torch.float16" not in one.fixes[0].code
    assert "torch.float16" in one.fixes[-1].code
    assert "emulated" in one.fixes[-1].title


def test_ivd303_fires_with_fewer_bits_the_hosts_memory_and_a_larger_device() -> None:
    """In this order; the smallest device that holds it and computes its format."""
    (one,) = findings(model_does_not_fit, MODEL, a_checkpoint(), replace(A100, memory_mib=12288), a_host(memory_mib=65536))
    spread, packed, offloaded, larger = one.fixes
    assert spread.title == "Spread it over 2 of NVIDIA A100-SXM4-80GB, no fewer"
    assert "load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16" in packed.code
    assert packed.title.startswith("Quantise it to four bits when loading: about 4.2 GiB")
    assert offloaded.title.startswith("Leave what does not fit in the host's memory (64.0 GiB)")
    assert larger.title.endswith("a larger device: L4 (24 GB) holds it")


def test_ivd303_silent_where_it_fits_or_the_memory_is_unknown() -> None:
    """MPS shares the host's memory; a folder of another format may hold one model many times."""
    assert findings(model_does_not_fit, FULL, FP32, A100) == []
    assert findings(model_does_not_fit, FULL, FP32, T4, Asked(dtype="fp16"))[0].severity is Severity.ERROR
    assert findings(model_does_not_fit, FULL, FP32, replace(T4, memory_mib=24576), Asked(dtype="fp16")) == []
    assert findings(model_does_not_fit, FULL, FP32, replace(T4, memory_mib=0)) == []
    assert findings(model_does_not_fit, FULL, a_checkpoint(format="other", stored=(), bytes=10**12), T4) == []
    assert verdict(model_does_not_fit, FP32, T4).skipped


def test_ivd304_fires_on_pickled_weights() -> None:
    """With their size, and without having opened them."""
    (one,) = findings(pickled_checkpoint, replace(PICKLED, files=2))
    assert one.severity is Severity.WARNING
    assert one.message == "the weights are 2 pickled file(s), 15.0 GiB, and were not unpickled"
    assert one.fixes[0].code == CONVERT


def test_the_conversion_keeps_every_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very lines of the fix, on weights that are tied, strided and of three dtypes."""
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("safetensors.torch")
    weights = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.bfloat16), "c": torch.tensor([1])}
    weights |= {"tied": weights["a"], "strided": weights["a"].T}
    monkeypatch.chdir(tmp_path)
    torch.save(weights, "pytorch_model.bin")

    import safetensors

    exec(CONVERT, {"torch": torch, "safetensors": safetensors})

    read = library.load_file("model.safetensors")
    assert all(torch.equal(read[name], one) and read[name].dtype == one.dtype for name, one in weights.items())


def test_ivd304_silent_on_safetensors_and_on_other_formats() -> None:
    """A GGUF file is not pickled."""
    assert findings(pickled_checkpoint, a_checkpoint()) == []
    assert findings(pickled_checkpoint, a_checkpoint(format="other", stored=())) == []


def test_ivd305_fires_on_a_configuration_that_names_code() -> None:
    """A note: it was not run, so nothing is said about it."""
    (one,) = findings(model_brings_its_own_code, a_model(name="InternVideo2_5", architectures=("InternVLChatModel",), remote_code=True))
    assert (one.severity, one.category) == (Severity.NOTE, "neg-remote-code-config")
    assert one.message == "InternVideo2_5 brings code of its own (auto_map), and ivdoctor does not run it"
    assert one.evidence == ("architectures: InternVLChatModel",)
    assert not one.fixes[0].safe
    (one,) = findings(model_brings_its_own_code, a_model(name="ours", remote_code=True), Asked(trust_remote_code=True))
    assert one.message == "ours brings code of its own (auto_map), and it was run as you allowed"


def test_ivd305_silent_on_a_model_of_transformers() -> None:
    """Most are."""
    assert findings(model_brings_its_own_code, a_model()) == []


@pytest.mark.parametrize(("asked", "severity"), [(Asked(), Severity.NOTE), (Asked(dtype="fp16"), Severity.WARNING)])
def test_ivd306_fires_on_a_quantised_model(asked: Asked, severity: Severity) -> None:
    """Graver where a precision was asked for by name."""
    (one,) = findings(quantised_model_must_not_be_cast, a_model(quantization="awq"), asked)
    assert (one.severity, one.category) == (severity, "quant-kernel-dtype")
    assert one.message == "model is quantised (awq): .half() and .to(dtype) must not be used on it"
    assert one.fixes[0].code == 'model = LlamaForCausalLM.from_pretrained(path, dtype="auto")'


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_ivd306_silent_where_a_server_holds_the_model(engine: str) -> None:
    """Nobody gets hold of it to cast it."""
    assert findings(quantised_model_must_not_be_cast, a_model(quantization="awq"), Asked(engine=engine, dtype="fp16")) == []


def test_ivd306_silent_on_a_plain_model() -> None:
    """Whatever is asked for."""
    assert findings(quantised_model_must_not_be_cast, a_model(), Asked(dtype="fp16")) == []


@pytest.mark.parametrize(
    ("config", "stored", "severity"),
    [
        ("float16", "bfloat16", Severity.WARNING),
        ("bfloat16", "float16", Severity.WARNING),
        ("float16", "float32", Severity.WARNING),
        ("float32", "bfloat16", Severity.NOTE),
        ("float64", "float32", Severity.NOTE),
    ],
)
def test_ivd307_fires_where_loading_casts_in_silence(config: str, stored: str, severity: Severity) -> None:
    """A note where the configuration's format holds all that is stored."""
    checkpoint = a_checkpoint(some_weights("int64", 10**10, 8), some_weights(stored, 999), some_weights("float32", 1, 4))
    (one,) = findings(dtype_of_config_and_weights_differ, a_model(dtype=config), checkpoint)
    assert (one.severity, one.category) == (severity, "silent-wrong-dtype")
    assert one.message == f"config.json says {config}, and most weights are {stored}"
    assert one.evidence == (f"config.json: dtype = {config}", f"99.9% of 1000 parameters are {stored}")
    assert one.fixes[0].code == f"model = LlamaForCausalLM.from_pretrained(path, dtype=torch.{stored})"


def test_ivd307_fires_without_sending_bfloat16_to_where_it_is_not() -> None:
    """A T4 holds bfloat16 weights in float32."""
    for name, dtype in (("T4", "float32"), ("P40", "float32"), ("A100-80", "bfloat16"), ("zen3", "bfloat16")):
        (one,) = findings(dtype_of_config_and_weights_differ, a_model(dtype="float16"), a_checkpoint(), target(name))
        assert f"dtype=torch.{dtype})" in one.fixes[0].code


@pytest.mark.parametrize(
    ("model", "checkpoint", "asked"),
    [
        (a_model(), a_checkpoint(), Asked()),
        (a_model(), a_checkpoint(some_weights(), some_weights("float32", 1000, 4)), Asked()),
        (a_model(dtype=""), a_checkpoint(), Asked()),
        (a_model(dtype="float16"), a_checkpoint(), Asked(dtype="bf16")),
        (a_model(dtype="bfloat16", quantization="fp8"), a_checkpoint(some_weights("float16")), Asked()),
        (a_model(dtype="float16"), a_checkpoint(some_weights("int32", width=4)), Asked()),
        (a_model(dtype="float16"), PICKLED, Asked()),
    ],
)
def test_ivd307_silent_where_they_agree_or_the_configuration_does_not_decide(model: Any, checkpoint: Any, asked: Asked) -> None:
    """Norms kept in float32 are no majority, packed weights no number, and a dtype given by name overrules the file."""
    assert findings(dtype_of_config_and_weights_differ, model, checkpoint, asked) == []
