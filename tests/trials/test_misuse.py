"""The misuses on the CPU: what torch says of each, where, and what each remedy does to it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402  # torch first

from ivdoctor.facts import TORCH_NAME, Misuse, Trial, release  # noqa: E402
from ivdoctor.trials import amp, miniature, misuse  # noqa: E402
from ivdoctor.trials.amp import BF16, FP16, Outcome, Trainee, Way, cast_at_scatter, trainee  # noqa: E402
from ivdoctor.trials.miniature import Miniature  # noqa: E402
from ivdoctor.trials.misuse import FP32, MISTAKES, misuses, trials  # noqa: E402

RECENT = pytest.mark.skipif(release(torch.__version__) < (2, 13), reason="the words of torch 2.13")
SCALES = pytest.mark.skipif(release(torch.__version__) < (2, 3), reason="the GradScaler for the CPU came with torch 2.3")

WORDS = {
    "fp16-weights-scaled": ("raised", "Attempting to unscale FP16 gradients."),
    "half-inside-autocast": ("raised", "Unexpected floating ScalarType in at::autocast::prioritize"),
    "embeddings-outside-autocast": ("raised", "masked_scatter: expected self and source to have same dtypes but gotFloat and BFloat16"),
}


@pytest.fixture(scope="module")
def learner() -> Iterator[Trainee]:
    threads = torch.get_num_threads()
    yield trainee("cpu")
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def found(learner: Trainee) -> dict[str, Misuse]:
    return {one.name: one for one in misuses(learner)}


@pytest.fixture(scope="module")
def tried(learner: Trainee) -> list[Trial]:
    return list(trials(learner))


@RECENT
@pytest.mark.parametrize("name", sorted(WORDS))
def test_a_misuse_says_what_it_says_to_everybody(found: dict[str, Misuse], name: str) -> None:
    """Word for word, torch's own blunder of a missing blank included: whoever searches for it must find it."""
    assert (found[name].status, found[name].message) == WORDS[name]


@SCALES
def test_a_scaler_takes_bf16_on_the_cpu(found: dict[str, Misuse]) -> None:
    """It runs there, so it shows only on an accelerator that it is wrong."""
    one = found["bf16-scaled"]
    assert (one.status, one.location) == ("ran", None)
    assert one.message.startswith("ran, loss ")


@RECENT
@pytest.mark.parametrize(
    ("name", "module", "file", "code", "operator"),
    [
        ("fp16-weights-scaled", "", amp, "scaler.step(optimizer)", ""),
        ("half-inside-autocast", "vision", miniature, "tokens = torch.cat([", "aten.cat"),
        ("embeddings-outside-autocast", "", misuse, "embeds = embeds.masked_scatter(placeholders(ids), visual)", "masked_scatter"),
    ],
)
def test_a_misuse_is_placed_at_the_line_that_raises(  # noqa: PLR0917
    found: dict[str, Misuse], name: str, module: str, file: object, code: str, operator: str
) -> None:
    """The line one would look for in one's own code."""
    at = found[name].location
    assert at
    source = Path(str(getattr(file, "__file__", "")))
    assert (at.module, Path(at.file).name) == (module, source.name)
    assert at.code.startswith(code)
    assert at.op.endswith(operator)
    assert source.read_text(encoding="utf-8").splitlines()[at.line - 1].strip() == at.code


def test_embeddings_stay_fp32_under_autocast_in_every_torch(found: dict[str, Misuse]) -> None:
    """1.13 said it with the same words."""
    assert found["embeddings-outside-autocast"].status == "raised"
    assert "Float and BFloat16" in found["embeddings-outside-autocast"].message


@SCALES
def test_every_remedy_of_what_raised_passes(tried: list[Trial]) -> None:
    """And those of what ran are not tried: there is nothing to cure."""
    assert {(one.case, one.remedy) for one in tried} == {
        (mistake.name, remedy) for mistake in MISTAKES for remedy in mistake.remedies if mistake.name != "bf16-scaled"
    }
    assert [one for one in tried if one.status != "passed"] == []


def test_trials_say_what_they_are(found: dict[str, Misuse], tried: list[Trial]) -> None:
    """Run on a miniature, here; the failure's words before; the loss after."""
    assert tried
    for one in tried:
        assert (one.how, one.where) == ("miniature", "cpu")
        assert one.before.endswith(found[one.case].message)
        assert one.before != found[one.case].message
        assert one.after == f"ran, loss {one.metrics['loss']:.4f}, gradients finite"


def test_a_remedy_computes_in_the_format_it_says(learner: Trainee) -> None:
    """Its logits come out of a matrix product, so they have the format of one."""
    seen: dict[Way, object] = {}
    for way in {way for mistake in MISTAKES for way in mistake.remedies.values()}:

        def call(model: Miniature, pixels: Tensor, ids: Tensor, way: Way = way) -> Tensor:
            seen[way] = (logits := way.call(model, pixels, ids)).dtype
            return logits

        learner.train(replace(way, call=call))

    assert len(seen) >= 3
    assert seen == {way: getattr(torch, TORCH_NAME[way.computes_in]) for way in seen}


def test_a_pass_that_fails_before_the_scaler_is_not_the_scalers_fault() -> None:
    """No kernel for fp16 is another failure than a refusal to unscale."""
    lacking = Outcome(status="raised", error="RuntimeError", message="\"slow_conv2d_cpu\" not implemented for 'Half'")
    ill = replace(trainee("cpu"), done={mistake.way: lacking for mistake in MISTAKES if mistake.name == "fp16-weights-scaled"})
    one = next(one for one in misuses(ill) if one.name == "fp16-weights-scaled")

    assert (one.status, one.message) == ("absent", "it fails before the scaler: RuntimeError: \"slow_conv2d_cpu\" not implemented for 'Half'")
    assert "fp16-weights-scaled" not in {trial.case for trial in trials(ill)}


@SCALES
def test_a_step_that_fails_gets_remedies_too(learner: Trainee) -> None:
    """The other format and fp32, under the name of the step."""
    ill = replace(trainee("cpu"), done={BF16: replace(learner.train(BF16), gradients_finite=False)})

    assert {(one.remedy, one.status, one.before) for one in trials(ill) if one.case == "bf16-step"} == {
        ("fp16-autocast", "passed", "ran, and the gradients are not finite"),
        ("everything-fp32", "passed", "ran, and the gradients are not finite"),
    }


def test_what_torch_has_no_means_for_is_not_tried(learner: Trainee) -> None:
    """A remedy that is absent neither passed nor failed."""
    without = replace(trainee("cpu"), done={FP16: Outcome(status="absent", message="no scaler")})

    assert "fp16-autocast" not in {one.remedy for one in trials(without)}


def test_the_cast_at_the_scatter_is_all_that_differs(learner: Trainee) -> None:
    """In one format both ways of writing it give the same numbers, so the remedy changes nothing but the dtype."""
    model, pixels, ids = miniature.build()
    with torch.no_grad():
        assert torch.equal(cast_at_scatter(model, pixels, ids), misuse.as_they_come(model, pixels, ids))
    assert learner.train(FP32) == learner.train(replace(FP32, call=cast_at_scatter))


def test_two_runs_are_equal() -> None:
    """Fixed weights, one thread: a report of this machine does not change from day to day."""
    one, two = trainee("cpu"), trainee("cpu")

    assert (misuses(one), list(trials(one))) == (misuses(two), list(trials(two)))


def test_the_towers_half_stays_in_its_own_run(learner: Trainee) -> None:
    """The misuse casts a part of the model in place; the next way begins anew."""
    model: Miniature = learner.model
    learner.done.clear()
    learner.train(next(mistake.way for mistake in MISTAKES if mistake.name == "half-inside-autocast"))
    learner.train(FP32)

    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
