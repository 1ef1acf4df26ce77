"""What a loader leaves of a model, as trials: really loaded, and really run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402  # torch first

from ivdoctor.facts import TORCH_NAME, Asked, Cast, CastRun  # noqa: E402
from ivdoctor.trials import load as loading  # noqa: E402
from ivdoctor.trials.cast import cast_then_infer, compare  # noqa: E402
from ivdoctor.trials.inputs import Inputs, samples  # noqa: E402
from ivdoctor.trials.subject import Subject  # noqa: E402

pytestmark = pytest.mark.usefixtures("_as_it_was")

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
CPU = "cpu"

Saved = Callable[..., Path]


def subject(model: nn.Module, *, baseline: Any = "fp32", real: bool = False, **tensors: Any) -> Subject:
    """A model and its inputs as a trial takes them."""
    return Subject(name="planted", model=model.eval(), inputs=Inputs(tensors=tensors, said="some"), baseline=baseline, device=CPU, real=real)


def run(result: Cast, dtype: str) -> CastRun:
    found = result.run(dtype)
    assert found
    return found


class Picky(nn.Module):
    """One linear layer that does not cast what it is given."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.linear = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Any batch."""
        hidden: Tensor = self.linear(x)
        return hidden


@pytest.mark.parametrize(("name", "formats"), [("llama", {"bf16", "fp16"}), ("deepseek", {"bf16", "fp16"}), ("t5", {"fp16"})])
def test_what_a_loader_keeps_is_tried(name: str, formats: set[str], saved: Saved, library: Any) -> None:
    """`from_pretrained(dtype=)` for real, against `.to(dtype)`: the distance of the trial is that of the loaded model."""
    path = saved(name)
    maker: Any = type(loading.load(str(path), CPU).model)
    whole = maker.from_pretrained(path, local_files_only=True)
    inputs = next(samples(str(path), whole, whole.config)).tensors
    with torch.no_grad():
        expected = whole(**inputs).logits.double()
        really = {}
        for dtype in formats:
            loaded = maker.from_pretrained(path, torch_dtype=HALVES[dtype], local_files_only=True)
            really[f"load-in-{dtype}"] = float((loaded(**inputs).logits.double() - expected).norm() / expected.norm())

    found = cast_then_infer(CPU, Asked(model=str(path)))

    tried = {one.remedy: one for one in found.trials if one.remedy.startswith("load-in")}
    assert {remedy: one.metrics["relative_l2"] for remedy, one in tried.items()} == {remedy: pytest.approx(far) for remedy, far in really.items()}
    assert {one.status for one in tried.values()} == {"passed"}
    if name != "deepseek":  # of zeros, as a new model's are, and of so short a context nothing is lost
        assert really["load-in-fp16"] != pytest.approx(run(found, "fp16").relative_l2), "what is kept makes a difference here"


def test_a_loader_that_keeps_nothing_is_no_trial_of_its_own(saved: Saved) -> None:
    found = cast_then_infer(CPU, Asked(model=str(saved("bert"))))

    assert found.kept == ()
    assert {one.remedy for one in found.trials} == {"everything-bf16", "everything-fp16", "everything-fp32"}


def test_a_kept_tensor_that_clashes_is_a_failed_trial() -> None:
    """One bias left in fp32 makes the layer raise, and that is said."""

    def loaded(dtype: Any) -> nn.Module:
        model = Picky().to(getattr(torch, TORCH_NAME[dtype]))
        model.linear.bias.data = model.linear.bias.data.float()
        return model

    found = compare(replace(subject(Picky(), x=torch.randn(3, 8)), again=loaded))

    trials = {one.remedy: one for one in found.trials}
    assert (trials["load-in-bf16"].status, trials["everything-bf16"].status) == ("failed", "passed")
    assert trials["load-in-bf16"].after.startswith("RuntimeError: ")
    assert trials["load-in-bf16"].metrics == {}
