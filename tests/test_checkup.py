"""The pipeline's own decisions: gaps, exit codes, places."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.checkup import check, judged
from ivdoctor.facts import Asked, Cast, Driver, DtypeRow, Failure, Half, Place, Torch
from ivdoctor.finding import Problem, Severity
from ivdoctor.gate import Answer, FailOn
from ivdoctor.modelfiles import Unreadable
from ivdoctor.outcome import Outcome, Status
from ivdoctor.plugins import plugins
from ivdoctor.report import Report, Subject
from ivdoctor.rule import Rule, rule
from ivdoctor.snapshot import Snapshot, load
from ivdoctor.targets import target
from ivdoctor.testing import a_cast, a_device, a_gpu, a_mismatch, a_model, a_precision, some_packages


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The installed plugins with other rules."""

    rules: tuple[Rule, ...]

    @property
    def machine_rules(self) -> tuple[Rule, ...]:
        return tuple(one for one in self.rules if not one.asks_for(Failure))

    def facts(self) -> dict[str, type]:
        return plugins().facts()


@rule("TEST001", severity=Severity.ERROR)
def always(torch: Torch) -> Iterator[Problem]:
    """Finds a problem."""
    yield Problem(message=f"torch {torch.version}")


@rule("TEST002", severity=Severity.NOTE)
def breaks(place: Place) -> Iterator[Problem]:
    """Breaks."""
    if place.name:
        raise ZeroDivisionError(f"at {place.name} in /home/jane/rules.py")
    yield Problem(message="never")


@pytest.fixture(scope="module")
def outcomes() -> tuple[Outcome, ...]:
    text = (Path(__file__).parent / "machines" / "cpu.json").read_bytes()
    return load(text, plugins().facts()).outcomes


def judge(outcomes: tuple[Outcome, ...], *rules: Rule, fail_on: FailOn = FailOn.ERROR) -> Report:
    return judged(outcomes, Asked(), registered=Registered(rules=rules), fail_on=fail_on)  # type: ignore[arg-type]  # the part that is used


def test_nothing_found_is_ready(outcomes: tuple[Outcome, ...]) -> None:
    """Exit code 0, and each place is ready."""
    report = judge(outcomes)

    assert (report.verdict, report.exit_code) == (Answer.READY, 0)
    assert [place.verdict for place in report.places] == [Answer.READY]


@pytest.mark.parametrize("status", ["failed", "timeout", "crashed"])
def test_looking_that_went_wrong_is_undetermined(outcomes: tuple[Outcome, ...], status: Status) -> None:
    """A broken probe turns a yes into unknown, and the reason names it."""
    broken = tuple(replace(one, status=status, fact=None, reason="it broke") if one.subject == "packages" else one for one in outcomes)

    report = judge(broken)

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert f"packages {status}: it broke" == report.reason


def test_a_certain_no_beats_an_unknown(outcomes: tuple[Outcome, ...]) -> None:
    """Exit code 1 with a gap beside it."""
    broken = tuple(replace(one, status="crashed", fact=None, reason="it broke") if one.subject == "packages" else one for one in outcomes)

    assert judge(broken, always).exit_code == 1


def test_torch_that_is_not_there_is_undetermined(outcomes: tuple[Outcome, ...]) -> None:
    """Absence is fine for a driver, and not for torch; no place is called ready."""
    without = tuple(
        replace(one, status="absent", fact=None, reason="torch is not installed")
        if one.subject in {"torch", "gpu", "precision", "mismatch", "cast", "amp"}
        else one
        for one in outcomes
    )

    report = judge(without)

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert report.reason == "torch absent: torch is not installed"
    assert [place.verdict for place in report.places] == [Answer.UNDETERMINED]


def test_nothing_at_all_is_undetermined() -> None:
    """An empty snapshot is no pass."""
    assert judge(()).exit_code == 3


def test_a_plugins_rule_that_breaks_is_undetermined(outcomes: tuple[Outcome, ...]) -> None:
    """Its error is shown without paths of home."""
    report = judge(outcomes, breaks)

    assert report.exit_code == 3
    assert [one.error for one in report.rules.errors] == ["ZeroDivisionError: at cpu in ~/rules.py"]


def test_a_built_in_rule_that_breaks_is_ivdoctors_failure(outcomes: tuple[Outcome, ...]) -> None:
    """4, whatever else was found, and the report is whole."""
    report = judge(outcomes, always, replace(breaks, builtin=True))

    assert report.exit_code == 4
    assert [one.code for one in report.findings] == ["TEST001"]


def test_the_gate_moves_with_fail_on(outcomes: tuple[Outcome, ...]) -> None:
    """The same finding, three levels."""
    warning = replace(always, severity=Severity.WARNING)

    assert [judge(outcomes, warning, fail_on=level).exit_code for level in (FailOn.ERROR, FailOn.WARNING, FailOn.NEVER)] == [0, 1, 0]


def test_machine_rules_run_once_and_place_rules_per_place(outcomes: tuple[Outcome, ...]) -> None:
    """A rule that needs nothing of a place has none in its finding."""

    @rule("TEST003", severity=Severity.NOTE)
    def at_place(place: Place, torch: Torch) -> Iterator[Problem]:
        """At a place."""
        yield Problem(message=f"{torch.version} at {place.name}")

    report = judge(outcomes, always, at_place)

    assert {("TEST001", ""), ("TEST003", "cpu")} == {(one.code, one.place) for one in report.findings}


@pytest.mark.parametrize("kept", [{"torch"}, {"torch", "host", "cpu", "gpu"}, {"torch", "driver"}])
def test_ready_means_that_something_was_run(outcomes: tuple[Outcome, ...], kept: set[str]) -> None:
    """With the live probes left out, absent or empty, the answer is unknown, and no place is called ready."""
    without = tuple(one for one in outcomes if one.subject in kept)
    live = tuple(one for one in outcomes if one.subject in {"precision", "mismatch"})
    absent = tuple(replace(one, status="absent", fact=None, reason="of an older ivdoctor") for one in live)
    empty = tuple(
        replace(one, fact=replace(one.fact, operations=()) if one.subject == "precision" else replace(one.fact, cells=(), towers=(), trials=()))
        for one in live
    )

    for given in (without, without + absent, without + empty):
        report = judge(given)
        assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
        assert "nothing was run on cpu" in report.reason
        assert Answer.READY not in {place.verdict for place in report.places}


def test_numbers_that_are_wrong_are_no_pass(outcomes: tuple[Outcome, ...]) -> None:
    """Finite and farther from the truth than its own size: the agreeing cells fail."""

    def spoilt(one: Outcome) -> Outcome:
        if one.subject != "mismatch":
            return one
        cells = tuple(replace(cell, attempt=replace(cell.attempt, relative_l2=7.5)) if cell.model == cell.input else cell for cell in one.fact.cells)
        return replace(one, fact=replace(one.fact, cells=cells))

    report = judged(tuple(map(spoilt, outcomes)), Asked(dtype="fp32", input_dtype="fp32"), registered=plugins())

    assert report.exit_code == 1
    assert "relative L2 7.5e+00" in report.reason


def with_model(outcomes: tuple[Outcome, ...], cast: Cast | None, *others: Outcome, dtype: str = "bfloat16") -> tuple[Outcome, ...]:
    """The machine of the snapshot, a model that was named, and what came of running it on the CPU."""
    kept = tuple(one for one in outcomes if one.subject not in {"cast", "model", "packages", *(one.subject for one in others)})
    run = (Outcome(subject="cast", status="ok", place="cpu", fact=cast),) if cast else ()
    packages = Outcome(subject="packages", status="ok", fact=some_packages({"transformers": "5.23.0"}))
    return (*kept, Outcome(subject="model", status="ok", fact=a_model(dtype=dtype)), packages, *run, *others)


def asking(outcomes: tuple[Outcome, ...], asked: Asked, *rules: Rule) -> Report:
    return judged(outcomes, asked, registered=Registered(rules=rules))  # type: ignore[arg-type]  # the part that is used


@pytest.mark.parametrize("dtype", ["auto", "fp32", "bf16", "fp16"])
def test_a_model_that_was_run_in_the_format_asked_for_is_ready(outcomes: tuple[Outcome, ...], dtype: str) -> None:
    """Nothing is missing."""
    report = asking(with_model(outcomes, a_cast()), Asked(dtype=dtype, model="/models/one"))  # type: ignore[arg-type]  # one of the words

    assert (report.verdict, report.exit_code) == (Answer.READY, 0)
    assert [place.verdict for place in report.places] == [Answer.READY]


@pytest.mark.parametrize(
    ("cast", "reason"),
    [
        (
            Outcome(subject="cast", status="absent", place="cpu", reason="the model is too large to be run here"),
            "the model is too large to be run here",
        ),
        (Outcome(subject="cast", status="absent", place="cpu", reason="transformers is not there"), "transformers is not there"),
        (None, "no probe did"),
        (Outcome(subject="cast", status="ok", place="cpu", fact=a_cast(how="miniature")), "the miniature was"),
    ],
    ids=["large", "library", "none", "miniature"],
)
@pytest.mark.parametrize("asked", [Asked(), Asked(dtype="bf16"), Asked(dtype="fp32", input_dtype="fp32")], ids=lambda asked: asked.dtype)
def test_a_model_that_was_named_and_not_run_is_never_ready(outcomes: tuple[Outcome, ...], cast: Outcome | None, reason: str, asked: Asked) -> None:
    """Whatever the miniature did. The place says so too."""
    report = asking(with_model(outcomes, None, *([cast] if cast else [])), asked)

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert report.reason == f"the model was not run on cpu: {reason}"
    assert [place.verdict for place in report.places] == [Answer.UNDETERMINED]


def test_a_model_whose_configuration_cannot_be_read_is_never_ready(outcomes: tuple[Outcome, ...]) -> None:
    """No fact of a model, and one was named all the same."""
    unread = tuple(Outcome(subject=subject, status="absent", reason="config.json is no JSON") for subject in ("model", "checkpoint"))
    absent = Outcome(subject="cast", status="absent", place="cpu", reason="config.json is no JSON")
    kept = tuple(one for one in outcomes if one.subject not in {"cast", "model", "checkpoint"})

    report = asking((*kept, *unread, absent), Asked(model="/models/one"))

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert asking((*kept, absent), Asked()).exit_code == 0, "without a model nothing of a model is missing"


@pytest.mark.parametrize("status", ["failed", "timeout", "crashed"])
def test_a_run_that_went_wrong_is_said_once(outcomes: tuple[Outcome, ...], status: Status) -> None:
    """As every broken probe."""
    report = asking(with_model(outcomes, None, Outcome(subject="cast", status=status, place="cpu", reason="it broke")), Asked())

    assert (report.exit_code, report.reason) == (3, f"cast (cpu) {status}: it broke")


@pytest.mark.parametrize(
    ("asked", "stored", "skipped"),
    [
        (Asked(dtype="bf16"), "bfloat16", "bf16"),
        (Asked(dtype="fp16"), "bfloat16", "fp16"),
        (Asked(), "bfloat16", "bf16"),
        (Asked(), "float16", "fp16"),
    ],
)
def test_a_format_that_is_judged_and_was_skipped_is_undetermined(outcomes: tuple[Outcome, ...], asked: Asked, stored: str, skipped: Half) -> None:
    """Named, or what would be loaded: that fp32 ran says nothing of it."""
    report = asking(with_model(outcomes, a_cast(skipped={skipped: "a pass would take about 8 minutes here"}), dtype=stored), asked)

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert report.reason == f"the model was not run in {skipped} on cpu: a pass would take about 8 minutes here"
    assert [place.verdict for place in report.places] == [Answer.UNDETERMINED]


@pytest.mark.parametrize(
    ("asked", "stored", "skipped"),
    [(Asked(dtype="fp32"), "bfloat16", "bf16"), (Asked(dtype="bf16"), "bfloat16", "fp16"), (Asked(), "float32", "bf16")],
)
def test_a_format_that_is_not_judged_may_be_skipped(outcomes: tuple[Outcome, ...], asked: Asked, stored: str, skipped: Half) -> None:
    """Nobody asked for it, and nobody would get it."""
    assert asking(with_model(outcomes, a_cast(skipped={skipped: "8 minutes"}), dtype=stored), asked).exit_code == 0


def test_fp32_that_was_asked_for_and_did_not_fit_is_undetermined(outcomes: tuple[Outcome, ...]) -> None:
    """The baseline was bf16, and nothing ran in fp32."""
    report = asking(with_model(outcomes, a_cast(baseline="bf16")), Asked(dtype="fp32"))

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert report.reason == "the model was not run in fp32 on cpu: fp32 needs 24.0 GiB and 15.2 GiB on cpu are free"
    for dtype in ("auto", "bf16", "fp16"):
        assert asking(with_model(outcomes, a_cast(baseline="bf16")), Asked(dtype=dtype)).exit_code == 0


def test_a_format_that_raised_is_a_finding_and_no_gap(outcomes: tuple[Outcome, ...]) -> None:
    """It was run: that is how it is known."""
    report = judged(with_model(outcomes, a_cast(raised={"bf16": "RuntimeError: no kernel"})), Asked(dtype="bf16"), registered=plugins())

    assert report.exit_code == 1
    assert report.reason.startswith("IVD407 model cast to bf16 raises: RuntimeError: no kernel")


def test_numbers_that_overflow_or_drift_in_the_format_asked_for_are_no_pass(outcomes: tuple[Outcome, ...]) -> None:
    """Through every rule there is: not ready, with the first reason."""
    overflow = judged(with_model(outcomes, a_cast(overflow=("fp16",))), Asked(dtype="fp16"), registered=plugins())
    drift = judged(with_model(outcomes, a_cast(drift={"bf16": 0.3})), Asked(dtype="bf16"), registered=plugins())

    assert (overflow.exit_code, overflow.reason.split()[0]) == (1, "IVD603")
    assert (drift.exit_code, drift.reason.split()[0]) == (1, "IVD602")


@pytest.fixture
def beside_a_gpu(outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    """The same machine with an A100 that everything runs on."""
    there = [
        Outcome(subject=name, status="ok", place="cuda:0", fact=fact)
        for name, fact in (("precision", a_precision()), ("mismatch", a_mismatch("cuda:0")))
    ]
    gpu = Outcome(subject="gpu", status="ok", fact=a_gpu(a_device()))
    return (*(one for one in outcomes if one.subject != "gpu"), gpu, *there)


def test_beside_a_gpu_that_ran_it_the_cpu_need_not(beside_a_gpu: tuple[Outcome, ...]) -> None:
    """The model is not meant to run there: too slow, or too large for its memory. The CPU's own verdict still says so."""
    ran = Outcome(subject="cast", status="ok", place="cuda:0", fact=a_cast("cuda:0"))
    absent = Outcome(subject="cast", status="absent", place="cpu", reason="the model is too large to be run here")
    for given in (with_model(beside_a_gpu, a_cast(skipped={"bf16": "8 minutes"})), with_model(beside_a_gpu, None)):
        cpu = () if any(one.subject == "cast" for one in given) else (absent,)
        report = asking((*given, ran, *cpu), Asked(dtype="bf16"))
        assert (report.verdict, report.exit_code) == (Answer.READY, 0)
        assert {place.name: place.verdict for place in report.places} == {"cpu": Answer.UNDETERMINED, "cuda:0": Answer.READY}


def test_that_the_cpu_ran_it_is_no_proof_for_the_gpu(beside_a_gpu: tuple[Outcome, ...]) -> None:
    """The other way round it is a gap."""
    absent = Outcome(subject="cast", status="absent", place="cuda:0", reason="the model is too large to be run here")
    report = asking((*with_model(beside_a_gpu, a_cast()), absent), Asked(dtype="bf16"))

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert report.reason == "the model was not run on cuda:0: the model is too large to be run here"
    assert {place.name: place.verdict for place in report.places} == {"cpu": Answer.READY, "cuda:0": Answer.UNDETERMINED}


def test_a_picture_for_each_place_where_the_model_was_run(outcomes: tuple[Outcome, ...]) -> None:
    """With the limit that was asked for; the miniature has none."""
    (chart,) = asking(with_model(outcomes, a_cast()), Asked()).charts
    assert (chart.place, chart.limit) == ("cpu", Asked().limits.relative_l2)
    assert asking(with_model(outcomes, a_cast(how="miniature")), Asked()).charts == ()


def test_the_api_refuses_what_is_no_precision_and_no_model() -> None:
    """At once, in one line, and not after a look at the machine."""
    with pytest.raises(ValueError, match="dtype is one of auto, fp32, fp16, bf16, not 'bfloat16'"):
        Asked(dtype="bfloat16")  # type: ignore[arg-type]  # the point
    with pytest.raises(ValueError, match="input_dtype is one of fp32, fp16, bf16, not 'half'"):
        Asked(input_dtype="half")  # type: ignore[arg-type]  # the point
    with pytest.raises(Unreadable, match="there is no file or folder of that name"):
        check(Asked(model="no such folder"))


def test_the_api_keeps_its_names() -> None:
    """A module of the same name would take the function's place once it is imported."""
    import ivdoctor

    for name in ivdoctor.__all__:
        assert name in dir(ivdoctor)
    modules = {path.stem for path in Path(ivdoctor.__file__).parent.glob("*.py")}
    assert not modules & set(ivdoctor.__all__)


def test_a_part_that_was_not_reached_is_undetermined(outcomes: tuple[Outcome, ...]) -> None:
    """Text alone into a model that sees: nobody knows what a cast does to its tower."""
    report = asking(with_model(outcomes, a_cast(unrun=("vision_tower",))), Asked(dtype="bf16"))

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert report.reason == "vision_tower of the model was not reached by its inputs on cpu"


@pytest.mark.parametrize(("ran", "code"), [({}, 3), ({("bf16", "fp16"): ""}, 3), ({("bf16", "fp32"): ""}, 0)])
def test_the_cell_that_was_asked_for_must_have_been_run(outcomes: tuple[Outcome, ...], ran: dict[tuple[Half, Half], str], code: int) -> None:
    """A snapshot that was recorded for another question does not answer this one."""
    cast = a_cast(fed=ran, floats="float32")

    assert asking(with_model(outcomes, cast), Asked(dtype="bf16", input_dtype="fp32")).exit_code == code
    assert asking(with_model(outcomes, cast), Asked(dtype="bf16", input_dtype="bf16")).exit_code == 0, "a format fed with itself is its run"
    assert asking(with_model(outcomes, a_cast(floats="")), Asked(dtype="bf16", input_dtype="fp32")).exit_code == 0, "ids have no such dtype"


def test_where_nobody_knows_what_would_be_loaded_one_must_be_named(outcomes: tuple[Outcome, ...]) -> None:
    """Weights in a format that a loader would not keep, and a config that says nothing."""
    report = asking(with_model(outcomes, a_cast(), dtype="float64"), Asked())

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert report.reason == "nobody can say in which format the model would be loaded: name one with --dtype"
    assert asking(with_model(outcomes, a_cast(), dtype="float64"), Asked(dtype="bf16")).exit_code == 0


def test_a_yes_says_how_far_a_cast_moves_the_output(outcomes: tuple[Outcome, ...]) -> None:
    """And of a half baseline that nothing stands behind it."""
    assert asking(with_model(outcomes, a_cast()), Asked(dtype="bf16")).reason.startswith(
        "cpu: relative L2 after a cast to bf16 0.011, fp16 0.0014 (limit 0.1); nothing at or above error"
    )
    alone = asking(with_model(outcomes, a_cast(baseline="bf16")), Asked(dtype="bf16")).reason
    assert "; bf16 is what they were compared with, and was compared with nothing; nothing at or above" in alone


# --- hardware that is not here


def for_targets(*names: str, outcomes: tuple[Outcome, ...] = (), rules: tuple[Rule, ...] = (), **asked: Any) -> Report:
    """Judged for these, whatever the outcomes say of this machine."""
    question = Asked(targets=names, **asked)
    return judged(outcomes, question, registered=Registered(rules=rules), targets=tuple(map(target, names)))  # type: ignore[arg-type]  # as above


def test_for_a_target_nothing_has_to_have_run() -> None:
    """No torch, no outcome at all: the tables tell, and the answer says that they alone do."""
    report = for_targets("T4", "A100")

    assert (report.verdict, report.exit_code) == (Answer.READY, 0)
    assert [(place.name, place.kind, place.verdict.value) for place in report.places] == [
        ("Tesla T4", "target", "ready"),
        ("A100 SXM4 40GB", "target", "ready"),
    ]
    assert report.reason == "by the tables alone: nothing at or above error; no findings"
    assert report.subjects == {}


def test_the_machine_that_was_looked_at_is_no_place_beside_a_target(outcomes: tuple[Outcome, ...]) -> None:
    """Its CPU is not judged, and a rule about a place is asked of the target alone."""

    @rule("TEST004", severity=Severity.ERROR)
    def at_place(place: Place) -> Iterator[Problem]:
        """At a place."""
        yield Problem(message=place.title)

    report = for_targets("8xT4", outcomes=outcomes, rules=(at_place,))

    assert [(one.place, one.message) for one in report.findings] == [("Tesla T4", "Tesla T4")]
    assert [(place.name, place.count) for place in report.places] == [("Tesla T4", 8)]
    assert report.loaders == ()


def test_what_is_known_of_this_machine_only_is_not_asked_for_a_target() -> None:
    """A rule that needs a fact of a machine is skipped, and says why; one that can do without it is asked."""

    @rule("TEST005", severity=Severity.ERROR)
    def needs_a_driver(driver: Driver) -> Iterator[Problem]:
        """About a driver."""
        yield Problem(message=str(driver.version))

    @rule("TEST006", severity=Severity.NOTE)
    def would_like_one(place: Place, driver: Driver | None) -> Iterator[Problem]:
        """About a place."""
        yield Problem(message=f"{place.title} {driver}")

    report = for_targets("T4", "zen3", rules=(needs_a_driver, would_like_one))

    assert [(one.code, one.reason) for one in report.rules.skipped] == [("TEST005", "driver: this machine is not judged, but Tesla T4, zen3")]
    assert sorted(one.message for one in report.findings) == ["Tesla T4 None", "zen3 None"]


def test_a_rule_about_torch_is_asked_of_the_one_that_was_named() -> None:
    """Of none in particular there is nothing to ask; with `--torch` it is the build of the tables."""
    without, named = check(Asked(targets=("T4",))), check(Asked(targets=("T4",), torch="2.6+cu124"))

    assert "torch" not in without.subjects
    assert isinstance(named.subjects["torch"], Subject)
    assert named.subjects["torch"].fact["version"] == "2.6.0+cu124"
    assert ("IVD103", "Tesla T4") in {(one.code, one.place) for one in named.rules.silent}
    assert {one.code for one in without.rules.skipped} - {one.code for one in named.rules.skipped} >= {"IVD103", "IVD110"}


def test_the_torch_of_a_superchip_is_the_one_for_its_own_processor() -> None:
    """pip brings an ARM host a build without CUDA in 2.6, and with it in 2.11: the same words are a no and a yes."""
    old, new, x86 = (check(Asked(targets=(name,), torch=text)) for name, text in (("GH200", "2.6"), ("GH200", "2.11"), ("H100", "2.6")))

    assert [report.exit_code for report in (old, new, x86)] == [1, 0, 0]
    assert old.reason.startswith("by the tables alone: IVD110 torch 2.6.0+cpu is not built for CUDA")


def test_every_rule_is_counted_for_a_target() -> None:
    """Passed, found something, or skipped with a reason: none is lost, none breaks."""
    report = check(Asked(targets=("T4", "M1", "zen3", "MI300X", "TPU v4"), torch="2.6", dtype="bf16", engine="vllm"))

    assert report.rules.errors == ()
    assert all(one.reason for one in report.rules.skipped)
    assert report.rules.passed == len(report.rules.silent)
    asked = {one.code for one in plugins().rules if not one.asks_for(Failure)}
    told = {one.code for one in report.rules.silent} | {one.code for one in report.rules.skipped} | {one.code for one in report.findings}
    assert asked == told


@pytest.mark.parametrize("name", ["T5", "", "rtx 5000", "\x00"])
def test_the_api_refuses_a_target_that_is_none(name: str) -> None:
    """Before anything is looked at."""
    with pytest.raises(LookupError, match=r"there is no accelerator|may be any of these"):
        check(Asked(targets=("T4", name)), told=pytest.fail)


@pytest.mark.parametrize("text", ["9.9", "2.6+cu999", "nightly"])
def test_the_api_refuses_a_torch_that_is_none(text: str) -> None:
    """As the command line does."""
    with pytest.raises(LookupError, match=r"there is no known torch|has no known build"):
        check(Asked(targets=("T4",), torch=text), told=pytest.fail)


def test_nothing_is_told_to_be_looked_at_for_a_target() -> None:
    """Nobody waits for a place."""
    assert check(Asked(targets=("T4",)), told=pytest.fail).exit_code == 0


def test_a_plugins_rule_that_breaks_at_a_target_leaves_the_rest(outcomes: tuple[Outcome, ...]) -> None:
    """Undetermined, with the error and the place; the other rules' findings at the other place are there."""

    @rule("TEST007", severity=Severity.WARNING)
    def breaks_at_one(place: Place) -> Iterator[Problem]:
        """Reads a table of its own."""
        if place.title == "Tesla T4":
            raise KeyError("a column")
        yield Problem(message=place.title)

    report = for_targets("T4", "A100", rules=(breaks_at_one,))

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert [(one.code, one.place, one.error) for one in report.rules.errors] == [("TEST007", "Tesla T4", "KeyError: 'a column'")]
    assert [(one.code, one.place) for one in report.findings] == [("TEST007", "A100 SXM4 40GB")]


def test_a_verdict_on_a_target_is_no_readier_for_what_ran_here(outcomes: tuple[Outcome, ...]) -> None:
    """A model that ran on this CPU was not run on a T4."""
    report = for_targets("T4", outcomes=with_model(outcomes, a_cast()), dtype="fp16", model="/models/one")

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert report.reason.startswith("by the tables alone: ")
    assert report.charts == ()


def test_a_format_that_no_table_knows_is_undetermined_at_that_target_alone() -> None:
    """A row that is missing is no yes, and no no for another."""
    unheard = replace(target("T4"), name="Tesla T99", title="Tesla T99", dtypes=DtypeRow(fp32="native", note="no row for it"))
    question = Asked(targets=("T99", "A100"), dtype="bf16")

    report = judged((), question, registered=plugins(), targets=(unheard, target("A100")))

    assert (report.verdict, report.exit_code) == (Answer.UNDETERMINED, 3)
    assert [place.verdict.value for place in report.places] == ["undetermined", "ready"]
    assert report.reason == "by the tables alone: whether Tesla T99 computes bf16 natively is not known: no row for it"


def test_a_snapshot_and_targets_exclude_each_other() -> None:
    """The machine that was recorded has nothing to say of another."""
    with pytest.raises(ValueError, match="a snapshot is judged as it is: it takes no targets"):
        check(Asked(targets=("T4",)), snapshot=Snapshot(collected="2026-11-23", outcomes=()))
