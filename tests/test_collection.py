"""Collecting: order by need, absence that spreads with its reason, circles refused."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ivdoctor.checkup import judged
from ivdoctor.collection import ABOUT_A_MODEL, Collection, collect
from ivdoctor.facts import Asked, Flow
from ivdoctor.outcome import Outcome, subject_of
from ivdoctor.plugins import plugins
from ivdoctor.probe import Absent, Probe, probe
from ivdoctor.rooms import Rooms

CHAIN = """
from dataclasses import dataclass
from ivdoctor.facts import Asked, Place
from ivdoctor.probe import Absent, probe

@dataclass(frozen=True, slots=True, kw_only=True)
class One:
    text: str

@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    text: str

@dataclass(frozen=True, slots=True, kw_only=True)
class Three:
    text: str

@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    text: str

@probe()
def two(one: One) -> Two:
    return Two(text=one.text + "2")

@probe()
def one() -> One:
    return One(text="1")

@probe()
def no_one() -> One:
    raise Absent("nobody home")

@probe()
def three(two: Two, one: One) -> Three:
    return Three(text=two.text + one.text)

@probe()
def one_of_three(three: Three) -> One:
    return One(text=three.text)

@probe()
def here(place: Place, one: One) -> Here:
    return Here(text=place.name + one.text)

@probe(wants="model")
def with_a_model(asked: Asked) -> One:
    return One(text=asked.model)

@probe(wants="no-model")
def without_a_model(asked: Asked) -> One:
    return One(text=f"none {asked.model!r}")

@probe()
def either_way(asked: Asked, one: One) -> Two:
    return Two(text=f"{asked.model!r} {asked.input_dtype} {one.text}")

@probe(unless=(One,))
def another_way() -> One:
    return One(text="another")

@probe(unless=(Two,))
def no_way_either() -> One:
    raise Absent("nor there")

@probe(wants="model")
def here_with_a_model(place: Place, asked: Asked) -> Here:
    return Here(text=f"{place.name} {asked.model} {asked.inputs}")

@probe(wants="no-model")
def here_without_a_model(place: Place, asked: Asked) -> Here:
    return Here(text=f"{place.name} {asked}")
"""


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Probe]]:
    (tmp_path / "chain_probes.py").write_text(CHAIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    sys.modules.pop("chain_probes", None)
    module = importlib.import_module("chain_probes")
    return lambda *names: [getattr(module, name) for name in names]


def by_subject(outcomes: list[Outcome]) -> dict[str, tuple[str, str]]:
    return {one.subject: (one.status, one.reason if one.fact is None else one.fact.text) for one in outcomes}


def test_probes_run_as_their_needs_demand(chain: Callable[..., list[Probe]]) -> None:
    """Whatever the order they are named in."""
    found = by_subject(collect(chain("three", "two", "one")))

    assert found == {"one": ("ok", "1"), "two": ("ok", "12"), "three": ("ok", "121")}


def test_absence_spreads_with_its_reason(chain: Callable[..., list[Probe]]) -> None:
    """Who needs a fact that is not there is absent too, and says whose fault it is."""
    found = by_subject(collect(chain("three", "two", "no_one")))

    assert found["one"] == ("absent", "nobody home")
    assert found["two"] == ("absent", "one: nobody home")
    assert found["three"] == ("absent", "two: one: nobody home; one: nobody home")


def test_a_need_that_nobody_fills_is_absence(chain: Callable[..., list[Probe]]) -> None:
    """The probe is not run."""
    assert by_subject(collect(chain("two"))) == {"two": ("absent", "one: no probe gives it")}


def test_circles_are_failures(chain: Callable[..., list[Probe]]) -> None:
    """And not an endless wait."""
    found = by_subject(collect(chain("one_of_three", "two", "three")))

    assert {"failed"} == {status for status, _ in found.values()}


def test_probes_of_a_place_see_it(chain: Callable[..., list[Probe]]) -> None:
    """A machine without accelerators has one place, its CPU."""
    outcomes = collect(chain("here", "one"))

    assert [(one.place, one.subject) for one in outcomes] == [("", "one"), ("cpu", "here")]
    assert outcomes[1].fact.text == "cpu1"


WANTING = ("with_a_model", "without_a_model", "either_way", "here_with_a_model", "here_without_a_model")


def test_a_model_that_is_asked_about_is_what_those_who_want_one_see(chain: Callable[..., list[Probe]]) -> None:
    """Those who want none are left out, and give no outcome; what was asked is a fact, of the machine and of every place."""
    asked = Asked(model="folder", inputs="mine.safetensors", input_dtype="bf16")

    outcomes = collect(chain(*WANTING), asked)

    assert by_subject(outcomes) == {"one": ("ok", "folder"), "two": ("ok", "'folder' bf16 folder"), "here": ("ok", "cpu folder mine.safetensors")}
    assert len(outcomes) == 3


@pytest.mark.parametrize("asked", [None, Asked(), Asked(dtype="fp16")])
def test_without_a_model_it_is_the_others(chain: Callable[..., list[Probe]], asked: Asked | None) -> None:
    """Nothing asked is the same as asking about the machine."""
    outcomes = collect(chain(*WANTING), asked)

    assert [(one.subject, one.status) for one in outcomes] == [("one", "ok"), ("two", "ok"), ("here", "ok")]
    assert by_subject(outcomes)["one"] == ("ok", "none ''")
    assert by_subject(outcomes)["two"] == ("ok", "'' None none ''")
    assert by_subject(outcomes)["here"] == ("ok", f"cpu {asked or Asked()}")


def test_who_needs_what_is_left_out_is_absent(chain: Callable[..., list[Probe]]) -> None:
    """A probe that is left out gives nothing to wait for."""
    assert by_subject(collect(chain("with_a_model", "either_way"))) == {"two": ("absent", "one: no probe gives it")}


def test_what_was_asked_is_no_outcome(chain: Callable[..., list[Probe]]) -> None:
    """It was not looked at: the path of a folder is not to be found in a snapshot."""
    outcomes = collect(chain("one"), Asked(model="/somewhere/private"))

    assert [one.subject for one in outcomes] == ["one"]
    assert "private" not in str(outcomes)


def test_a_fact_of_the_wrong_shape_is_a_failure() -> None:
    """What a room says is checked against the fact's type."""
    from ivdoctor.facts import Host
    from ivdoctor.rooms import Answer

    @probe()
    def host() -> Host:
        """Never run here."""
        raise NotImplementedError

    with Rooms() as rooms:
        collection = Collection(rooms=rooms)
        collection._note(host, Answer(status="ok", fact={"system": 7}))

    (outcome,) = collection.outcomes
    assert outcome.status == "failed"
    assert "$.system" in outcome.reason


# --- hardware that is not here


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A model that says what it is saved in, and has no weights."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama", "torch_dtype": "bfloat16"}')
    return str(tmp_path / "model")


def test_a_second_way_is_taken_where_the_first_gives_nothing(chain: Callable[..., list[Probe]]) -> None:
    """Its outcome replaces the first one's, and says why that was not enough."""
    found = collect(chain("another_way", "no_one"))

    assert by_subject(found) == {"one": ("ok", "another")}
    assert [one.reason for one in found] == ["nobody home"]


def test_a_second_way_is_not_taken_where_the_first_gives_something(chain: Callable[..., list[Probe]]) -> None:
    """Whatever it would cost."""
    assert by_subject(collect(chain("another_way", "one"))) == {"one": ("ok", "1")}


def test_of_two_ways_that_give_nothing_both_reasons_are_kept(chain: Callable[..., list[Probe]]) -> None:
    """One outcome of the subject, in the order they were tried."""
    assert by_subject(collect(chain("no_way_either", "no_one"))) == {"one": ("absent", "nobody home; nor there")}


def test_for_a_target_nothing_is_looked_at(chain: Callable[..., list[Probe]], monkeypatch: pytest.MonkeyPatch) -> None:
    """No probe of anybody's, no place, no room."""
    monkeypatch.setattr(Rooms, "visit", pytest.fail)

    assert collect(plugins().probes, Asked(targets=("T4",)), told=pytest.fail) == []
    assert collect(chain("one", "two", *WANTING), Asked(targets=("T4",), torch="2.6", engine="vllm", thorough=True), told=pytest.fail) == []


def test_for_a_target_and_a_model_its_files_and_the_packages_are_looked_at(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What bears on the model alone, in this process; no place is visited, and no room is opened."""
    monkeypatch.setattr(Rooms, "_run", pytest.fail)
    outcomes = collect(plugins().probes, Asked(model=folder, targets=("T4",)), told=pytest.fail)

    assert {one.place for one in outcomes} == {""}
    assert {one.subject for one in outcomes} <= {subject_of(fact) for fact in ABOUT_A_MODEL}
    assert {one.subject: one.status for one in outcomes}.items() >= {"model": "ok", "checkpoint": "absent", "packages": "ok"}.items()
    assert next(one.fact for one in outcomes if one.subject == "model").dtype == "bfloat16"
    assert {probe.room for probe in plugins().probes if probe.fact in ABOUT_A_MODEL and not probe.unless} == {"plain"}


def test_for_a_target_a_models_flow_is_looked_at_only_where_all_is_to_be(folder: str) -> None:
    """It imports torch, which a look at files alone does not."""

    @probe(wants="model")
    def flow(asked: Asked) -> Flow:
        """Stands for the real one."""
        raise Absent(f"looked at for {asked.targets}")

    asked = Asked(model=folder, targets=("T4",))
    assert collect([flow], asked) == []
    assert [one.subject for one in collect([flow], replace(asked, thorough=True))] == ["flow"]


def test_a_plugins_own_facts_are_not_looked_at_for_a_target(chain: Callable[..., list[Probe]], folder: str) -> None:
    """Nobody can say whether they are about the model."""
    found = collect(chain("one", "with_a_model", "here_with_a_model"), Asked(model=folder, targets=("T4",)))

    assert found == []


# --- devices that fail in between

DEVICES = """
from dataclasses import dataclass

from ivdoctor.facts import Gpu, Place, Precision, Torch
from ivdoctor.probe import probe
from ivdoctor.probes.precision import run_operator
from ivdoctor.testing import a_device, a_gpu, a_torch
from ivdoctor.trials.operators import Operator, Sizes

@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    text: str

@dataclass(frozen=True, slots=True, kw_only=True)
class Third:
    text: str

@probe()
def torch() -> Torch:
    return a_torch()

@probe()
def gpu(torch: Torch) -> Gpu:
    return a_gpu(*(a_device("sm_80", f"board {number}", index=number) for number in range(6)))

@probe(room="trial", timeout=60)
def first(place: Place) -> First:
    return First(text=place.name)

@probe(room="trial", timeout=60)
def second(place: Place, first: First) -> Precision:
    import torch

    errors = {
        "cuda:0": RuntimeError("CUDA error: unspecified launch failure"),
        "cuda:1": RuntimeError("CUDA error: context is destroyed"),
        "cuda:2": RuntimeError("UR error: UR_RESULT_ERROR_DEVICE_LOST"),
        "cuda:3": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 3 has 3.5 MiB free."),
        "cuda:4": RuntimeError("HIP out of memory. Tried to allocate 2.00 MiB."),
    }

    def product(a, b):
        if a.dtype is torch.bfloat16 and place.name in errors:
            raise errors[place.name]
        return a @ b

    operator = Operator(name="matmul", call=product, sizes=Sizes(((8, 8), (8, 8))))
    return Precision(operations=tuple(run_operator(torch, "cpu", dtype, operator) for dtype in ("fp32", "bf16")))

@probe(room="trial", timeout=60)
def third(place: Place, first: First) -> Third:
    return Third(text=place.name)
"""
"""Six boards, of which five fail in the middle of the second probe, as torch would tell of it."""

FAILED = {
    "cuda:0": "the device failed: CUDA error: unspecified launch failure",
    "cuda:1": "the device failed: CUDA error: context is destroyed",
    "cuda:2": "the device failed: UR error: UR_RESULT_ERROR_DEVICE_LOST",
    "cuda:3": "the device failed: the memory of cpu is full: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 3 has 3.5 MiB free.",
    "cuda:4": "the device failed: the memory of cpu is full: HIP out of memory. Tried to allocate 2.00 MiB.",
}


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """What comes of looking at six boards, in real rooms; once, for torch is imported for it."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("probes")
    (folder / "device_probes.py").write_text(DEVICES)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder))
        module = importlib.import_module("device_probes")
        return collect([getattr(module, name) for name in ("torch", "gpu", "first", "second", "third")])


def test_a_device_that_is_lost_or_full_takes_nothing_else_with_it(failing: list[Outcome]) -> None:
    """Its run has failed and says why; what was seen there before, what is looked at after it, and every other place stay."""
    runs = {one.place: one for one in failing if one.subject == "precision"}

    assert {place: one.reason for place, one in runs.items() if one.status == "failed"} == FAILED
    assert {one.subject for one in failing if one.status != "ok"} == {"precision"}
    for place in ("cpu", "cuda:5"):
        assert [one.status for one in runs[place].fact.operations] == ["works", "works"]
    assert [one.fact.text for one in failing if one.subject == "third"] == ["cpu", *(f"cuda:{number}" for number in range(6))]


def test_of_a_device_that_is_lost_or_full_no_format_is_called_refused(failing: list[Outcome]) -> None:
    """Nobody knows what it carries: undetermined there and over all, and no finding about a format; the others keep their verdicts."""
    report = judged(failing, Asked(dtype="bf16"), registered=plugins())

    assert report.exit_code == 3
    assert report.reason.startswith(f"precision (cuda:0) failed: {FAILED['cuda:0']}")
    assert {one.name: one.verdict.value for one in report.places if one.name != "cpu"} == {
        **dict.fromkeys(FAILED, "undetermined"),
        "cuda:5": "ready",
    }
    assert [one for one in report.findings if one.code in {"IVD203", "IVD501"}] == []
