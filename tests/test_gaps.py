"""What keeps a yes from being certain, one sentence each."""

from dataclasses import replace
from typing import Any

import pytest

from ivdoctor.engine import Unknown
from ivdoctor.facts import Asked, DtypeRow, Gpu, Mismatch, Model, Packages, Place, Torch
from ivdoctor.gaps import gaps_in, ran, unlisted, unrun, untold
from ivdoctor.outcome import BROKEN, Outcome, Status
from ivdoctor.targets import target
from ivdoctor.testing import a_cast, a_mismatch, a_model, a_place, a_precision, a_torch, some_packages

CPU = a_place()
T4 = a_place("sm_75", "Tesla T4")


def there(fact: Any, place: str = "cpu", subject: str = "precision") -> Outcome:
    """What was looked at."""
    return Outcome(subject=subject, status="ok", place=place, fact=fact)


def said(asked: Asked, *places: Place, outcomes: tuple[Outcome, ...] = (), **more: object) -> list[str]:
    """Every gap; torch is there unless it is said to be otherwise."""
    shared: dict[type, Any] = {Asked: asked, Torch: a_torch()} | {type(one): one for one in more.values()}
    return gaps_in(outcomes, shared, places)


RAN = (there(a_precision()), there(a_precision(), "cuda:0"))


# --- of this machine


def test_a_machine_where_everything_ran_has_none() -> None:
    """Two places, both with operations."""
    assert said(Asked(), CPU, T4, outcomes=RAN) == []


@pytest.mark.parametrize("status", BROKEN)
def test_looking_that_went_wrong_is_one(status: Status) -> None:
    """With its place where it had one."""
    broken = (Outcome(subject="driver", status=status, reason="it broke"), Outcome(subject="amp", status=status, place="cpu", reason="so did this"))

    assert said(Asked(), CPU, outcomes=(*RAN, *broken)) == [f"driver {status}: it broke", f"amp (cpu) {status}: so did this"]


def test_a_device_out_of_reach_is_one() -> None:
    """By its title."""
    assert said(Asked(), CPU, replace(T4, reachable=False), outcomes=RAN) == ["Tesla T4 was not looked at: torch cannot reach it"]


@pytest.mark.parametrize("fact", [None, a_precision().__class__(operations=()), replace(a_mismatch(), cells=(), towers=(), trials=())])
def test_a_place_where_nothing_ran_is_one(fact: object) -> None:
    """A probe that came back with nothing ran nothing."""
    outcomes = (there(a_precision()), *([there(fact, "cuda:0", "mismatch" if isinstance(fact, Mismatch) else "precision")] if fact else []))

    assert not ran(outcomes, T4)
    assert said(Asked(), CPU, T4, outcomes=outcomes) == ["nothing was run on cuda:0"]


@pytest.mark.parametrize(
    ("torch", "reason"),
    [(None, "torch absent: it was not looked at"), (Unknown(reason="torch is not installed"), "torch absent: torch is not installed")],
)
def test_torch_that_is_not_there_is_one_and_the_first(torch: object, reason: str) -> None:
    """Without it nothing runs, and no place is told to have run nothing besides."""
    shared: dict[type, Any] = {Asked: Asked()} | ({Torch: torch} if torch else {})

    assert gaps_in((), shared, (CPU,)) == [reason]
    assert gaps_in((Outcome(subject="torch", status="crashed", reason="SIGSEGV"),), shared, (CPU,)) == ["torch crashed: SIGSEGV"], "once"


def test_a_model_that_was_named_must_have_run() -> None:
    """At the accelerator, beside which the CPU need not."""
    asked = Asked(model="/models/one", dtype="bf16")
    outcomes = (*RAN, there(a_cast("cuda:0"), "cuda:0", "cast"))

    assert said(asked, CPU, T4, outcomes=outcomes, model=a_model()) == []
    assert said(asked, CPU, T4, outcomes=RAN, model=a_model()) == ["the model was not run on cuda:0: no probe did"]
    assert said(asked, CPU, outcomes=RAN, model=a_model()) == ["the model was not run on cpu: no probe did"]
    assert list(unrun(RAN, CPU, {Asked: Asked()})) == [], "without one there is nothing to run"


# --- of a target


def of(name: str, outcomes: tuple[Outcome, ...] = (), **asked: Any) -> list[str]:
    """Every gap of a target, with nothing known of this machine."""
    place = target(name)
    question = Asked(targets=(name,), **asked)
    return gaps_in(outcomes, {Asked: question, Torch: Unknown(reason="this machine is not judged")}, (place,))


@pytest.mark.parametrize("name", ["T4", "H100", "MI300X", "M1", "Arc A770", "zen3", "sm_130"])
@pytest.mark.parametrize("dtype", ["auto", "fp32", "fp16", "bf16"])
def test_what_the_tables_tell_is_no_gap(name: str, dtype: str) -> None:
    """Native or not: that nothing was run there, and that this machine has no torch, is not held against it."""
    assert of(name, dtype=dtype) == []


def test_looking_that_went_wrong_is_a_gap_of_a_target_too() -> None:
    """A model's weights that could not be read, or a plugin that could not be loaded."""
    assert of("T4", (Outcome(subject="checkpoint", status="failed", reason="torn"),)) == ["checkpoint failed: torn"]


def test_a_model_is_never_run_on_a_target() -> None:
    """Whether its configuration could be read or not."""
    place, asked = target("T4"), Asked(targets=("T4",), model="/models/one")

    for model in (a_model(), Unknown(reason="config.json is no JSON")):
        first, *_ = untold(place, {Asked: asked, Model: model})
        assert first.startswith("the model was not run: Tesla T4 is not here")


def a_target(**row: Any) -> Place:
    """Hardware of which the tables know no more than this."""
    return replace(target("T4"), title="Tesla T99", dtypes=DtypeRow(note="no row for it", **row))


@pytest.mark.parametrize(
    ("asked", "unknown"),
    [
        (Asked(dtype="fp16"), ["fp16"]),
        (Asked(dtype="bf16", input_dtype="fp16"), ["bf16", "fp16"]),
        (Asked(dtype="bf16", input_dtype="bf16"), ["bf16"]),
        (Asked(dtype="fp32"), []),
        (Asked(), []),
    ],
)
def test_a_format_that_no_table_knows_is_a_gap_where_it_was_asked_for(asked: Asked, unknown: list[str]) -> None:
    """The model's, and the inputs'; with the reason of the row, each once."""
    expected = [f"whether Tesla T99 computes {dtype} natively is not known: no row for it" for dtype in unknown]

    assert list(untold(a_target(fp32="native"), {Asked: asked})) == expected


def test_the_format_that_a_model_would_be_loaded_in_is_asked_for() -> None:
    """By its configuration, and by the release of transformers that loads it."""
    shared: dict[type, Any] = {Asked: Asked(model="/models/one"), Model: a_model(dtype="bfloat16")}
    new, old = ({Packages: some_packages({"transformers": version})} for version in ("5.23.0", "4.57.0"))

    assert [one for one in untold(a_target(fp32="native"), shared | new) if "bf16" in one]
    assert not [one for one in untold(a_target(fp32="native"), shared | old) if "bf16" in one]


def test_an_engine_without_a_row_there_is_a_gap() -> None:
    """Of any format; and of the one that is judged, where the engine has rows for others alone."""
    assert of("TPU v4", engine="vllm") == [PLUGIN.format("TPU v4"), "what vllm takes on TPU v4 is not known"]
    assert of("T4", engine="llama.cpp", dtype="fp16") == ["what llama.cpp takes on Tesla T4 is not known"]
    assert of("MI100", engine="vllm", dtype="bf16") == ["whether vllm takes bf16 on Instinct MI100 is not known"]
    assert of("MI100", engine="vllm") == ["what vllm takes on Instinct MI100 is not known"], "only what it refuses is"
    assert of("T4", engine="vllm", dtype="bf16") == [], "that it refuses is known"


@pytest.mark.parametrize(("method", "known"), [("awq", True), ("hqq", False), ("torchao", False), ("unknown", False)])
def test_a_quantisation_that_the_engines_table_does_not_name_is_a_gap(method: str, known: bool) -> None:
    """On a place that is here as well as on a target."""
    place = target("A100")
    shared: dict[type, Any] = {Asked: Asked(engine="vllm", model="/models/one"), Model: a_model(quantization=method)}
    told = f"what vllm does with {method} on {place.title} is not known"
    assert (told in list(unlisted(place, shared))) is not known


PLUGIN = "{} is driven by a plug-in of torch's, of which the tables know nothing"


@pytest.mark.parametrize("name", ["Gaudi 2", "TPU v4", "Ascend 910B", "Trainium2"])
def test_what_torch_itself_does_not_drive_is_never_ready(name: str) -> None:
    """torch_npu, torch_xla and their like may run a format or not: no table here tells."""
    assert of(name) == [PLUGIN.format(target(name).title)]


def test_a_torch_for_hardware_that_has_no_builds_in_the_tables_is_a_gap() -> None:
    """A build for CUDA says nothing of an Intel GPU; on a CPU every build runs."""
    for name in ("Arc A770", "M1", "Gaudi2", "TPU v4"):
        assert of(name, torch="2.6+cu124")[-1:] == [f"whether torch 2.6+cu124 is built for {target(name).title} is not known"]
    assert of("M1", torch="2.6") == [], "PyPI has one for macOS"
    for name in ("T4", "MI300X", "zen3"):
        assert of(name, torch="2.6+cu124") == []


def test_beside_a_machines_own_place_a_target_keeps_its_gaps() -> None:
    """Both kinds are told."""
    place = replace(a_target(), name="Tesla T99")
    shared = {Asked: Asked(dtype="bf16"), Torch: a_torch(), Gpu: Unknown(reason="none")}

    gaps = gaps_in((), shared, (CPU, place))

    assert "nothing was run on cpu" in gaps
    assert any(gap.startswith("whether Tesla T99 computes bf16") for gap in gaps)


@pytest.mark.parametrize(
    ("place", "gaps"), [(a_place("mps", "Apple M2"), ["what sglang takes on Apple M2 is not known"]), (a_place("sm_90", "H100"), [])]
)
def test_an_engine_without_a_row_is_a_gap_of_a_device_that_is_here_too(place: Place, gaps: list[str]) -> None:
    """That the rule about engines found nothing says nothing where no row is about the device."""
    assert list(unlisted(place, {Asked: Asked(engine="sglang")})) == gaps


@pytest.mark.parametrize("name", ["Arc A770", "T4", "M3", "zen3-64GB"])
def test_no_engine_on_a_target_is_as_open_as_transformers(name: str) -> None:
    """Both load by the same code, so that what is not known of the one is not known of the other; and each gap is said once."""
    model, place = a_model(model_type="clip"), target(name)
    without, named = (list(untold(place, {Asked: Asked(model="x", engine=engine), Model: model})) for engine in ("", "transformers"))
    assert without == named
    assert len(set(named)) == len(named)
    quantised = list(untold(place, {Asked: Asked(model="x", engine="transformers"), Model: replace(model, quantization="nobody-knows")}))
    assert len(set(quantised)) == len(quantised)
