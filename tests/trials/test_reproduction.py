"""The reproduction on the CPU: every message, where it is raised, and what each remedy does to it."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402  # torch first

from ivdoctor.facts import HALVES, TORCH_NAME, Cell, Half, Mismatch, Site, Towers, release  # noqa: E402  # torch first
from ivdoctor.trials import miniature  # noqa: E402
from ivdoctor.trials.remedies import FOR_CELLS, FOR_TOWERS  # noqa: E402
from ivdoctor.trials.reproduction import Patient, reproduce  # noqa: E402

SOURCE = Path(miniature.__file__).read_text(encoding="utf-8").splitlines()
CONVOLUTION = "patches = self.patch_embedding(pixel_values).flatten(2).transpose(1, 2)"
PROJECTOR = "visual = self.projector(self.vision(pixel_values))"
WRITE = "input_embeds[selected] = visual.reshape(-1, WIDTH).to(input_embeds.device)"

RECENT = pytest.mark.skipif(release(torch.__version__) < (2, 13), reason="the words of torch 2.13")
RUNS_FP16 = pytest.mark.skipif(release(torch.__version__) < (2, 3), reason="an older torch has no float16 arithmetic on the CPU")


@pytest.fixture(scope="module")
def found() -> Iterator[Mismatch]:
    threads = torch.get_num_threads()
    yield reproduce("cpu")
    torch.set_num_threads(threads)


def said(one: Cell | Towers) -> str:
    return f"{one.attempt.error}: {one.attempt.message}" if one.attempt.status == "raised" else f"ran {one.attempt.output}"


CELLS = {
    "fp32/fp32": "ran float32",
    "fp32/fp16": "RuntimeError: Input type (c10::Half) and bias type (float) should be the same",
    "fp32/bf16": "RuntimeError: Input type (c10::BFloat16) and bias type (float) should be the same",
    "fp16/fp32": "RuntimeError: Input type (float) and bias type (c10::Half) should be the same",
    "fp16/fp16": "ran float16",
    "fp16/bf16": "RuntimeError: Input type (c10::BFloat16) and bias type (c10::Half) should be the same",
    "bf16/fp32": "RuntimeError: Input type (float) and bias type (c10::BFloat16) should be the same",
    "bf16/fp16": "RuntimeError: Input type (c10::Half) and bias type (c10::BFloat16) should be the same",
    "bf16/bf16": "ran bfloat16",
}
"""Model and pixel dtype to what the published InternVideo2.5 code says: 4.40.1 of transformers and 2.13.0 of torch, on a CPU, 2026-11-22."""


@RECENT
def test_the_nine_cells_say_what_the_published_model_says(found: Mismatch) -> None:
    """Word for word: whoever searches for the message they got must find this one."""
    assert {one.case: said(one) for one in found.cells} == CELLS


def test_a_cells_failure_is_at_the_patch_convolution_and_comes_from_the_pixels(found: Mismatch) -> None:
    """Line and code are those of the file, and the origin is what the caller passed in."""
    failed = [one for one in found.cells if one.model != one.input]

    assert len(failed) == 6
    for one in failed:
        at = one.attempt.location
        assert at
        assert (at.module, at.op, at.file, at.code) == ("vision.patch_embedding", "aten.convolution", "ivdoctor/trials/miniature.py", CONVOLUTION)
        assert SOURCE[at.line - 1].strip() == CONVOLUTION
        assert Site(module="pixel_values", dtype=TORCH_NAME[one.input]) == one.attempt.origin


@RUNS_FP16
def test_agreeing_dtypes_run_and_lose_what_their_format_loses(found: Mismatch) -> None:
    """fp32 is the reference itself; fp16 keeps three bits more than bf16."""
    distance = {one.model: one.attempt.relative_l2 for one in found.cells if one.model == one.input}

    assert distance["fp32"] == 0
    assert 0 < distance["fp16"] < distance["bf16"] < 0.05


PYTHON = {"fp32": "Float", "fp16": "Half", "bf16": "BFloat16"}


@RECENT
@pytest.mark.parametrize(("vision", "lm"), [(one, two) for one, two in product(HALVES, HALVES) if one != two])
def test_towers_of_two_dtypes_clash_where_the_tokens_are_written(found: Mismatch, vision: Half, lm: Half) -> None:
    """With the projector in the vision tower's format: the message, the line and the origin of the published code's failure."""
    one = next(one for one in found.towers if (one.vision, one.projector, one.lm) == (vision, vision, lm))

    assert (
        f"RuntimeError: Index put requires the source and destination dtypes match, got {PYTHON[lm]} for the destination and {PYTHON[vision]} for the source."
        == said(one)
    )
    at = one.attempt.location
    assert at
    assert (at.module, at.op, at.code) == ("", "aten.index_put_", WRITE)
    assert SOURCE[at.line - 1].strip() == WRITE
    assert Site(module="projector", dtype=TORCH_NAME[vision]) == one.attempt.origin


@RECENT
def test_a_projector_in_fp32_clashes_in_its_first_product(found: Mismatch) -> None:
    """Its LayerNorm takes bf16 tokens with fp32 weights, and the linear layer behind it does not."""
    one = next(one for one in found.towers if one.case == "bf16/fp32/fp32")

    assert said(one) == "RuntimeError: mat1 and mat2 must have the same dtype, but got BFloat16 and Float"
    at = one.attempt.location
    assert at
    assert (at.module, at.op, at.code) == ("projector.1", "aten.linear", PROJECTOR)
    assert SOURCE[at.line - 1].strip() == PROJECTOR
    assert Site(module="vision", dtype="bfloat16") == one.attempt.origin


def test_every_unequal_combination_raises_and_none_in_the_language_model(found: Mismatch) -> None:
    """24 of them; the clash is always before the LM, at the projector or at the write."""
    assert {f"{vision}/{projector}/{lm}" for vision, projector, lm in product(HALVES, HALVES, HALVES)} - {f"{one}/{one}/{one}" for one in HALVES} == {
        one.case for one in found.towers
    }
    assert {"raised"} == {one.attempt.status for one in found.towers}
    if release(torch.__version__) >= (2, 3):
        assert {"", "projector"} == {one.attempt.location.module.partition(".")[0] for one in found.towers if one.attempt.location}


def passed(mismatch: Mismatch, case: str) -> dict[str, str]:
    return {trial.remedy: trial.computes_in for trial in mismatch.tried(case) if trial.status == "passed"}


@RUNS_FP16
@pytest.mark.parametrize(("model", "given"), [(one, two) for one, two in product(HALVES, HALVES) if one != two])
def test_the_remedies_that_pass_on_a_cell_and_what_they_compute_in(found: Mismatch, model: Half, given: Half) -> None:
    """One dtype for all of it passes; casting a tower alone never does; autocast takes only weights that are bf16 already."""
    expected = {
        "cast-model": given,
        "cast-input": model,
        "half-then-bf16": "bf16",
        "everything-fp32": "fp32",
        "everything-fp16": "fp16",
        "everything-bf16": "bf16",
    }
    if model == "bf16":
        expected["autocast"] = "bf16"

    assert expected == passed(found, f"{model}/{given}")
    assert set(FOR_CELLS) == {trial.remedy for trial in found.tried(f"{model}/{given}")}


@RECENT
def test_why_a_remedy_fails_is_told(found: Mismatch) -> None:
    """The bug moves on to the next meeting of dtypes; autocast has its own words for fp16 weights."""
    why = {(trial.case, trial.remedy): trial.after for trial in found.trials if trial.status == "failed"}

    assert why["fp32/bf16", "cast-tower"] == "RuntimeError: mat1 and mat2 must have the same dtype, but got BFloat16 and Float"
    assert why["fp16/bf16", "cast-tower"] == "RuntimeError: mixed dtype (CPU): expect parameter to have scalar type of Float"
    assert why["fp16/bf16", "autocast"] == "RuntimeError: Unexpected floating ScalarType in at::autocast::prioritize"
    assert why["fp32/bf16", "autocast"].startswith("RuntimeError: Index put requires the source and destination dtypes match")


@RUNS_FP16
def test_the_remedies_that_pass_on_towers(found: Mismatch) -> None:
    """Loading all parts alike always passes; the cast at the write does where the write was the only clash."""
    tried = {trial.case for trial in found.trials if trial.case.count("/") == 2}
    assert tried
    for one in found.towers:
        if one.case in tried:
            expected = (
                {"unify": one.lm}
                | {f"everything-{dtype}": dtype for dtype in HALVES}
                | ({"cast-at-write": one.lm} if one.vision == one.projector else {})
            )
            assert expected == passed(found, one.case), one.case
            assert set(FOR_TOWERS) == {trial.remedy for trial in found.tried(one.case)}


def test_trials_say_what_they_are(found: Mismatch) -> None:
    """Run on a miniature, here; with the failure's own words before; and a distance where they passed."""
    before = {one.case: said(one) for one in found.cells} | {one.case: said(one) for one in found.towers}
    for trial in found.trials:
        assert ("miniature", "cpu", before[trial.case]) == (trial.how, trial.where, trial.before)
        assert (trial.status == "passed") == (trial.metrics.get("relative_l2", -1.0) >= 0)
        if trial.status == "passed":
            assert trial.after.startswith("ran, output ")


def test_double_rounding_is_counted(found: Mismatch) -> None:
    """`.half().to(torch.bfloat16)` of fp32 weights moves some of them, and not all."""
    counts = {(trial.metrics["weights"], trial.metrics["weights_changed"]) for trial in found.trials if trial.remedy == "half-then-bf16"}

    ((weights, changed),) = counts
    assert 0 < changed < weights / 10


def test_two_runs_are_equal_to_the_last_bit(found: Mismatch) -> None:
    """Fixed weights, one thread: a report of this machine does not change from day to day."""
    assert found == reproduce("cpu")


class NoBfloat16(Tensor):
    """A tensor on a device that refuses to hold the format, as Apple's does before macOS 14."""

    def to(self, *args: Any, **kwargs: Any) -> Any:
        if torch.bfloat16 in args:
            raise TypeError("MPS BFloat16 is only supported on MacOS 14 or newer")
        return super().to(*args, **kwargs)


def test_a_device_that_refuses_to_hold_a_format_is_an_outcome_of_that_cell() -> None:
    """The cast itself raises: that cell has torch's words and no location, and the other formats go on."""
    model, pixels, ids = miniature.build()
    parameters = tuple(model.named_parameters())
    with torch.no_grad():
        patient = Patient(
            device="cpu",
            model=model,
            parameters=parameters,
            weights={(name, "fp32"): parameter.detach().as_subclass(NoBfloat16) for name, parameter in parameters},
            pixels=pixels,
            ids=ids,
            expected=model(pixels, ids).double(),
        )

    refused, fine = patient.run("bf16", "bf16", "bf16", "bf16"), patient.run("fp32", "fp32", "fp32", "fp32")

    assert (refused.status, refused.error, refused.message) == ("raised", "TypeError", "MPS BFloat16 is only supported on MacOS 14 or newer")
    assert refused.location is None
    assert fine.status == "ran"
