"""Cast-then-infer where something goes wrong: inputs that were left as they are, and formats that raise, overflow or give another shape."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402  # torch first

from ivdoctor.facts import Asked, Cast, CastRun  # noqa: E402
from ivdoctor.probe import Absent, DeviceFault  # noqa: E402
from ivdoctor.trials.cast import cast_then_infer, compare  # noqa: E402
from ivdoctor.trials.inputs import Inputs  # noqa: E402
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


# Float inputs left as they are


def test_a_clash_with_float_inputs_is_seen_and_its_cure_tried(saved: Saved) -> None:
    """The first convolution of whisper takes the features as they come: both formats clash, and casting the input is the way out."""
    found = cast_then_infer(CPU, Asked(model=str(saved("whisper"))))

    assert [(one.model, one.input, one.status) for one in found.fed] == [("bf16", "fp32", "raised"), ("fp16", "fp32", "raised")]
    for one in found.fed:
        assert "should be the same" in one.message
        assert one.location
        assert (one.location.module, one.location.op) == ("model.encoder.conv1", "aten.convolution")
        assert one.location.file.endswith("whisper/modeling_whisper.py")
        assert "self.conv1(" in one.location.code
    cures = {one.case: one for one in found.trials if one.remedy == "cast-input"}
    assert set(cures) == {"bf16/fp32", "fp16/fp32"}
    for fed in found.fed:
        cure = cures[fed.case]
        assert (cure.status, cure.how, cure.before, cure.computes_in) == ("passed", "real-run", fed.message, fed.model)
        assert cure.metrics == {"relative_l2": run(found, fed.model).relative_l2}


def test_a_model_that_casts_its_inputs_itself_takes_them(saved: Saved) -> None:
    """ViT does."""
    found = cast_then_infer(CPU, Asked(model=str(saved("vit"))))

    assert {(one.model, one.input, one.status, one.message) for one in found.fed} == {("bf16", "fp32", "ran", ""), ("fp16", "fp32", "ran", "")}
    assert not [one for one in found.trials if one.remedy == "cast-input"]


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_ids_are_not_fed(name: str, saved: Saved) -> None:
    """There is nothing to cast."""
    assert cast_then_infer(CPU, Asked(model=str(saved(name)))).fed == ()


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


@pytest.mark.parametrize(
    ("asked", "cells"),
    [
        (None, [("bf16", "fp32"), ("fp16", "fp32")]),
        ("fp32", [("bf16", "fp32"), ("fp16", "fp32")]),
        ("bf16", [("fp16", "bf16"), ("fp32", "bf16")]),
        ("fp16", [("bf16", "fp16"), ("fp32", "fp16")]),
    ],
)
def test_the_users_input_dtype_is_what_is_fed(asked: Any, cells: list[tuple[str, str]]) -> None:
    """As they came where he named none, here in fp32; a format fed with itself is no cell of its own, and the baseline is fed too."""
    found = compare(subject(Picky(), x=torch.randn(3, 8)), Asked(input_dtype=asked))

    assert [(one.model, one.input) for one in found.fed] == cells
    assert {one.status for one in found.fed} == {"raised"}
    assert {one.case for one in found.trials if one.remedy == "cast-input"} == {f"{one}/{two}" for one, two in cells}


# Faults of one format


class InOne(nn.Module):
    """A linear layer, and something that happens in one format alone."""

    def __init__(self, dtype: Any, happens: Callable[[Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.linear, self.part, self.dtype, self.happens = nn.Linear(8, 5), nn.Identity(), dtype, happens

    def forward(self, x: Tensor) -> Any:
        """Batch in and out."""
        x = self.part(self.linear(x))
        return self.happens(x) if x.dtype == self.dtype else x


def refuse(_: Tensor) -> Any:
    raise NotImplementedError('"planted" not implemented for this format\nand a stack of C++')


@pytest.mark.parametrize(("dtype", "other"), [("bf16", "fp16"), ("fp16", "bf16")])
def test_a_model_that_raises_in_one_format_alone(dtype: str, other: str) -> None:
    """The other is as it would have been; the message is the first line of the model's own."""
    found = compare(subject(InOne(HALVES[dtype], refuse), x=torch.randn(3, 8)), Asked())
    sound = compare(subject(InOne(None, refuse), x=torch.randn(3, 8)), Asked())

    broken = run(found, dtype)
    assert (broken.status, broken.usable, broken.message) == ("raised", False, 'NotImplementedError: "planted" not implemented for this format')
    assert broken.location
    assert broken.modules == ()
    assert run(found, other).status == "ran"
    assert [(one.module, one.kind) for one in run(found, other).modules] == [(one.module, one.kind) for one in run(sound, other).modules]
    trials = {one.remedy: one for one in found.trials if one.case == "cast"}
    assert (trials[f"everything-{dtype}"].status, trials[f"everything-{dtype}"].after) == ("failed", broken.message)
    assert (trials[f"everything-{dtype}"].metrics, trials[f"everything-{other}"].status) == ({}, "passed")
    assert [one.model for one in found.fed] == [other], "what does not run with its inputs cast is not fed others"


class Loud(nn.Module):
    """The second layer's sums go beyond 65504; what follows makes NaN of Inf."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4, bias=False), nn.Identity()) for _ in range(3))
        for number, block in enumerate(self.blocks):
            block[0].weight.data = torch.eye(4) * (1, 1e4, 1e-4)[number]  # type: ignore[index]  # a Sequential

    def forward(self, x: Tensor) -> Tensor:
        """Batch in and out."""
        for block in self.blocks:
            x = block(x)
        return x - x.mean(-1, keepdim=True)


def test_a_model_that_gives_nan_in_fp16_alone() -> None:
    """The module is named, nothing is claimed of the output, and the way out is the other format."""
    x = torch.tensor([[10.0, 20.0, 30.0, 41.0], [0.1, 0.2, 0.3, 0.4]])
    expected = int(torch.isnan(Loud().half()(x.half())).sum())
    assert expected == 4

    found = compare(subject(Loud(), x=x))

    fp16 = run(found, "fp16")
    assert (fp16.status, fp16.usable, fp16.nonfinite, fp16.first_nonfinite) == ("ran", False, expected, "blocks.1.0")
    assert (fp16.relative_l2, fp16.max_abs, fp16.cosine, fp16.top1, fp16.kl) == (-1, -1, 0, None, None)
    assert fp16.lost_at == "blocks.1.0"
    assert run(found, "bf16").usable
    assert found.headroom == pytest.approx(41e4 / 65504)
    assert found.headroom_module == "blocks.1.0"
    assert {one.remedy: (one.status, one.after) for one in found.trials} == {
        "everything-bf16": ("passed", "ran, output bfloat16"),
        "everything-fp16": ("failed", "ran, and the output is not finite"),
        "everything-fp32": ("passed", "ran, output float32"),
    }


def test_an_output_of_another_shape_is_no_success() -> None:
    """There is nothing to compare it with."""
    found = compare(subject(InOne(torch.bfloat16, lambda x: x[:1]), x=torch.randn(3, 8)))
    gone = compare(subject(InOne(torch.bfloat16, lambda _: None), x=torch.randn(3, 8)))

    for one in (found, gone):
        assert (run(one, "bf16").status, run(one, "bf16").message) == ("raised", "the output has another shape than in fp32")
        assert run(one, "fp16").status == "ran"


def test_an_output_far_from_the_baseline_is_no_way_out() -> None:
    """It ran, and a trial of it did not pass."""
    found = compare(subject(InOne(torch.float16, lambda x: -x), x=torch.randn(3, 8)))

    assert run(found, "fp16").usable
    assert run(found, "fp16").relative_l2 == pytest.approx(2, rel=1e-2)
    assert run(found, "fp16").cosine == pytest.approx(-1, abs=1e-3)
    assert {one.computes_in: one.status for one in found.trials} == {"bf16": "passed", "fp16": "failed", "fp32": "passed"}


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (refuse, r'^the model does not run in fp32 on its inputs: NotImplementedError: "planted" not implemented for this format$'),
        (lambda _: None, r"^the model returns no tensor of floating numbers, so there is nothing to compare$"),
        (lambda x: x.argmax(-1), r"^the model returns no tensor of floating numbers, so there is nothing to compare$"),
        (lambda x: x * float("nan"), r"^the model gives no finite number in fp32 already(, first in .+)?$"),
        (lambda x: x[:0], r"^the model gives no finite number in fp32 already(, first in .+)?$"),
    ],
)
def test_without_a_baseline_there_is_nothing_to_say(happens: Callable[[Tensor], Any], words: str) -> None:
    """Absent, in one line."""
    with pytest.raises(Absent, match=words):
        compare(subject(InOne(torch.float32, happens), x=torch.randn(3, 8)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_device_that_is_lost_ends_everything(dtype: Any) -> None:
    """Wherever that happens."""

    def lost(_: Tensor) -> Any:
        raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(DeviceFault, match="device-side assert"):
        compare(subject(InOne(dtype, lost), x=torch.randn(3, 8)))


def test_the_model_is_afterwards_what_it_was() -> None:
    """No hook, no cast and no gradient stays, whatever failed."""
    for happens in (refuse, lambda x: x * float("nan")):
        model = InOne(torch.float16, happens)
        before = {name: one.clone() for name, one in model.state_dict().items()}

        compare(subject(model, x=torch.randn(3, 8)), Asked())

        assert all(torch.equal(one, before[name]) and one.dtype == torch.float32 for name, one in model.state_dict().items())
        assert not [one for one in model.modules() if one._forward_hooks]
        assert not [one for one in model.parameters() if one.grad is not None]


def test_the_users_own_half_inputs_are_fed_as_they_are() -> None:
    """Nobody's processor emitted fp32."""
    found = compare(subject(Picky(), x=torch.randn(3, 8).bfloat16()), Asked(dtype="bf16"))

    assert found.floats == "bfloat16"
    assert [one.case for one in found.fed] == ["fp16/bf16", "fp32/bf16"]
