"""IVD4xx: dtypes that meet and differ."""

from pathlib import Path

import pytest

from ivdoctor.facts import Asked, Half, Mismatch, Place
from ivdoctor.finding import Finding, Severity
from ivdoctor.rules.ivd4xx import (
    agreeing_dtypes_fail,
    no_remedy_helps,
    patch_convolution_dtype_differs,
    projector_dtype_differs,
    visual_tokens_dtype_differs,
)
from ivdoctor.testing import a_device, a_driver, a_flow, a_gpu, a_mismatch, a_place, a_torch, an_nvml_device, findings, recorded

MACHINES = Path(__file__).parent.parent / "machines"

T4 = a_place("sm_75", "Tesla T4")
V100 = a_place("sm_70", "Tesla V100-SXM2-32GB")
P40 = a_place("sm_61", "Tesla P40")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
H100 = a_place("sm_90", "NVIDIA H100 80GB HBM3")
MI300X = a_place("gfx942", "AMD Instinct MI300X")
RX6800 = a_place("gfx1030", "AMD Radeon RX 6800")
UNLISTED = a_place("sm_90", "NVIDIA Unknown", dtypes=a_place("gfx1300").dtypes)
PLAIN_CPU = a_place("cpu", features=("avx2",))
AMX_CPU = a_place("cpu", features=("amx_bf16", "avx512_bf16", "avx512_fp16"))

TO_BF16 = "model = model.to(torch.bfloat16)"
CAST_INPUT = "pixel_values = pixel_values.to(next(model.parameters()).dtype)"
RUN_FP32 = "model = model.float()\npixel_values = pixel_values.float()"
RUN_FP16 = "model = model.half()\npixel_values = pixel_values.half()"
NO_HALF = "\"addmm_impl_cpu_\" not implemented for 'Half'"
NO_FINITE = "ran, and the output is not finite"


def lead(finding: Finding) -> str:
    """The line to take first."""
    return finding.fixes[0].code


@pytest.mark.parametrize("place", [A100, H100, MI300X, AMX_CPU], ids=lambda place: place.title)
def test_ivd401_fires_on_the_founding_cell_and_leads_with_the_whole_model_in_bf16(place: Place) -> None:
    """The answer of the maintainers, where the hardware computes in bf16; no caveat is needed."""
    (found,) = findings(patch_convolution_dtype_differs, a_torch(), place, a_mismatch(place.name))
    assert found.severity is Severity.NOTE
    assert found.category == "conv-input-param-dtype-mismatch"
    assert found.place == place.name
    assert found.message == ("a model in fp16 with pixels in bf16 raises: Input type (c10::BFloat16) and bias type (c10::Half) should be the same")
    assert lead(found) == TO_BF16
    assert found.fixes[0].title == "Cast the whole model to torch.bfloat16"
    assert (found.fixes[0].trial.status, found.fixes[0].trial.how, found.fixes[0].trial.where) == ("passed", "miniature", place.name)


@pytest.mark.parametrize("place", [T4, V100, RX6800], ids=lambda place: place.title)
def test_ivd401_fires_on_the_founding_cell_and_leads_with_the_input_in_fp16(place: Place) -> None:
    """bf16 is emulated there: the input follows the model, and the range of fp16 is said."""
    (found,) = findings(patch_convolution_dtype_differs, a_torch(), place, a_mismatch(place.name))
    assert lead(found) == CAST_INPUT
    assert found.fixes[0].trial.after == "ran, output float16"
    assert "65504" in found.fixes[0].title


@pytest.mark.parametrize(
    ("place", "asked"),
    [
        (P40, Asked()),
        (P40, Asked(dtype="fp16", input_dtype="bf16")),
        (PLAIN_CPU, Asked()),
        (UNLISTED, Asked()),
    ],
)
def test_ivd401_fires_on_the_founding_cell_and_leads_with_fp32(place: Place, asked: Asked) -> None:
    """No half precision at full rate, or none that is known: fp32 is what surely works, also when fp16 was asked for."""
    (found,) = findings(patch_convolution_dtype_differs, a_torch(), place, a_mismatch(place.name), asked)
    assert lead(found) == RUN_FP32


def test_ivd401_is_silent_where_the_code_of_the_users_own_model_was_followed() -> None:
    """What a stand-in does is no news then."""
    asked = Asked(dtype="fp16", input_dtype="bf16")
    assert not findings(patch_convolution_dtype_differs, a_torch(), A100, a_mismatch(A100.name), asked, a_flow())
    assert findings(patch_convolution_dtype_differs, a_torch(), A100, a_mismatch(A100.name), asked, a_flow(cells=(), misfit="it does not fit"))


def test_ivd401_fires_with_where_it_raises_and_what_made_the_odd_dtype() -> None:
    """From the recorded run: the patch convolution's line, and the caller's pixels."""
    (found,) = findings(patch_convolution_dtype_differs, *recorded(MACHINES / "cpu.json"))
    assert found.location is not None
    assert found.location.module == "vision.patch_embedding"
    assert found.location.op == "aten.convolution"
    assert "self.patch_embedding(pixel_values)" in found.location.code
    assert found.origin is not None
    assert (found.origin.module, found.origin.dtype) == ("pixel_values", "bfloat16")


def test_ivd401_fires_with_what_does_not_help() -> None:
    """Autocast and casting one tower alone are what people try first."""
    (found,) = findings(patch_convolution_dtype_differs, a_torch(), H100, a_mismatch("cuda:0"))
    assert found.evidence[0] == "6 of 9 pairs of model and pixel dtype raise on cuda:0"
    assert any(line.startswith("does not help: torch.autocast around the call") for line in found.evidence)
    assert any(line.startswith("does not help: casting the vision tower alone") for line in found.evidence)


@pytest.mark.parametrize(
    ("asked", "severity", "cell"),
    [
        (Asked(), Severity.NOTE, "a model in fp16 with pixels in bf16"),
        (Asked(input_dtype="fp32"), Severity.NOTE, "a model in fp16 with pixels in fp32"),
        (Asked(input_dtype="fp16"), Severity.NOTE, "a model in bf16 with pixels in fp16"),
        (Asked(dtype="bf16"), Severity.WARNING, "a model in bf16 with pixels in fp32"),
        (Asked(dtype="fp16", input_dtype="bf16"), Severity.ERROR, "a model in fp16 with pixels in bf16"),
        (Asked(dtype="fp32", input_dtype="fp16"), Severity.ERROR, "a model in fp32 with pixels in fp16"),
    ],
)
def test_ivd401_fires_about_the_cell_that_was_named(asked: Asked, severity: Severity, cell: str) -> None:
    """A demonstration is a note; an unknown caller a warning, since casting the input cures it; both named, an error."""
    (found,) = findings(patch_convolution_dtype_differs, a_torch(), H100, a_mismatch("cuda:0"), asked)
    assert found.severity is severity
    assert found.message.startswith(cell)


@pytest.mark.parametrize(
    ("asked", "computes_in"),
    [(Asked(dtype="bf16"), "bfloat16"), (Asked(dtype="fp16"), "float16"), (Asked(dtype="fp32", input_dtype="bf16"), "float32")],
)
def test_ivd401_fires_and_keeps_the_format_that_was_asked_for(asked: Asked, computes_in: str) -> None:
    """On an H100 every format is native, so the input follows the model."""
    (found,) = findings(patch_convolution_dtype_differs, a_torch(), H100, a_mismatch("cuda:0"), asked)
    assert lead(found) == CAST_INPUT
    assert found.fixes[0].trial.after == f"ran, output {computes_in}"


@pytest.mark.parametrize("place", [T4, V100], ids=lambda place: place.title)
def test_ivd401_fires_and_leads_with_fp16_when_bf16_was_asked_of_a_device_without_it(place: Place) -> None:
    """The next best sixteen bits, not twice the memory: a model that was to run in bf16 need not fit in fp32."""
    (found,) = findings(patch_convolution_dtype_differs, a_torch(), place, a_mismatch("cuda:0"), Asked(dtype="bf16"))
    assert lead(found) == RUN_FP16
    assert "65504" in found.fixes[0].title


@pytest.mark.parametrize("place", [A100, H100, MI300X, AMX_CPU], ids=lambda place: place.title)
def test_ivd401_fires_and_never_advises_to_round_twice(place: Place) -> None:
    """The line that IVD601 warns of is no way out of anything, least of all the first."""
    for asked in (Asked(), Asked(input_dtype="fp32")):
        (found,) = findings(patch_convolution_dtype_differs, a_torch(), place, a_mismatch(place.name), asked)
        assert not any(".half().to(torch.bfloat16)" in fix.code for fix in found.fixes)


@pytest.mark.parametrize(
    ("place", "code"), [(H100, f"{TO_BF16}\npixel_values = pixel_values.to(torch.bfloat16)"), (T4, CAST_INPUT)], ids=["H100", "T4"]
)
def test_ivd401_fires_on_fp32_pixels_and_leads_with_the_best_sixteen_bits(place: Place, code: str) -> None:
    """What a processor emits, and a model in fp16: nobody is sent to fp32, which doubles its memory."""
    (found,) = findings(patch_convolution_dtype_differs, a_torch(), place, a_mismatch("cuda:0"), Asked(input_dtype="fp32"))
    assert lead(found) == code


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
def test_ivd401_silent_where_the_named_dtypes_agree(dtype: Half) -> None:
    """That they agree and fail all the same is IVD404's."""
    assert findings(patch_convolution_dtype_differs, a_torch(), H100, a_mismatch("cuda:0"), Asked(dtype=dtype, input_dtype=dtype)) == []
    assert (
        findings(
            patch_convolution_dtype_differs, a_torch(), H100, a_mismatch("cuda:0", refused={"fp16": NO_HALF}), Asked(dtype="fp16", input_dtype="fp16")
        )
        == []
    )


def test_ivd401_silent_where_the_cell_was_not_run() -> None:
    """Nothing is claimed of a pass nobody made."""
    assert findings(patch_convolution_dtype_differs, a_torch(), H100, Mismatch(cells=(), towers=(), trials=())) == []


@pytest.mark.parametrize(("place", "dtype"), [(T4, "float16"), (V100, "float16")], ids=["T4", "V100"])
def test_ivd402_fires_and_leads_with_one_dtype_for_every_part(place: Place, dtype: str) -> None:
    """The language model's, which is native here; the range of fp16 is said."""
    (found,) = findings(visual_tokens_dtype_differs, place, a_mismatch("cuda:0"))
    assert found.severity is Severity.NOTE
    assert found.category == "index-write-dtype-mismatch"
    assert found.message.startswith("vision bf16, projector bf16, LM fp16: Index put requires the source and destination dtypes match")
    assert lead(found) == f"model = model.to(torch.{dtype})\npixel_values = pixel_values.to(torch.{dtype})"
    assert "65504" in found.fixes[0].title
    assert found.location is not None
    assert found.location.op == "aten.index_put_"
    assert found.origin is not None
    assert (found.origin.module, found.origin.dtype) == ("projector", "bfloat16")


@pytest.mark.parametrize("place", [P40, PLAIN_CPU], ids=lambda place: place.title)
def test_ivd402_fires_and_leads_with_fp32_without_half_precision(place: Place) -> None:
    """Everything in float32 there."""
    (found,) = findings(visual_tokens_dtype_differs, place, a_mismatch(place.name))
    assert lead(found) == RUN_FP32


def test_ivd402_fires_with_the_cast_at_the_write_among_its_fixes() -> None:
    """The source takes the destination's dtype: what a maintainer would merge."""
    (found,) = findings(visual_tokens_dtype_differs, T4, a_mismatch("cuda:0"))
    (write,) = [fix for fix in found.fixes if "input_embeds[selected]" in fix.code]
    assert write.code.endswith("input_embeds.dtype)")
    assert "65504" in write.title


def test_ivd402_fires_with_the_count_of_the_recorded_run() -> None:
    """Six of the 24 combinations of parts raise at the write, on this CPU."""
    (found,) = findings(visual_tokens_dtype_differs, *recorded(MACHINES / "cpu.json"))
    assert found.evidence[0] == "6 of 24 such combinations raise there"
    assert found.message.startswith("vision bf16, projector bf16, LM fp16: ")


def test_ivd402_silent_without_towers_that_raise_at_the_write() -> None:
    """No combination, no finding."""
    assert findings(visual_tokens_dtype_differs, H100, Mismatch(cells=(), towers=(), trials=())) == []


def test_ivd403_fires_on_a_projector_in_another_dtype() -> None:
    """Its first product raises; every part in one dtype is the way out."""
    (found,) = findings(projector_dtype_differs, H100, a_mismatch("cuda:0"))
    assert found.severity is Severity.NOTE
    assert found.category == "matmul-dtype-mismatch"
    assert found.message == "vision bf16, projector fp32, LM fp32: mat1 and mat2 must have the same dtype, but got BFloat16 and Float"
    assert lead(found) == "model = model.to(torch.bfloat16)\npixel_values = pixel_values.to(torch.bfloat16)"
    assert found.location is not None
    assert (found.location.module, found.location.op) == ("projector.1", "aten.linear")
    assert any(line.startswith("does not help: cast-at-write: RuntimeError: mat1 and mat2") for line in found.evidence)


def test_ivd403_fires_with_the_count_of_the_recorded_run() -> None:
    """Of all that raise, the combination of a projector that was trained later is shown."""
    (found,) = findings(projector_dtype_differs, *recorded(MACHINES / "cpu.json"))
    assert found.evidence[0] == "18 of 24 such combinations raise there"
    assert found.message.startswith("vision bf16, projector fp32, LM fp32: ")


def test_ivd403_silent_without_towers_that_raise_at_a_product() -> None:
    """No combination, no finding."""
    assert findings(projector_dtype_differs, H100, Mismatch(cells=(), towers=(), trials=())) == []


def test_ivd404_fires_on_a_cpu_that_lacks_the_kernels() -> None:
    """torch before 2.2: fp16 weights and fp16 pixels raise, and float32 leads."""
    (found,) = findings(agreeing_dtypes_fail, a_torch(), PLAIN_CPU, a_mismatch(refused={"fp16": NO_HALF}))
    assert found.severity is Severity.ERROR
    assert found.category == "cpu-half-op-unsupported"
    assert found.message == f"model and pixels in fp16 fail on cpu: {NO_HALF}"
    assert lead(found) == RUN_FP32
    assert not any("half()" in fix.code for fix in found.fixes)
    assert found.fixes[0].trial.status == "passed"


@pytest.mark.parametrize(("place", "dtype"), [(PLAIN_CPU, "fp32"), (T4, "fp16"), (T4, "fp32")])
def test_ivd404_fires_under_no_category_where_none_fits(place: Place, dtype: Half) -> None:
    """A GPU that refuses fp16, or anything that refuses fp32, is no failure of half precision on a CPU."""
    (found,) = findings(agreeing_dtypes_fail, a_torch(), place, a_mismatch(place.name, refused={dtype: "refused"}))
    assert found.category == ""


def test_ivd404_fires_for_bf16_under_its_own_category() -> None:
    """An operator without a bf16 kernel is another failure than a CPU without fp16."""
    (found,) = findings(agreeing_dtypes_fail, a_torch(), T4, a_mismatch("cuda:0", refused={"bf16": "no engine"}))
    assert found.category == "bf16-op-unsupported"
    assert "bfloat16" not in lead(found)


@pytest.mark.parametrize(
    ("asked", "severity"), [(Asked(), Severity.ERROR), (Asked(dtype="fp16"), Severity.ERROR), (Asked(dtype="bf16"), Severity.NOTE)]
)
def test_ivd404_fires_as_a_note_for_a_format_that_was_not_asked_for(asked: Asked, severity: Severity) -> None:
    """Who asks for bf16 is not stopped by fp16."""
    (found,) = findings(agreeing_dtypes_fail, a_torch(), PLAIN_CPU, a_mismatch(refused={"fp16": NO_HALF}), asked)
    assert found.severity is severity


def test_ivd404_fires_on_numbers_that_are_not_finite() -> None:
    """No exception, and no answer either: fp16 overflowed."""
    (found,) = findings(agreeing_dtypes_fail, a_torch(), T4, a_mismatch("cuda:0", overflow=("fp16",)))
    assert found.category == "fp16-overflow"
    assert found.message == f"model and pixels in fp16 fail on cuda:0: {NO_FINITE}"


@pytest.mark.parametrize(("place", "code"), [(H100, TO_BF16), (T4, RUN_FP32)], ids=["H100", "T4"])
def test_ivd404_fires_with_a_way_out_of_an_overflow(place: Place, code: str) -> None:
    """bf16 where it is native, fp32 where it is not; never fp16 again."""
    (found,) = findings(agreeing_dtypes_fail, a_torch(), place, a_mismatch("cuda:0", overflow=("fp16",)))
    assert lead(found).startswith(code)


def test_ivd404_fires_with_the_question_why_it_is_on_the_cpu() -> None:
    """Beside a GPU that torch sees, a half-precision model on the CPU is there by mistake more often than not."""
    gpu = a_gpu(a_device("sm_75", "Tesla T4"), a_device("sm_75", "Tesla T4", index=1))
    (found,) = findings(agreeing_dtypes_fail, a_torch(), PLAIN_CPU, a_mismatch(refused={"fp16": NO_HALF}), gpu)
    assert found.fixes[0].title == "Ask why the tensor is on the CPU: this machine has Tesla T4"
    assert lead(found) == 'model = model.to("cuda")'
    assert found.fixes[0].trial.status == "not-tried"
    assert found.fixes[1].code == RUN_FP32


def test_ivd404_fires_without_a_line_that_cannot_run() -> None:
    """A build without CUDA beside a GPU: `.to("cuda")` raises there, and IVD101 knows the way out."""
    driver = a_driver(an_nvml_device("sm_75", "Tesla T4"))
    (found,) = findings(agreeing_dtypes_fail, a_torch(), PLAIN_CPU, a_mismatch(refused={"fp16": NO_HALF}), driver, a_gpu())
    assert "Tesla T4" in found.fixes[0].title
    assert not any("cuda" in fix.code for fix in found.fixes)


@pytest.mark.parametrize("kind", ["mps", "xpu"])
def test_ivd404_fires_with_the_name_of_the_device_that_is_there(kind: str) -> None:
    """A Mac's GPU is `mps`, an Intel GPU `xpu`."""
    (found,) = findings(agreeing_dtypes_fail, a_torch(), PLAIN_CPU, a_mismatch(refused={"fp16": NO_HALF}), a_gpu(a_device(kind, "a device")))
    assert lead(found) == f'model = model.to("{kind}")'


def test_ivd404_silent_where_every_agreeing_pair_runs() -> None:
    """Also beside a GPU, and whatever was asked for."""
    assert findings(agreeing_dtypes_fail, a_torch(), PLAIN_CPU, a_mismatch(), a_gpu(a_device())) == []
    assert findings(agreeing_dtypes_fail, a_torch(), T4, a_mismatch("cuda:0"), Asked(dtype="bf16")) == []


def test_ivd405_fires_when_nothing_that_was_tried_runs() -> None:
    """Every format is refused: the device or the build is at fault, and no cast is advised."""
    everything = {"fp32": "broken", "fp16": "broken", "bf16": "broken"}
    (found,) = findings(no_remedy_helps, a_torch(), T4, a_mismatch("cuda:0", refused=everything))
    assert found.severity is Severity.ERROR
    assert found.message.startswith("no remedy helps on cuda:0 for model/pixels in fp32/fp32, fp32/fp16, ")
    assert len(found.evidence) == 8
    assert not any(fix.code for fix in found.fixes)


@pytest.mark.parametrize("refused", [{}, {"fp16": NO_HALF}, {"fp16": NO_HALF, "bf16": NO_HALF}])
def test_ivd405_silent_while_one_remedy_runs(refused: dict[str, str]) -> None:
    """float32 is enough."""
    assert findings(no_remedy_helps, a_torch(), PLAIN_CPU, a_mismatch(refused=refused)) == []


def test_ivd401_ivd404_and_ivd405_are_silent_where_the_build_has_no_code_for_the_device() -> None:
    """Every cell raises there, and no dtype is at fault: IVD103 says so once."""
    facts = recorded(MACHINES / "wheel-without-sm120.json", "cuda:0")
    found = findings(patch_convolution_dtype_differs, *facts) + findings(agreeing_dtypes_fail, *facts) + findings(no_remedy_helps, *facts)
    assert [one.code for one in found] == []
