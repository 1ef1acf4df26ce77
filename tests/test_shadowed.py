"""A model without weights: when its flow and its miniature make a yes, when the tables do, and when nothing does."""

from dataclasses import replace
from typing import Any

import pytest

from ivdoctor.checkup import judged
from ivdoctor.facts import Asked, Model
from ivdoctor.gate import Answer
from ivdoctor.outcome import Outcome, Status, known, subject_of
from ivdoctor.plugins import plugins
from ivdoctor.report import Report
from ivdoctor.shadowed import stands_in
from ivdoctor.testing import (
    a_cast,
    a_checkpoint,
    a_cpu,
    a_device,
    a_flow,
    a_gpu,
    a_host,
    a_miniature,
    a_model,
    a_native,
    a_place,
    a_precision,
    a_replay,
    a_torch,
    an_anatomy,
    some_packages,
)

CLASH = "RuntimeError: Input type (float) and bias type (c10::BFloat16) should be the same"
NO_WEIGHTS = "the folder holds no weights"
MODEL = a_model(model_type="newcomer", architectures=("NewcomerForConditionalGeneration",))


def there(fact: Any, place: str = "") -> Outcome:
    """What was looked at."""
    return Outcome(subject=subject_of(type(fact)), status="ok", place=place, fact=fact)


def lost(subject: str, reason: str = NO_WEIGHTS, status: Status = "absent", place: str = "") -> Outcome:
    """What is not there."""
    return Outcome(subject=subject, status=status, place=place, reason=reason)


def machine(*more: Outcome, model: Any = MODEL) -> list[Outcome]:
    """A CPU with torch and transformers, and a configuration without weights."""
    facts = (model, a_torch(), some_packages({"transformers": "5.23.0"}), a_cpu(), a_host(), an_anatomy(), a_native(model.model_type))
    return [*map(there, facts), there(a_precision(), "cpu"), lost("checkpoint"), lost("cast", place="cpu"), *more]


def said(asked: Asked, *more: Outcome, model: Any = MODEL) -> Report:
    """The whole report."""
    return judged(machine(*more, model=model), replace(asked, model="/models/one"), registered=plugins())


BF16 = Asked(dtype="bf16", input_dtype="bf16")


def test_a_flow_and_a_miniature_that_ran_make_a_yes_and_it_says_without_what() -> None:
    """On the CPU: the operators are its own."""
    report = said(BF16, there(a_flow()), there(a_miniature()), there(a_replay(), "cpu"))
    assert (report.verdict, report.exit_code) == (Answer.READY, 0)
    assert report.reason.startswith("the weights are not here: by the model's dtype flow and a miniature of it; ")
    assert [one.verdict for one in report.places] == [Answer.READY]


@pytest.mark.parametrize(
    ("shadows", "why"),
    [
        ((lost("flow", "no probe of its modality"),), "its dtype flow: no probe of its modality"),
        ((there(a_flow()),), "its dtype flow runs, its miniature: it was not run in bf16"),
        ((there(a_flow()), lost("miniature", "it cannot be made smaller")), "its dtype flow runs, its miniature: it cannot be made smaller"),
        ((there(a_flow(unknown={"bf16/bf16": "a loop"})), there(a_miniature())), "its dtype flow is unknown: a loop"),
        ((there(a_flow(unrun=("vision_tower",))), there(a_miniature())), "its dtype flow did not reach vision_tower"),
        ((there(a_flow(cells=())), there(a_miniature())), "its dtype flow is unknown: it has no such cell"),
        ((), NO_WEIGHTS),
    ],
)
def test_less_than_both_is_undetermined_with_its_reason(shadows: tuple[Outcome, ...], why: str) -> None:
    """An unknown is no pass."""
    report = said(BF16, *shadows)
    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert report.reason.startswith(f"the model was not run on cpu: {NO_WEIGHTS}")
    assert why in report.reason


def test_a_cell_that_raises_is_a_no() -> None:
    """By the flow, and by the miniature where the flow did not see it."""
    assert said(BF16, there(a_flow({"bf16/bf16": CLASH})), there(a_miniature({"bf16/bf16": CLASH}))).exit_code == 1
    assert said(BF16, there(a_flow()), there(a_miniature({"bf16/bf16": CLASH}))).exit_code == 1


def test_what_the_flow_says_raises_and_the_miniature_runs_is_neither_yes_nor_no() -> None:
    """One of them is wrong."""
    assert said(BF16, there(a_flow({"bf16/bf16": CLASH})), there(a_miniature())).exit_code == 3


def test_a_clash_that_a_cast_of_the_inputs_cures_is_a_warning_for_a_caller_nobody_knows() -> None:
    """Ready by itself, not ready where warnings count."""
    shadows = (there(a_flow({"bf16/fp32": CLASH})), there(a_miniature({"bf16/fp32": CLASH})))
    assert said(Asked(dtype="bf16"), *shadows).exit_code == 0
    assert said(Asked(dtype="bf16", input_dtype="fp32"), *shadows).exit_code == 1
    assert said(Asked(dtype="bf16"), there(a_flow({"bf16/fp32": CLASH}))).exit_code == 3, "no miniature has shown that a cast cures it"


def test_float16_without_numbers_is_no_yes() -> None:
    """Nobody knows whether the weights stay within its range."""
    report = said(Asked(dtype="fp16", input_dtype="fp16"), there(a_flow()), there(a_miniature()))
    assert report.exit_code == 3
    assert report.reason == "whether model stays within float16's range is not known"


@pytest.mark.parametrize(
    ("asked", "model"),
    [(replace(BF16, inputs="mine:batch"), MODEL), (BF16, replace(MODEL, quantization="unheard-of")), (replace(BF16, engine="vllm"), MODEL)],
)
def test_a_flow_stands_in_for_nothing_that_it_did_not_see(asked: Asked, model: Any) -> None:
    """The user's own inputs, quantised layers, another engine's implementation."""
    outcomes = machine(there(a_flow()), there(a_miniature()), model=model)
    shared: dict[type, Any] = {**known(outcomes), Asked: asked}
    assert stands_in(outcomes, a_place(), shared) == ""
    assert stands_in(outcomes, a_place(), {**shared, Asked: BF16, Model: MODEL}) == "flow"


def test_where_weights_are_they_are_to_be_run() -> None:
    """A model that is there and does not run is not saved by its shadow."""
    outcomes = [one for one in machine(there(a_flow()), there(a_miniature())) if one.subject not in ("checkpoint", "cast")]
    outcomes += [there(a_checkpoint()), lost("cast", "the model does not run in fp32 on its inputs", place="cpu")]
    report = judged(outcomes, replace(BF16, model="/models/one"), registered=plugins())
    assert (report.exit_code, report.reason) == (3, "the model was not run on cpu: the model does not run in fp32 on its inputs")


def test_a_family_that_the_tables_have_seen_run_needs_no_flow() -> None:
    """With the same release of transformers; what was seen here outranks it."""
    bert = a_model(model_type="bert", architectures=("BertModel",), dtype="float32")
    report = said(Asked(dtype="bf16"), lost("flow", "it broke", "crashed"), model=bert)
    assert report.exit_code == 0
    assert report.reason.startswith("the weights are not here: by the tables of families; ")
    assert said(Asked(dtype="bf16", input_dtype="bf16"), there(a_flow({"bf16/bf16": CLASH})), there(a_miniature()), model=bert).exit_code == 3


@pytest.mark.parametrize(("replay", "code"), [(a_replay(), 0), (a_replay({"aten.linear": "no kernel"}), 1), (None, 3), (a_replay(paired=""), 3)])
def test_on_an_accelerator_every_operator_must_have_run_there(replay: Any, code: int) -> None:
    """What the CPU does is at most likely elsewhere."""
    gpu = [there(a_gpu(a_device())), there(a_precision(), "cuda:0"), lost("cast", place="cuda:0")]
    outcomes = [*gpu, there(a_flow()), there(a_miniature()), *([there(replay, "cuda:0")] if replay else [])]
    assert said(BF16, *outcomes).exit_code == code


@pytest.mark.parametrize("status", ["crashed", "timeout", "failed"])
def test_a_shadow_that_breaks_beside_a_real_run_is_not_missed(status: Status) -> None:
    """The model itself was run in the judged cell; without a run it is a gap."""
    ran = [one for one in machine() if one.subject not in ("checkpoint", "cast")]
    ran += [there(a_checkpoint()), there(a_cast(), "cpu")]
    broken = lost("flow", "it never ends", status)
    asked = Asked(dtype="bf16", model="/models/one")
    assert judged([*ran, broken], asked, registered=plugins()).exit_code == 0
    report = judged([*machine(), broken], asked, registered=plugins())
    assert (report.exit_code, report.reason.partition(" (and")[0]) == (3, f"flow {status}: it never ends")
    assert isinstance(report.places[0].verdict, Answer)
