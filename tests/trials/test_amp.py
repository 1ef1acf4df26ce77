"""Training steps on the CPU: both half formats train, a scaler that meets Inf backs off, and a failure is placed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402  # torch first

from ivdoctor.facts import TORCH_NAME, release  # noqa: E402
from ivdoctor.probe import DeviceFault  # noqa: E402
from ivdoctor.trials import amp  # noqa: E402
from ivdoctor.trials.amp import BF16, FP16, Sgd, Trainee, Way, cast_at_scatter, steps, trainee  # noqa: E402
from ivdoctor.trials.miniature import Miniature  # noqa: E402

SCALES = pytest.mark.skipif(release(torch.__version__) < (2, 3), reason="the GradScaler for the CPU came with torch 2.3")
PLAIN = Way(weights="fp32", autocast=None, call=cast_at_scatter)


@pytest.fixture
def learner() -> Iterator[Trainee]:
    threads = torch.get_num_threads()
    yield trainee("cpu")
    torch.set_num_threads(threads)


@SCALES
def test_both_half_formats_train_under_autocast(learner: Trainee) -> None:
    """Loss and gradients finite, weights moved, and nothing to be said."""
    bf16, fp16 = steps(learner)

    assert [(one.dtype, one.scaled, one.usable, one.message) for one in (bf16, fp16)] == [("bf16", False, True, ""), ("fp16", True, True, "")]
    assert bf16.loss == pytest.approx(fp16.loss, rel=1e-2)
    assert bf16.loss != fp16.loss


def test_the_loss_is_the_one_of_the_same_step_in_fp32(learner: Trainee) -> None:
    """A low format rounds it, and no more."""
    assert learner.train(BF16).loss == pytest.approx(learner.train(PLAIN).loss, rel=1e-2)


def test_a_step_goes_down(learner: Trainee) -> None:
    """The stand-in for an optimizer follows the gradient: the loss after its step is smaller."""

    def loss() -> Tensor:
        logits = cast_at_scatter(learner.model, learner.pixels, learner.ids)
        value: Tensor = nn.functional.cross_entropy(logits[0, :-1], learner.ids[0, 1:])
        return value

    first = loss()
    first.backward()  # type: ignore[no-untyped-call]
    Sgd(tuple(learner.model.parameters())).step()

    assert float(loss().detach()) < float(first.detach())


def test_every_weight_gets_a_gradient(learner: Trainee) -> None:
    """A part that the pass leaves out would be a part that nobody looked at."""
    learner.train(BF16)

    assert [name for name, parameter in learner.model.named_parameters() if parameter.grad is None] == []


def test_a_way_starts_from_the_first_weights_and_leaves_them_as_they_were(learner: Trainee) -> None:
    """So the order of the runs does not matter."""
    before = [first.clone() for _, first in learner.weights]
    first = learner.train(BF16)
    for way in (FP16, replace(BF16, weights="bf16", autocast=None), PLAIN):
        learner.train(way)
    learner.done.clear()

    assert learner.train(BF16) == first
    assert all(torch.equal(one, two) for one, (_, two) in zip(before, learner.weights, strict=True))


def test_a_way_is_run_once(learner: Trainee) -> None:
    """What is asked for again is remembered."""
    calls = []

    def call(model: Miniature, pixels: Tensor, ids: Tensor) -> Tensor:
        calls.append(pixels)
        return cast_at_scatter(model, pixels, ids)

    way = replace(BF16, call=call)
    assert learner.train(way) is learner.train(way)
    assert len(calls) == 1


def scaled_up(factor: float) -> Way:
    """The fp16 step of a model whose logits, and so whose gradients, are this many times as large."""

    def call(model: Miniature, pixels: Tensor, ids: Tensor) -> Tensor:
        logits: Tensor = cast_at_scatter(model, pixels, ids) * torch.tensor(factor)
        return logits

    return replace(FP16, call=call)


@SCALES
def test_a_scaler_that_meets_inf_backs_off_until_a_step_is_made(learner: Trainee) -> None:
    """As a real loop does: it says so, and is well."""
    outcome = learner.train(scaled_up(8.0))

    assert outcome.usable
    assert outcome.message in {f"the scaler backed off: it skipped {skipped} steps" for skipped in range(1, amp.TRIES)}


@SCALES
def test_a_scaler_that_meets_nothing_but_inf_is_given_up(learner: Trainee) -> None:
    """The weights stay, and the step says what is wrong."""
    outcome = learner.train(scaled_up(float("inf")))

    assert (outcome.status, outcome.usable, outcome.moved) == ("ran", False, False)
    assert outcome.message == "the scaler backed off: it skipped 8 steps"
    assert outcome.said() == "ran, and the loss is not finite"


def test_a_loss_that_is_not_finite_is_no_success(learner: Trainee) -> None:
    """-1 stands for it, because JSON has no NaN."""

    def call(model: Miniature, pixels: Tensor, ids: Tensor) -> Tensor:
        return cast_at_scatter(model, pixels * float("nan"), ids)

    outcome = learner.train(replace(BF16, call=call))

    assert (outcome.loss, outcome.gradients_finite, outcome.usable) == (-1.0, False, False)


def test_gradients_that_are_not_finite_are_no_success(learner: Trainee) -> None:
    """A root at zero has a finite value and an infinite slope."""

    def call(model: Miniature, pixels: Tensor, ids: Tensor) -> Tensor:
        return cast_at_scatter(model, pixels, ids) + (model.lm.lm_head.bias * 0).sum().sqrt()

    outcome = learner.train(replace(BF16, call=call))

    assert outcome.loss > 0
    assert outcome.said() == "ran, and the gradients are not finite"


def test_a_failure_has_torchs_words_and_its_place(learner: Trainee) -> None:
    """The line is one of the miniature's or of its trainer's, as it stands in the file."""

    def call(model: Miniature, pixels: Tensor, ids: Tensor) -> Tensor:
        model.projector.double()
        return cast_at_scatter(model, pixels, ids)

    outcome = learner.train(replace(PLAIN, call=call))

    assert (outcome.status, outcome.by_scaler) == ("raised", False)
    at = outcome.location
    assert at
    assert (at.module.partition(".")[0], at.file, at.code) == (
        "projector",
        "ivdoctor/trials/amp.py",
        "visual = model.projector(model.vision(pixels))",
    )
    assert Path(amp.__file__).read_text(encoding="utf-8").splitlines()[at.line - 1].strip() == at.code


def test_a_device_that_is_lost_ends_everything(learner: Trainee) -> None:
    """Whatever ran next would fail for that reason alone."""

    def call(model: Miniature, pixels: Tensor, ids: Tensor) -> Tensor:
        raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(DeviceFault, match="device-side assert"):
        learner.train(replace(BF16, call=call))


def test_a_device_without_autocast_is_absent() -> None:
    """In the words of torch; `meta` stands for a device whose autocast came later."""
    threads = torch.get_num_threads()
    try:
        outcome = trainee("meta").train(BF16)
    finally:
        torch.set_num_threads(threads)

    assert (outcome.status, outcome.location) == ("absent", None)
    assert "autocast device_type" in outcome.message


def test_a_format_that_autocast_leaves_out_is_absent(learner: Trainee, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of float64 torch warns, and computes as if there were no autocast: that is no success."""
    monkeypatch.setitem(TORCH_NAME, "fp64", "float64")
    outcome = learner.train(replace(BF16, autocast="fp64"))  # type: ignore[arg-type]  # stands for a format that a later torch takes

    assert outcome.status == "absent"
    assert "autocast" in outcome.message.lower()
    assert learner.done[replace(BF16, autocast="fp64")] is outcome  # type: ignore[arg-type]


@pytest.mark.skipif(release(torch.__version__) >= (2, 2), reason="this torch has float16 autocast on the CPU")
def test_an_old_torch_has_no_fp16_step_on_the_cpu(learner: Trainee) -> None:
    """No scaler and no such autocast; bf16 trains."""
    bf16, fp16 = steps(learner)

    assert (bf16.usable, fp16.status) == (True, "absent")
