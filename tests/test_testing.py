"""The helpers for people who write probes and rules."""

import dataclasses
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from ivdoctor import codec, explanation, facts, testing
from ivdoctor.facts import Asked, Cast, Cell, Driver, Frame, Kept, Mismatch, Operand, Place, Precision, Torch, Towers
from ivdoctor.finding import Problem, Severity
from ivdoctor.rule import rule
from ivdoctor.tables import table
from ivdoctor.testing import (
    a_cast,
    a_checkpoint,
    a_cpu,
    a_device,
    a_driver,
    a_failure,
    a_flow,
    a_frame,
    a_gpu,
    a_host,
    a_miniature,
    a_mismatch,
    a_model,
    a_native,
    a_place,
    a_precision,
    a_replay,
    a_torch,
    a_torch_without_cuda,
    an_adapter,
    an_amp,
    an_anatomy,
    an_environ,
    an_nvml_device,
    an_operation,
    findings,
    operands,
    recorded,
    some_packages,
    verdict,
)

MACHINES = Path(__file__).parent / "machines"


@rule("ACME001", severity=Severity.ERROR)
def driver_below_baseline(driver: Driver, asked: Asked) -> Iterator[Problem]:
    """
    The driver is below the fleet's baseline.

    ## Fix
    Ask for a new image.
    """
    if int(driver.version.partition(".")[0]) < 550:
        yield Problem(message=f"driver {driver.version}, dtype {asked.dtype}")
    if driver.version == "0":
        raise ZeroDivisionError(driver.version)


def test_the_modules_own_example_works() -> None:
    """As it stands in the docstring."""
    (found,) = findings(driver_below_baseline, a_driver(version="535.104.05"))
    assert "535.104.05" in found.message
    assert findings(driver_below_baseline, a_driver()) == []


def test_asked_is_known_unless_another_is_given() -> None:
    """As in a checkup: the rule above is never skipped for it."""
    (found,) = findings(driver_below_baseline, a_driver(version="1"), Asked(dtype="bf16"))
    assert found.message == "driver 1, dtype bf16"
    assert findings(driver_below_baseline, a_driver(version="1"))[0].message == "driver 1, dtype auto"


def test_a_rule_that_was_skipped_or_broke_cannot_look_silent() -> None:
    """`findings` refuses; `verdict` shows which."""
    with pytest.raises(AssertionError, match="ACME001 was skipped: driver: no probe gave it"):
        findings(driver_below_baseline)
    with pytest.raises(AssertionError, match="ACME001 broke: ZeroDivisionError: 0"):
        findings(driver_below_baseline, a_driver(version="0"))
    assert verdict(driver_below_baseline).skipped
    assert verdict(driver_below_baseline, a_driver(version="0")).error


def test_a_finding_carries_the_name_of_the_place_given() -> None:
    """As it does in a report."""
    (found,) = findings(driver_below_baseline, a_driver(version="1"), a_place("sm_75", "Tesla T4", name="cuda:3"))
    assert found.place == "cuda:3"


@pytest.mark.parametrize(
    "fact",
    [
        a_host(),
        a_cpu("avx2"),
        a_driver(),
        a_gpu(a_device()),
        a_torch(),
        a_torch_without_cuda(),
        some_packages(),
        an_environ({"CUDA_VISIBLE_DEVICES": "0"}),
        a_place(),
        a_precision(),
        a_mismatch(),
        a_model(),
        a_checkpoint(),
        an_amp(),
        a_failure(),
        a_failure("", frames=(a_frame(),), operands=operands(input="float16", bias=""), speakers=("rank 3",)),
        a_cast(),
        a_cast(how="miniature"),
        a_cast(baseline="bf16", overflow=("fp16",), kept=(Kept(name="inv_freq", what="rotary", off={"bf16": 0.4}, position=4096),)),
        a_cast(raised={"bf16": "no"}, drift={"fp16": 0.3}, logits={"fp16": (0.8, 0.2)}, fed={("fp16", "fp32"): "clash"}),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_every_fact_survives_the_snapshots_json(fact: object) -> None:
    """A builder that made what no probe could give would prove nothing."""
    assert codec.build(codec.load(codec.dump(codec.plain(fact))), type(fact)) == fact


def test_every_fact_that_a_rule_can_need_has_a_builder() -> None:
    """Asked is its own builder."""
    made = {
        type(one)
        for one in (
            *(a_host(), a_cpu(), a_driver(), a_gpu(), a_torch(), some_packages(), an_environ(), a_place(), a_precision(), a_mismatch()),
            *(a_model(), a_checkpoint(), an_anatomy(), an_adapter(), a_native(), a_cast(), an_amp(), a_failure()),
            *(a_flow(), a_miniature(), a_replay()),
        )
    }
    parts = {"Attempt", "Cell", "Device", "DtypeRow", "NvmlDevice", "Operation", "Package", "Site", "Switch", "Towers", "Trial", "Variable", "Asked"}
    parts |= {"Cache", "CastRun", "Drift", "Fed", "Frame", "Kept", "Limits", "Misuse", "Operand", "Quantisation", "Rounding", "Step", "Stored"}
    parts |= {"Flowed", "Held", "InputCast", "Pair", "Replayed"}
    known = {kind for name in facts.__all__ if dataclasses.is_dataclass(kind := getattr(facts, name)) and name not in parts}
    assert known == made


def test_keywords_are_fields() -> None:
    """A field that does not exist is refused, as its fact would."""
    assert a_torch(cuda=(13, 0)).cuda == (13, 0)
    assert a_driver(devices=()).devices == ()
    assert an_nvml_device("sm_75", memory_mib=1).memory_mib == 1
    with pytest.raises(TypeError):
        a_torch(cudaa=(13, 0))


def test_a_place_has_the_row_of_its_identifier() -> None:
    """From the tables, as a checkup would find it."""
    assert a_place("sm_75", "Tesla T4").dtypes.bf16 == "emulated"
    assert a_place("gfx942").kind == "rocm"
    assert a_place("mps", "Apple M3 Max").dtypes.bf16 == "native"
    assert a_place(features=("amx_bf16",)).dtypes.bf16 == "native"
    assert a_place("gfx1300").dtypes.bf16 == "unknown"
    assert a_place("xpu", "Unheard-of").dtypes.bf16 == "unknown"
    assert a_place("sm_140").dtypes.bf16 == "native"
    assert a_place("sm_140").dtypes.source.startswith("derived from sm_121")
    assert a_place("sm_75", reachable=False).reachable is False
    with pytest.raises(ValueError, match="'sm75' is none of"):
        a_place("sm75")


def test_a_precision_works_but_for_the_odd_operations() -> None:
    """Fifteen operations, one of them refused."""
    precision = a_precision(an_operation("bf16", "conv2d", "refused"), bf16_flag=True)
    assert len(precision.operations) == 15
    assert [(one.dtype, one.name) for one in precision.operations if one.status != "works"] == [("bf16", "conv2d")]
    assert not any(one.ratio for one in precision.operations)
    assert precision.bf16_flag is True


def test_a_precision_may_be_timed_and_have_rarer_operations() -> None:
    """A ratio is of all operations of a format but the odd ones; what is no everyday operator stands last."""
    precision = a_precision(an_operation("fp16", "fft", "no"), an_operation("bf16", "conv2d", ratio=1.0), ratios={"bf16": 60.0})
    assert (len(precision.operations), precision.operations[-1].name) == (16, "fft")
    assert [one.name for one in precision.timed("bf16")] == ["matmul", "linear", "attention", "layer_norm", "conv2d"]
    assert (precision.timed("fp16"), [one.name for one in precision.lacking("fp16")]) == ((), ["fft"])
    fp8 = a_precision(an_operation("fp8_e4m3", "matmul"))
    assert [one.dtype for one in fp8.operations[-2:]] == ["bf16", "fp8_e4m3"]


@pytest.mark.parametrize("category", sorted({row["category"] for row in table("message_examples")}))
def test_a_failure_is_what_reading_its_categorys_first_example_gives(category: str) -> None:
    """With its own words, so that a rule sees what a text would tell it; and every category that a text can have is there."""
    text = next(row["text"] for row in table("message_examples") if row["category"] == category)
    (read,) = explanation.read(BytesIO(text.encode())).failures
    assert a_failure(category) == read
    assert (read.category, bool(read.family), read.count) == (category, True, 1)


def test_a_failure_of_no_known_category_is_an_exception_that_nobody_knows() -> None:
    """A plugin may have categories of its own; a field that does not exist is refused."""
    assert (a_failure("").family, a_failure("").category, a_failure("").error) == ("", "", "AcmeError")
    assert (a_failure("acme-flux").family, a_failure("acme-flux").category) == ("", "acme-flux")
    assert a_failure("neg-oom", count=8).count == 8
    with pytest.raises(TypeError):
        a_failure(categori="neg-oom")


def test_a_frame_is_the_users_own_unless_a_library_is_named() -> None:
    """`own` and `raised` of a failure follow from it."""
    failure = a_failure(frames=(a_frame(), a_frame(file="linear.py", library="torch")))
    assert failure.own == Frame(file="train.py", line=12, function="step", code="loss = model(x)")
    assert failure.raised == a_frame(file="linear.py", library="torch")


def test_operands_are_named_by_their_roles_in_order() -> None:
    """As the message says them; a role without a dtype is one that the text leaves open."""
    assert operands(input="float16", bias="") == (Operand(role="input", dtype="float16"), Operand(role="bias"))
    assert a_failure(operands=operands(mat1="float16", mat2="", out="float32")).dtypes == ("float16", "float32")
    assert operands() == ()


def passes(mismatch: Mismatch) -> list[Cell | Towers]:
    """Every forward pass without a remedy."""
    return [*mismatch.cells, *mismatch.towers]


def outcome_of(mismatch: Mismatch) -> dict[tuple[str, str], tuple[str, ...]]:
    """Statuses by case and remedy: what does not depend on torch's version or on chance."""
    attempts = {(one.case, ""): (one.attempt.status, one.attempt.location.op if one.attempt.location else "") for one in passes(mismatch)}
    trials = {(one.case, one.remedy): (one.status, one.computes_in) for one in mismatch.trials}
    return {**attempts, **trials}


def test_the_made_up_mismatch_agrees_with_the_recorded_one() -> None:
    """Every cell and every trial it has ended so on a real machine too, and raised with the same words."""
    (real,) = [fact for fact in recorded(MACHINES / "cpu.json") if isinstance(fact, Mismatch)]
    made, there = outcome_of(a_mismatch()), outcome_of(real)
    assert {key: there[key] for key in made} == made
    words = {one.case: one.attempt.message for one in passes(real)}
    assert all(words[one.case] == one.attempt.message for one in passes(a_mismatch()))


def test_the_made_up_mismatch_agrees_with_a_run_here() -> None:
    """When the reproduction gains a remedy, this one must too."""
    pytest.importorskip("torch")
    from ivdoctor.trials.reproduction import reproduce

    real = reproduce("cpu")
    if not all(cell.attempt.status == "ran" for cell in real.cells if cell.model == cell.input):
        pytest.skip("this torch lacks half-precision kernels")
    made, there = outcome_of(a_mismatch()), outcome_of(real)
    ended = {key: there[key][0] for key in made if key[1] != "autocast"}  # which operators autocast covers changes with torch
    assert ended == {key: made[key][0] for key in ended}
    cells = {one.case for one in real.cells}
    assert {remedy for case, remedy in there if case in cells} == {remedy for case, remedy in made if case in cells}


def shape_of(cast: Cast) -> dict[str, object]:
    """What does not depend on torch's version or on chance: how it ended, what was measured, and the trials that follow."""
    return {
        "cast": (cast.model, cast.how, cast.baseline, cast.inputs, cast.output, cast.parameters, cast.headroom_module, cast.kept, cast.rounding),
        "runs": [(one.dtype, one.status, one.usable, one.top1 is None, one.kl is None, one.lost_at != "", bool(one.modules)) for one in cast.runs],
        "costs": [(one.time_ratio is None, one.memory_ratio is None) for one in cast.runs],
        "fed": [(one.case, one.status) for one in cast.fed],
        "trials": [(one.remedy, one.case, one.status, one.how, one.where, one.before, one.computes_in, sorted(one.metrics)) for one in cast.trials],
        "after": [one.after for one in cast.trials if one.status == "passed"],
    }


def test_the_made_up_cast_agrees_with_a_run_here() -> None:
    """When casting gains a trial or a figure, this one must too; and every module it names is one of the miniature's."""
    pytest.importorskip("torch")
    from ivdoctor.trials.cast import cast_then_infer

    real, made = cast_then_infer("cpu", Asked()), a_cast(how="miniature")
    if not all(run.usable for run in real.runs):
        pytest.skip("this torch lacks half-precision kernels")
    assert shape_of(made) == shape_of(real)
    assert made.headroom == pytest.approx(real.headroom, rel=0.1)
    for run, other in zip(made.runs, real.runs, strict=True):
        assert run.relative_l2 == pytest.approx(other.relative_l2, rel=0.5)
        assert run.cosine == pytest.approx(other.cosine, rel=1e-3)
        known = {(one.module, one.kind, one.block) for one in other.modules}
        assert {(one.module, one.kind, one.block) for one in run.modules} <= known
        assert run.modules[-1].module == other.modules[-1].module


def test_the_made_up_cast_of_a_model_agrees_with_a_real_one(tmp_path: Path) -> None:
    """A model with logits, whose loader keeps the rotary frequencies in fp32: the same runs, and the same trials in the same order."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from ivdoctor.trials.cast import cast_then_infer

    config = transformers.LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, vocab_size=64, max_position_embeddings=64
    )
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    real = cast_then_infer("cpu", Asked(model=str(tmp_path / "model")))
    if not all(run.usable for run in real.runs):
        pytest.skip("this torch lacks half-precision kernels")
    kept = (Kept(name="inv_freq", what="rotary"),)
    made, there = shape_of(a_cast(kept=kept, logits={"bf16": (1.0, 0.0), "fp16": (1.0, 0.0)})), shape_of(real)
    assert [one.what for one in real.kept] == ["rotary"]
    assert real.rounding is not None
    for part in ("runs", "fed", "trials", "after"):
        assert made[part] == there[part]
    assert (real.model, real.how, real.baseline, real.missing) == ("model", "real-run", "fp32", ())


def test_a_cast_that_went_wrong_has_the_trials_of_one_that_did() -> None:
    """What raised and what overflowed failed, with its own words; what was skipped was not tried; what drifts beyond its own size failed."""
    kept = (Kept(name="inv_freq", what="rotary"),)
    cast = a_cast(overflow=("fp16",), raised={"bf16": "no kernel"}, fed={("fp16", "fp32"): "clash"}, kept=kept)
    ended = {one.remedy: (one.status, one.after) for one in cast.trials}
    lost = ("failed", "ran, and the output is not finite")
    assert ended == {
        "everything-bf16": ("failed", "no kernel"),
        "everything-fp16": lost,
        "everything-fp32": ("passed", "ran, output float32"),
        "cast-input": lost,
        "load-in-fp16": lost,
    }
    assert {one.remedy for one in a_cast(skipped={"bf16": "slow", "fp16": "slow"}).trials} == {"everything-fp32"}
    assert [one.status for one in a_cast(drift={"bf16": 1.5, "fp16": 0.5}).trials] == ["failed", "passed", "passed"]
    assert a_cast(overflow=("fp16",)).headroom == 1.6
    assert a_cast("cuda:0", baseline="bf16").trials[-1].where == "cuda:0"
    assert a_cast(parameters=7).parameters == 7


def test_a_cast_may_be_loaded_in_a_format_with_another_end() -> None:
    """A distance, numbers that are not finite, or a message; and a baseline that is not finite fails its own trial."""
    cast = a_cast(overflow=("fp16",), loaded={"fp16": 0.002, "bf16": "RuntimeError: no"}, nonfinite=7, unrun=("vision",))
    ended = {one.remedy: (one.status, one.after, one.metrics) for one in cast.trials if one.remedy != "everything-bf16"}
    lost = "ran, and the output is not finite"
    assert ended == {
        "everything-fp16": ("failed", lost, {"relative_l2": -1.0}),
        "everything-fp32": ("failed", lost, {"relative_l2": 0.0}),
        "load-in-fp16": ("passed", "ran, output float16", {"relative_l2": 0.002}),
        "load-in-bf16": ("failed", "RuntimeError: no", {}),
    }
    assert (cast.nonfinite, cast.unrun, a_cast(loaded={"fp16": -1.0}).trials[-1].after) == (7, ("vision",), lost)
    assert a_cast(fed={("bf16", "fp32"): "clash"}).floats == "float32"
    assert (a_cast().floats, a_cast().architecture, a_cast(how="miniature").architecture) == ("", "LlamaForCausalLM", "")


def test_a_refused_format_fails_alone_and_in_every_remedy_that_computes_in_it() -> None:
    """Agreeing dtypes raise its message; float32 still helps."""
    mismatch = a_mismatch(refused={"fp16": "no fp16 here"})
    cell = mismatch.cell("fp16", "fp16")
    assert cell is not None
    assert cell.attempt.message == "no fp16 here"
    tried = {one.remedy: one.status for one in mismatch.tried("fp16/bf16")}
    assert (tried["cast-input"], tried["cast-model"], tried["everything-fp32"]) == ("failed", "passed", "passed")


def test_a_recorded_machine_gives_its_facts_at_one_place() -> None:
    """The place itself, what was looked at there, and what the machine shares; nothing of another place."""
    there = {type(fact): fact for fact in recorded(MACHINES / "t4.json", "cuda:0")}
    assert {Place, Torch, Driver, Precision} <= there.keys()
    place = there[Place]
    assert isinstance(place, Place)
    assert place.title == "Tesla T4"
    with pytest.raises(ValueError, match="has no place 'cuda:7', only cpu, cuda:0"):
        recorded(MACHINES / "t4.json", "cuda:7")


def test_everything_public_is_documented() -> None:
    """Plugin authors read the docstrings, not the tests."""
    functions = [value for name in testing.__all__ if callable(value := getattr(testing, name))]
    assert len(functions) > 15
    assert all(function.__doc__ for function in functions)
