"""IVD25x: the accelerator does not carry the format."""

import pytest

from ivdoctor.facts import Place
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd25x import (
    bfloat16_product_refused,
    bfloat16_refused,
    flash_attention_got_float32,
    flash_attention_on_an_old_gpu,
    float8_refused,
    quantisation_refused,
    triton_kernel_in_bfloat16,
)
from ivdoctor.testing import a_failure, a_place, findings

T4 = a_place("sm_75", "Tesla T4")
V100 = a_place("sm_70", "Tesla V100-SXM2-32GB")
P40 = a_place("sm_61", "Tesla P40")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
H100 = a_place("sm_90", "NVIDIA H100 80GB HBM3")
MI300X = a_place("gfx942", "AMD Instinct MI300X")
CPU = a_place()

PLACES: list[Place | None] = [None, CPU, T4, V100, P40, A100, H100, MI300X]


def there(place: Place | None) -> list[Place]:
    return [place] if place else []


@pytest.mark.parametrize(
    ("place", "actions"),
    [(None, ["fp16", "fp32"]), (CPU, ["fp16", "fp32"]), (T4, ["fp16", "fp32"]), (V100, ["fp16", "fp32"]), (P40, ["fp32", "fp16"])],
)
def test_ivd250_fires_with_fp16_first_but_where_it_is_crippled(place: Place | None, actions: list[str]) -> None:
    """float16 is half the memory, and a P40 computes it at 1/64; which GPU it is, is asked only where it is not known."""
    (found,) = findings(bfloat16_refused, a_failure("bf16-unsupported-gpu"), *there(place))
    assert [fix.action for fix in found.fixes] == actions
    assert not found.fixes[0].title.startswith("Or ")
    assert (place is not None and place.title in found.message) is (place in (T4, V100, P40))
    assert bool(found.look_next) is (place in (None, CPU))


@pytest.mark.parametrize(
    ("family", "words", "code", "command"),
    [
        ("bf16-device", (), "model = AutoModel.from_pretrained(path, torch_dtype=torch.float16)", ""),
        ("bf16-trainer", (), "TrainingArguments(..., bf16=False, fp16=True, tf32=False)", ""),
        ("bf16-device", ("training",), "TrainingArguments(..., bf16=False, fp16=True, tf32=False)", ""),
        ("bf16-vllm", (), "", "vllm serve MODEL --dtype half"),
        ("bf16-device", ("vllm",), "", "vllm serve MODEL --dtype half"),
    ],
)
def test_ivd250_fires_in_the_words_of_who_refused(family: str, words: tuple[str, ...], code: str, command: str) -> None:
    """A trainer's arguments, an engine's flag, or the loading of a model."""
    (found,) = findings(bfloat16_refused, a_failure("bf16-unsupported-gpu", family=family, words=words), T4)
    assert (found.fixes[0].code, found.fixes[0].command) == (code, command)
    assert "fp32" in found.fixes[1].action
    assert "bf16=True" not in found.fixes[1].code
    assert "any form" in found.avoid[0]


@pytest.mark.parametrize(("place", "actions"), [(None, ["other", "fp16", "fp32"]), (P40, ["other", "fp32", "fp16"])])
def test_ivd250_fires_with_tf32_switched_off_where_that_was_refused(place: Place | None, actions: list[str]) -> None:
    """It needs the same generation; bf16 would be refused next."""
    (found,) = findings(bfloat16_refused, a_failure("bf16-unsupported-gpu", family="tf32-trainer"), *there(place))
    assert [fix.action for fix in found.fixes] == actions
    assert found.fixes[0].code == "TrainingArguments(..., tf32=False)"
    assert "bf16=True" in found.avoid[0]


def test_ivd250_fires_without_a_compute_capability_where_metal_refused() -> None:
    """Which has none."""
    (found,) = findings(
        bfloat16_refused, a_failure("bf16-unsupported-gpu", family="bf16-device", message="bfloat is not supported by this Metal target")
    )
    assert "Metal" in found.message
    assert found.look_next == ()


def test_ivd250_silent_where_cublas_refused_the_product() -> None:
    """Nobody refused the format by name there."""
    assert findings(bfloat16_refused, a_failure("bf16-gemm-unsupported-gpu"), T4) == []


@pytest.mark.parametrize("place", PLACES, ids=lambda one: one.title if one else "none")
def test_ivd251_fires_with_another_build_where_the_gpu_has_bf16(place: Place | None) -> None:
    """From 8.0 on the hardware is not to blame; below, bf16 is avoided in any form, and the flag that counts emulation is named."""
    (found,) = findings(bfloat16_product_refused, a_failure("bf16-gemm-unsupported-gpu"), *there(place))
    able = place in (A100, H100, MI300X)
    first = "version" if able else "fp32" if place == P40 else "fp16"
    assert found.fixes[0].action == first
    assert ("on a GPU that has bfloat16" in found.message) is able
    assert any("is_bf16_supported" in one for one in found.avoid) is not able
    assert bool(found.look_next) is (place is None)


def test_ivd251_silent_where_another_format_was_refused() -> None:
    """The same status with CUDA_R_16F is another failure."""
    assert findings(bfloat16_product_refused, a_failure("neg-driver-runtime", family="cublas"), A100) == []


@pytest.mark.parametrize(
    ("place", "actions"), [(None, ["fp16", "kernel", "fp32"]), (T4, ["fp16", "kernel", "fp32"]), (P40, ["fp32", "kernel", "fp16"])]
)
def test_ivd252_fires_with_the_format_before_the_compiler(place: Place | None, actions: list[str]) -> None:
    """torch.compile made the kernel, and the model asked for bf16."""
    (found,) = findings(triton_kernel_in_bfloat16, a_failure("triton-bf16-needs-sm80"), *there(place))
    assert [fix.action for fix in found.fixes] == actions
    assert "torch._dynamo" in found.fixes[1].code


def test_ivd252_fires_with_an_upgrade_where_a_newer_instruction_was_chosen() -> None:
    """`.bf16` of sm_90 is Triton's choice: a GPU of 8.0 computes bfloat16 otherwise."""
    (found,) = findings(triton_kernel_in_bfloat16, a_failure("triton-bf16-needs-sm80", needs="sm_90", op="add.bf16"), A100)
    assert [fix.action for fix in found.fixes] == ["version", "kernel"]
    assert "`add.bf16`" in found.message
    assert "sm_90" in found.message
    (found,) = findings(triton_kernel_in_bfloat16, a_failure("triton-bf16-needs-sm80", needs="", op=""), T4)
    assert found.fixes[0].action == "fp16"


def test_ivd252_silent_where_triton_refused_float8() -> None:
    """Which needs another generation."""
    assert findings(triton_kernel_in_bfloat16, a_failure("fp8-unsupported-gpu"), T4) == []


@pytest.mark.parametrize(("place", "dtype"), [(None, "bfloat16"), (A100, "bfloat16"), (H100, "bfloat16"), (MI300X, "bfloat16"), (CPU, "bfloat16")])
def test_ivd253_fires_with_loading_in_sixteen_bits_first(place: Place | None, dtype: str) -> None:
    """Then autocast, a cast of what returns float32, and sdpa; where the GPU is not known, what bfloat16 needs is said."""
    (found,) = findings(flash_attention_got_float32, a_failure("flash-attn-needs-half", family="flash-needs-half", op=""), *there(place))
    assert [fix.action for fix in found.fixes] == ["load-dtype", "autocast", "cast-input", "attention"]
    assert f"torch.{dtype}" in found.fixes[0].code
    assert ("8.0" in found.fixes[0].title) is (place is None)
    assert (found.severity, found.look_next) == (Severity.ERROR, ())


@pytest.mark.parametrize("place", [T4, V100, P40], ids=lambda one: one.title)
def test_ivd253_fires_with_sdpa_alone_where_flash_attention_has_no_kernels(place: Place) -> None:
    """In float16 it would be refused again, for the GPU."""
    (found,) = findings(flash_attention_got_float32, a_failure("flash-attn-needs-half"), place)
    (fix,) = found.fixes
    assert (fix.action, 'attn_implementation="sdpa"' in fix.code) == ("attention", True)
    assert "compute capability 8.0" in fix.title


@pytest.mark.parametrize(("family", "op"), [("flash-with-float32", ""), ("flash-needs-half-sdpa", ""), ("flash-needs-half", "Qwen2ForCausalLM")])
def test_ivd253_fires_as_a_warning_where_a_model_is_only_built(family: str, op: str) -> None:
    """It is benign where the weights that follow are 16-bit, and how to see that is said."""
    (found,) = findings(flash_attention_got_float32, a_failure("flash-attn-needs-half", family=family, op=op))
    assert found.severity is Severity.WARNING
    assert "benign" in found.look_next[0]


def test_ivd253_silent_where_the_gpu_is_too_old() -> None:
    """No dtype helps there."""
    assert findings(flash_attention_got_float32, a_failure("flash-attn-needs-ampere"), T4) == []


@pytest.mark.parametrize(("place", "dtype"), [(None, "torch.float16"), (T4, "torch.float16"), (A100, "torch.bfloat16"), (MI300X, "torch.bfloat16")])
def test_ivd254_fires_with_another_attention_in_every_place(place: Place | None, dtype: str) -> None:
    """The second switch of a vision part is named, and no dtype is changed for its own sake."""
    (found,) = findings(flash_attention_on_an_old_gpu, a_failure("flash-attn-needs-ampere"), *there(place))
    assert [(fix.action, fix.kind) for fix in found.fixes] == [("attention", "code"), ("attention", "code"), ("device", "hardware")]
    assert dtype in found.fixes[0].code
    assert "use_flash_attn=False" in found.fixes[1].code
    assert ("which it should know" in found.message) is (place == A100)
    assert "change of dtype alone" in found.avoid[0]


def test_ivd254_fires_with_the_engines_own_backend() -> None:
    """vLLM chooses its attention by a variable; and that it only tells its choice is a note."""
    (found,) = findings(flash_attention_on_an_old_gpu, a_failure("flash-attn-needs-ampere", words=("vllm",)), T4)
    assert found.fixes[0].command == "VLLM_ATTENTION_BACKEND=XFORMERS vllm serve MODEL --dtype half"
    assert found.severity is Severity.ERROR
    told = a_failure("flash-attn-needs-ampere", message="Cannot use FlashAttention-2 backend for Volta and Turing GPUs.")
    assert findings(flash_attention_on_an_old_gpu, told, T4)[0].severity is Severity.NOTE


def test_ivd254_silent_where_float32_was_given() -> None:
    """The GPU is not to blame."""
    assert findings(flash_attention_on_an_old_gpu, a_failure("flash-attn-needs-half"), A100) == []


@pytest.mark.parametrize("place", PLACES, ids=lambda one: one.title if one else "none")
def test_ivd255_fires_with_an_upgrade_first_only_where_the_gpu_has_float8(place: Place | None) -> None:
    """There the gate is software; elsewhere another checkpoint leads, and bf16 only behind a dequantisation that the GPU can follow."""
    (found,) = findings(float8_refused, a_failure("fp8-unsupported-gpu", family="fp8-scaled-mm", has=""), *there(place))
    able = place in (H100, MI300X)
    assert [fix.action for fix in found.fixes] == ["version"] * able + ["kernel", "load-dtype", "device"]
    wide = next(fix.code for fix in found.fixes if fix.action == "load-dtype")
    assert ("torch.float16" in wide) is (place in (T4, V100, P40))
    assert "dequantize=True" in wide
    assert bool(found.look_next) is (place is None)
    assert "without its scales" in found.avoid[0]


def test_ivd255_fires_with_e5m2_for_a_triton_kernel() -> None:
    """Which Triton has for older GPUs."""
    (found,) = findings(float8_refused, a_failure("fp8-unsupported-gpu", family="fp8-triton"), A100)
    assert "float8_e5m2" in found.fixes[1].title
    assert not any("e5m2" in fix.title for fix in findings(float8_refused, a_failure("fp8-unsupported-gpu", family="fp8-scaled-mm"), A100)[0].fixes)


def test_ivd255_fires_with_an_upgrade_for_an_ada_that_an_older_gate_refused() -> None:
    """A message that names 9.0 alone is of a release that later ones corrected; where the GPU is known, it decides."""
    failure = a_failure("fp8-unsupported-gpu", family="fp8-scaled-mm", message="torch._scaled_mm needs compute capability >= 9.0")
    (found,) = findings(float8_refused, failure)
    assert [fix.action for fix in found.fixes] == ["kernel", "version", "load-dtype", "device"]
    (found,) = findings(float8_refused, failure, A100)
    assert [fix.action for fix in found.fixes] == ["kernel", "load-dtype", "device"]


def test_ivd255_silent_where_float8_reached_an_operator() -> None:
    """Which no GPU promotes."""
    assert findings(float8_refused, a_failure("fp8-dtype-mismatch"), T4) == []


@pytest.mark.parametrize(
    ("place", "needs", "has", "said", "half"),
    [
        (T4, "80", "75", ": it needs 8.0, the GPU is 7.5", True),
        (None, "80", "75", ": it needs 8.0, the GPU is 7.5", True),
        (None, "89", "86", ": it needs 8.9, the GPU is 8.6", False),
        (A100, "90", "80", ": it needs 9.0, the GPU is 8.0", False),
        (None, "100", "90", ": it needs 10.0, the GPU is 9.0", False),
        (None, "", "", "", False),
        (None, "8", "gfx906", ": it needs 8, the GPU is gfx906", False),
    ],
)
def test_ivd256_fires_with_another_quantisation(place: Place | None, needs: str, has: str, said: str, half: bool) -> None:
    """Capabilities as people write them; float16 is asked for only where bfloat16 would be refused next."""
    (found,) = findings(quantisation_refused, a_failure("quant-unsupported-gpu", needs=needs, has=has), *there(place))
    assert found.message == f"the engine has no kernel of this quantisation for this GPU{said}"
    assert [fix.action for fix in found.fixes] == ["kernel", "device"]
    assert found.fixes[0].command.endswith("--dtype half") is half
    assert "change of dtype" in found.avoid[0]


@pytest.mark.parametrize(
    ("place", "has", "op", "command"),
    [
        (None, "", "", "vllm serve MODEL-AWQ --quantization awq"),
        (None, "75", "awq", "vllm serve MODEL-GPTQ --quantization gptq --dtype half"),
        (V100, "", "", "vllm serve MODEL-GPTQ --quantization gptq --dtype half"),
        (P40, "", "gptq", ""),
        (T4, "61", "", "vllm serve MODEL-GPTQ --quantization gptq --dtype half"),
    ],
)
def test_ivd256_fires_with_a_quantisation_that_the_gpu_runs_and_did_not_refuse(place: Place | None, has: str, op: str, command: str) -> None:
    """AWQ from 7.5 and GPTQ from 6.0 on; what the message says of the GPU goes before the place."""
    (found,) = findings(quantisation_refused, a_failure("quant-unsupported-gpu", needs="", has=has, op=op), *there(place))
    assert found.fixes[0].command == command
    assert ("GGUF" in found.fixes[0].title) is not bool(command)


def test_ivd256_silent_where_the_kernel_refused_the_dtype() -> None:
    """It runs on this GPU, in float16."""
    assert findings(quantisation_refused, a_failure("quant-kernel-dtype"), T4) == []
