"""What kernels and engines do in a format on a place."""

from dataclasses import replace

import pytest

from ivdoctor.facts import Checkpoint, Place, Quantisation
from ivdoctor.kernels import ENGINES, Kernel, cpu_missing, engine_row, engine_rows, kernels, mps_limit, quantised_as
from ivdoctor.targets import target
from ivdoctor.testing import a_checkpoint, a_place, some_weights

T4 = a_place("sm_75", "Tesla T4")
V100 = a_place("sm_70", "Tesla V100-SXM2-16GB")
P40 = a_place("sm_61", "Tesla P40")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
L4 = a_place("sm_89", "NVIDIA L4")
H100 = a_place("sm_90", "NVIDIA H100 80GB HBM3")
B200 = a_place("sm_100", "NVIDIA B200")
RTX5090 = a_place("sm_120", "NVIDIA GeForce RTX 5090")
MI300 = a_place("gfx942", "AMD Instinct MI300X")
MI250 = a_place("gfx90a", "AMD Instinct MI250X")
RX6800 = a_place("gfx1030", "AMD Radeon RX 6800")
M2 = a_place("mps", "Apple M2")
CPU = a_place("cpu")
AMX = a_place("cpu", features=("amx_bf16", "avx512_bf16"))


def kernel(name: str, dtype: str, place: Place, torch: tuple[int, ...] | None = None) -> Kernel:
    """The one row of a kernel and a format."""
    (one,) = [one for one in kernels(place, torch) if (one.kernel, one.dtype) == (name, dtype)]
    return one


@pytest.mark.parametrize(
    ("name", "dtype", "place", "outcome"),
    [
        ("sdpa-flash", "bf16", T4, "refused"),
        ("sdpa-flash", "fp16", T4, "refused"),
        ("sdpa-flash", "bf16", A100, "native"),
        ("sdpa-flash", "fp32", A100, "refused"),
        ("sdpa-flash", "fp16", MI300, "native"),
        ("sdpa-efficient", "fp16", T4, "native"),
        ("sdpa-efficient", "bf16", T4, "refused"),
        ("sdpa-math", "bf16", T4, "slow"),
        ("sdpa-math", "bf16", RX6800, "slow"),
        ("sdpa-cudnn", "bf16", H100, "native"),
        ("flash-attn 2", "fp16", V100, "refused"),
        ("flash-attn 3", "fp8_e4m3", H100, "native"),
        ("flash-attn 3", "bf16", B200, "refused"),
        ("cudnn-conv", "bf16", V100, "slow"),
        ("triton", "fp16", P40, "refused"),
        ("triton", "bf16", T4, "refused"),
        ("scaled_mm", "fp8_e4m3", A100, "refused"),
        ("scaled_mm", "fp8_e4m3", L4, "native"),
        ("scaled_mm", "fp8_e4m3", MI250, "refused"),
        ("scaled_mm", "fp4", H100, "refused"),
        ("bitsandbytes-int8", "int8", V100, "slow"),
        ("bitsandbytes-4bit", "int4", V100, "weight-only"),
        ("fbgemm-fp8", "fp8_e4m3", L4, "refused"),
        ("marlin", "int4", T4, "weight-only"),
        ("marlin", "int4", V100, "refused"),
        ("nvfp4", "fp4", H100, "weight-only"),
        ("nvfp4", "fp4", B200, "native"),
        ("mxfp4", "fp4", T4, "weight-only"),
        ("torchao-fp8", "fp8_e4m3", A100, "refused"),
    ],
)
def test_a_kernel_is_judged_by_the_generation_of_the_device(name: str, dtype: str, place: Place, outcome: str) -> None:
    """Compute capability on NVIDIA, the gfx number on AMD."""
    assert kernel(name, dtype, place).outcome == outcome


@pytest.mark.parametrize(
    "place",
    [
        a_place("sm_140", "NVIDIA Unknown"),
        a_place("sm_140", "NVIDIA Unknown", kind="target", vendor="NVIDIA"),
        a_place("gfx1300", "AMD Unknown"),
        a_place("mps", "Apple Z9"),
        a_place("sm_75", "Tesla T4", vendor="Cambricon"),
        a_place("sm_75", "Tesla T4", compute_capability=None),
        a_place("sm_75", "A card", kind="target", vendor=""),
    ],
    ids=["newer", "newer target", "newer AMD", "newer Mac", "another vendor", "no capability", "no vendor"],
)
def test_of_hardware_that_nobody_knows_nothing_is_told(place: Place) -> None:
    """An interval without an end must not call the next generation native."""
    assert kernels(place) == ()
    assert [engine_rows(name, place) for name in ENGINES] == [()] * len(ENGINES)


@pytest.mark.parametrize(
    ("name", "dtype", "place", "torch", "outcome"),
    [
        ("scaled_mm", "fp8_e4m3", L4, (2, 2, 2), "refused"),
        ("scaled_mm", "fp8_e4m3", L4, (2, 3), "native"),
        ("scaled_mm", "fp8_e4m3", H100, (2, 2, 2), "native"),
        ("scaled_mm", "fp8_e4m3", H100, (2, 0, 1), "refused"),
        ("grouped_mm", "bf16", A100, (2, 8, 0), "refused"),
        ("grouped_mm", "bf16", H100, (2, 8, 0), "native"),
        ("grouped_mm", "bf16", A100, (2, 9, 0), "native"),
        ("sdpa-flash", "fp16", A100, (1, 13, 1), "refused"),
        ("scaled_mm", "fp8_e4m3", CPU, (2, 6, 0), "refused"),
        ("scaled_mm", "fp8_e4m3", CPU, (2, 13, 0), "slow"),
    ],
)
def test_a_kernel_that_came_later_is_refused(name: str, dtype: str, place: Place, torch: tuple[int, ...], outcome: str) -> None:
    """And says since which torch it is there."""
    one = kernel(name, dtype, place, torch)
    assert one.outcome == outcome
    assert one.note.startswith("only since torch ") == (outcome == "refused")


def test_no_kernel_is_native_in_a_format_that_the_device_converts() -> None:
    """A P40 has fp16 at 1/64 of fp32's rate, whichever kernel computes it; a T4 has it native."""
    assert kernel("sdpa-efficient", "fp16", P40).outcome == "slow"
    assert kernel("sdpa-efficient", "fp16", T4).outcome == "native"
    assert kernel("sdpa-math", "bf16", CPU).outcome == "slow"
    assert kernel("sdpa-math", "bf16", AMX).outcome == "native"


def test_a_kernels_message_is_filled_in() -> None:
    """As it would be read on that device; the source goes with it."""
    one = kernel("triton", "fp16", P40)
    assert one.message.startswith("Found Tesla P40 which is too old")
    assert one.message.endswith("CUDA capability 6.1")
    assert one.source.endswith(")")
    assert "torch" in one.source


def test_bf16_is_refused_by_vllm_on_a_t4_in_its_own_words() -> None:
    """The most frequent refusal of all, with what to do about it."""
    one = engine_row("vllm", "bf16", T4)
    assert one is not None
    assert one.outcome == "refused"
    assert one.message == (
        "Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has compute capability 7.5. "
        "You can use float16 instead by explicitly setting the `dtype` flag in CLI, for example: --dtype=half."
    )
    assert one.instead == "--dtype float16"
    assert one.source.startswith("vllm 0.33.0: ")


@pytest.mark.parametrize(
    ("engine", "format", "place", "outcome"),
    [
        ("vllm", "fp16", T4, "native"),
        ("vllm", "fp16", V100, "refused"),
        ("vllm", "bf16", A100, "native"),
        ("vllm", "fp8", V100, "refused"),
        ("vllm", "fp8", T4, "weight-only"),
        ("vllm", "fp8", A100, "weight-only"),
        ("vllm", "fp8", L4, "native"),
        ("vllm", "fp8", MI300, "native"),
        ("vllm", "awq", V100, "refused"),
        ("vllm", "awq", T4, "weight-only"),
        ("vllm", "int8", H100, "native"),
        ("vllm", "int8", B200, "refused"),
        ("vllm", "int8", RTX5090, "refused"),
        ("vllm", "mxfp4", T4, "refused"),
        ("vllm", "nvfp4", A100, "weight-only"),
        ("vllm", "nvfp4", B200, "native"),
        ("vllm", "nvfp4", MI300, "emulated"),
        ("vllm", "bnb-4bit", H100, "refused"),
        ("vllm", "bf16", CPU, "emulated"),
        ("vllm", "bf16", AMX, "native"),
        ("vllm", "bf16", M2, "refused"),
        ("vllm", "bf16", a_place("xpu", "Intel(R) Arc(TM) B580 Graphics"), "native"),
        ("transformers", "bf16", T4, "emulated"),
        ("transformers", "fp8", T4, "dequantised"),
        ("transformers", "fp8", A100, "dequantised"),
        ("transformers", "fp8", L4, "native"),
        ("transformers", "fp8", CPU, "dequantised"),
        ("transformers", "mxfp4", V100, "dequantised"),
        ("transformers", "mxfp4", T4, "weight-only"),
        ("transformers", "nvfp4", B200, "refused"),
        ("transformers", "bnb-4bit", T4, "weight-only"),
        ("transformers", "bnb-int8", P40, "emulated"),
        ("transformers", "bf16", RX6800, "emulated"),
        ("sglang", "fp16", T4, "refused"),
        ("sglang", "bf16", A100, "native"),
        ("sglang", "fp8", A100, "weight-only"),
        ("sglang", "awq", M2, "refused"),
        ("tensorrt-llm", "fp16", V100, "refused"),
        ("tensorrt-llm", "bf16", A100, "native"),
        ("tensorrt-llm", "fp8", A100, "refused"),
        ("tensorrt-llm", "fp8", L4, "native"),
        ("tensorrt-llm", "nvfp4", B200, "native"),
        ("tensorrt-llm", "fp16", MI300, "refused"),
    ],
)
def test_what_an_engine_does_follows_from_format_and_generation(engine: str, format: str, place: Place, outcome: str) -> None:
    """Refused, weights only, dequantised, emulated or native: by the rows that were read in the engine's own source."""
    one = engine_row(engine, format, place)
    assert one is not None
    assert one.outcome == outcome


@pytest.mark.parametrize(
    ("engine", "format", "place"),
    [
        ("vllm", "fp8", MI250),
        ("vllm", "fp8", CPU),
        ("vllm", "fp3", A100),
        ("vllm", "bf16", a_place("xpu", "Intel(R) Arc(TM) A770 Graphics")),
        ("tgi", "bf16", A100),
        ("sglang", "fp32", A100),
        ("tensorrt-llm", "bf16", a_place("sm_87", "Orin")),
        ("tensorrt-llm", "bf16", a_place("sm_110", "Thor")),
        ("sglang", "bf16", a_place("gfx1100", "AMD Radeon RX 7900 XTX")),
    ],
)
def test_what_no_source_says_is_none(engine: str, format: str, place: Place) -> None:
    """Not the nearest row: a guess would be a confident wrong answer."""
    assert engine_row(engine, format, place) is None


def test_a_place_may_say_its_vendor_itself() -> None:
    """A target has no driver behind it, so its vendor decides; it is told of as the same device here would be."""
    place = replace(target("Tesla T4"), vendor="NVIDIA")
    assert place.kind == "target"
    assert engine_row("vllm", "bf16", place) == engine_row("vllm", "bf16", T4)
    assert kernels(place) == kernels(T4)


def test_other_braces_in_a_message_stay() -> None:
    """Only three fields are filled, and a device without a title leaves no field behind."""
    told = [one.message for name in ENGINES for place in (T4, A100, B200, MI300, CPU, M2) for one in engine_rows(name, place)]
    told += [one.message for place in (T4, P40, RTX5090, MI300, CPU) for one in kernels(place)]
    assert not [one for one in told if "{" in one]
    assert "Current capability: 70." in next(one.message for one in engine_rows("vllm", V100) if one.format == "fp8")


@pytest.mark.parametrize(("version", "missing"), [((2, 2, 2), True), ((2, 3), False), ((2, 3, 1), False), ((1, 10, 2), True)])
def test_layer_norm_in_fp16_came_to_the_cpu_with_torch_2_3(version: tuple[int, ...], missing: bool) -> None:
    """And the row has the message by which it is known."""
    rows = [row for row in cpu_missing("fp16", version) if row["operator"] == "torch.nn.functional.layer_norm"]
    assert [row["message"] for row in rows] == ["\"LayerNormKernelImpl\" not implemented for 'Half'"] * missing


def test_fewer_operators_are_missing_the_newer_torch_is() -> None:
    """Some to this day: fft and the decompositions; a format that the table does not list is missing nowhere."""
    counts = [len(cpu_missing("fp16", version)) for version in ((1, 10), (2, 0), (2, 1), (2, 2), (2, 3), (2, 6), (2, 13))]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] > 0
    assert {"fft", "linalg"} <= {row["class"] for row in cpu_missing("bf16", (2, 13))}
    assert "attention" not in {row["class"] for row in cpu_missing("fp16", (1, 13))}, "there was no such operator"
    assert cpu_missing("fp32", (2, 13)) == ()


@pytest.mark.parametrize(
    ("dtype", "torch", "macos", "message"),
    [
        ("bf16", (2, 2, 2), 14, "BFloat16 is not supported on MPS"),
        ("bf16", (2, 3), 13, "MPS BFloat16 is only supported on MacOS 14 or newer"),
        ("bf16", (2, 3), None, "MPS BFloat16 is only supported on MacOS 14 or newer"),
        ("bf16", (2, 3), 14, None),
        ("bf16", (2, 13), 15, None),
        ("fp64", (2, 13), 26, "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64"),
        ("fp8_e4m3", (2, 10), 15, "Trying to convert Float8_e4m3fn to the MPS backend but it does not have support for that dtype."),
        ("fp8_e4m3", (2, 13, 0), 15, "Undefined type Float8_e4m3fn"),
        ("fp8_e4m3", (2, 15), 26, None),
        ("fp8_e5m2", (2, 15), 26, "Trying to convert Float8_e5m2 to the MPS backend but it does not have support for that dtype."),
        ("fp16", (1, 12), 12, None),
    ],
)
def test_a_mac_refuses_by_torch_and_by_macos(dtype: str, torch: tuple[int, ...], macos: int | None, message: str | None) -> None:
    """A macOS that is not known counts as too old: `macos_before` says what would lift the limit."""
    row = mps_limit(dtype, torch, macos)
    assert (row["message"] if row else None) == message


@pytest.mark.parametrize(
    ("method", "stored", "said", "word"),
    [
        ("compressed-tensors", "float8_e4m3fn", None, "fp8"),
        ("compressed-tensors", "int32", None, "int4"),
        ("compressed-tensors", "", None, ""),
        ("compressed-tensors", "", "int4", "int4"),
        ("compressed-tensors", "uint8", "mxfp4", "mxfp4"),
        ("compressed-tensors", "int32", "", "int4"),
        ("modelopt", "uint8", None, "nvfp4"),
        ("bitsandbytes", "int8", None, "bnb-int8"),
        ("awq", "", None, "awq"),
        ("hqq", "uint8", None, ""),
    ],
)
def test_the_engines_word_is_by_the_configuration_and_else_by_what_is_stored(method: str, stored: str, said: str | None, word: str) -> None:
    """NVFP4 and MXFP4 are both stored in bytes: only the configuration tells which; without files it alone tells anything."""
    checkpoint: Checkpoint | None = a_checkpoint(some_weights(stored)) if stored else None
    quantised = None if said is None else Quantisation(method=method, format=said)
    assert quantised_as(method, checkpoint, quantised) == word
