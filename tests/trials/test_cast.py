"""Cast, then infer: on tiny models of transformers, and what is not run or not reached."""

import copy
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

from torch import Tensor, nn  # noqa: E402  # torch first

from ivdoctor import codec  # noqa: E402
from ivdoctor.facts import Asked, Cast, CastRun  # noqa: E402
from ivdoctor.probe import Absent  # noqa: E402
from ivdoctor.trials import cast as module  # noqa: E402
from ivdoctor.trials import load as loading  # noqa: E402
from ivdoctor.trials import miniature  # noqa: E402
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


def plainly(model: Any, inputs: dict[str, Any], name: str) -> dict[str, Any]:
    """The model's output in each format, as a plain script has it; in float64."""
    outputs = {}
    for dtype, kind in {"fp32": torch.float32, **HALVES}.items():
        with torch.no_grad():
            cast = {one: tensor.to(kind) if tensor.is_floating_point() else tensor for one, tensor in inputs.items()}
            outputs[dtype] = copy.deepcopy(model).to(kind)(**cast)[name].double().numpy()
    return outputs


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize(
    ("name", "output", "shape"),
    [
        ("bert", "logits", (2, 3)),
        ("llama", "logits", (2, 10, 60)),
        ("deepseek", "logits", (2, 10, 60)),
        ("t5", "logits", (2, 4, 60)),
        ("whisper", "logits", (1, 4, 60)),
        ("vit", "last_hidden_state", (2, 17, 32)),
    ],
)
def test_the_figures_of_a_model_are_those_of_a_plain_script(
    name: str, output: str, shape: tuple[int, ...], saved: Saved, made: Callable[[str], Any]
) -> None:
    """Load, cast, compare, by hand: the same distances, choices and divergences."""
    inputs = next(samples(str(saved(name)), made(name), made(name).config))
    outputs = plainly(made(name), inputs.tensors, output)

    found = cast_then_infer(CPU, Asked(model=str(saved(name))))

    assert (found.model, found.how, found.baseline, found.baseline_reason, found.missing) == (f"tiny-{name}", "real-run", "fp32", "", ())
    assert (found.inputs, found.output) == (inputs.said, f"{output} {'x'.join(map(str, shape))}")
    assert found.parameters == sum(one.numel() for one in made(name).parameters())
    assert [one.dtype for one in found.runs] == ["bf16", "fp16"]
    for one in found.runs:
        mine, other = outputs[one.dtype], outputs["fp32"]
        assert (one.status, one.message, one.nonfinite, one.first_nonfinite, one.usable) == ("ran", "", 0, "", True)
        assert one.relative_l2 == pytest.approx(np.linalg.norm(mine - other) / np.linalg.norm(other), rel=1e-6)
        assert one.max_abs == pytest.approx(abs(mine - other).max(), rel=1e-6)
        if output == "logits":
            assert one.top1 == (mine.argmax(-1) == other.argmax(-1)).mean()
            p, q = softmax(other), softmax(mine)
            assert one.kl == pytest.approx((p * np.log(p / q)).sum(-1).mean(), rel=1e-3, abs=1e-15)
        else:
            assert (one.top1, one.kl) == (None, None)
        assert one.lost_at in {drift.module for drift in one.modules if drift.block}
        assert one.time_ratio
        assert one.time_ratio > 0
    assert found.run("bf16").relative_l2 > found.run("fp16").relative_l2  # type: ignore[union-attr]  # they are there


def test_the_miniature_needs_no_model() -> None:
    """Its logits are compared, and neither time nor memory, of which it takes next to none; its inputs are always cast with it."""
    model, pixels, ids = miniature.build()
    with torch.no_grad():
        expected = model(pixels, ids).double()
        lows = {dtype: copy.deepcopy(model).to(kind)(pixels.to(kind), ids).double() for dtype, kind in HALVES.items()}

    found = cast_then_infer(CPU, Asked())

    assert (found.model, found.how, found.output, found.fed, found.rounding, found.kept) == ("miniature", "miniature", "output 1x7x32", (), None, ())
    assert {one.dtype: one.relative_l2 for one in found.runs} == {
        dtype: pytest.approx(float((low - expected).norm() / expected.norm())) for dtype, low in lows.items()
    }
    assert all(one.top1 is not None and one.kl is not None and one.time_ratio is None and one.memory_ratio is None for one in found.runs)
    assert {one.how for one in found.trials} == {"miniature"}


@pytest.mark.parametrize("name", ["bert", "vit"])
def test_a_fact_survives_the_rooms_pipe(name: str, saved: Saved) -> None:
    """Every field of it is JSON."""
    found = cast_then_infer(CPU, Asked(model=str(saved(name))))

    assert codec.build(json.loads(json.dumps(codec.plain(found), allow_nan=False)), Cast) == found


def test_the_configuration_may_be_named_itself(saved: Saved, tokenizer: Any, tmp_path: Path) -> None:
    """The folder is meant, its tokenizer included."""
    path = Path(shutil.copytree(saved("llama"), tmp_path / "tiny-llama"))
    tokenizer.save_pretrained(path)

    by_file, by_folder = (cast_then_infer(CPU, Asked(model=str(one))) for one in (path / "config.json", path))

    assert by_folder.inputs == "2 sentences of ten words through the model's own tokenizer"
    assert (by_file.model, by_file.inputs, by_file.output) == (by_folder.model, by_folder.inputs, by_folder.output)
    assert [one.relative_l2 for one in by_file.runs] == [one.relative_l2 for one in by_folder.runs]


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


# What is not run


def test_a_format_that_would_take_too_long_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass of two seconds, and a CPU that is three hundred times slower in bf16; what is skipped is no trial and is not fed."""
    monkeypatch.setattr(module, "slowness", lambda _, dtype: {"bf16": 300.0, "fp16": 100.0}[dtype])
    one = subject(Picky(), x=torch.randn(3, 8))
    with torch.no_grad():
        base = dataclasses.replace(module._baseline(one), seconds=2.0)
    monkeypatch.setattr(module, "_baseline", lambda _: base)

    found = compare(one, Asked())

    assert (run(found, "bf16").status, run(found, "bf16").usable) == ("skipped", False)
    assert run(found, "bf16").message == "a pass would take about 10 minutes here"
    assert run(found, "fp16").status == "ran"
    assert {trial.computes_in for trial in found.trials} == {"fp16", "fp32"}
    assert [fed.model for fed in found.fed] == ["fp16"]


def test_a_quick_model_is_run_however_slow_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody even asks."""
    monkeypatch.setattr(module, "slowness", lambda *_: pytest.fail("it was asked"))

    assert all(one.status == "ran" for one in compare(subject(Picky(), real=True, x=torch.randn(3, 8))).runs)


# Baselines other than fp32, and what a loader keeps


@pytest.mark.parametrize(("stored", "short", "other"), [("bfloat16", "bf16", "fp16"), ("float16", "fp16", "bf16")])
def test_the_stored_format_as_baseline(stored: str, short: str, other: str, saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where fp32 does not fit: the other format is compared with it, and the reason is part of the fact."""
    path = saved("llama", stored)
    monkeypatch.setattr(loading, "free_mib", lambda: 22560 * 4 / 2**20 * 1.5)

    found = cast_then_infer(CPU, Asked(model=str(path)))

    assert (found.baseline, [one.dtype for one in found.runs]) == (short, [other])
    assert found.baseline_reason.startswith("fp32 needs ")
    assert run(found, other).status == "ran"
    assert {one.remedy for one in found.trials if one.remedy.startswith("everything")} == {"everything-bf16", "everything-fp16"}


def test_a_model_of_two_towers_gets_both_inputs(saved: Saved) -> None:
    """It runs on neither alone."""
    found = cast_then_infer(CPU, Asked(model=str(saved("clip"))))

    assert (found.inputs, found.output) == (
        "synthetic input_ids, pixel_values: no processor of the model's own could be used",
        "logits_per_image 2x2",
    )
    assert all(one.status == "ran" for one in found.runs)
    assert {drift.module for drift in found.runs[0].modules if drift.block} == {
        f"{tower}_model.encoder.layers.{number}" for tower in ("text", "vision") for number in (0, 1)
    }


def test_inputs_that_the_model_refuses_are_followed_by_others(saved: Saved, tokenizer: Any, tmp_path: Path) -> None:
    """A tokenizer whose ids go beyond the vocabulary is not the model's."""
    import transformers

    path = Path(shutil.copytree(saved("llama"), tmp_path / "tiny-llama"))
    written = json.loads((path / "config.json").read_text())
    tokenizer.save_pretrained(path)
    made: Any = getattr(transformers, written["architectures"][0])
    torch.manual_seed(3)
    made(made.config_class(**written | {"vocab_size": 8})).save_pretrained(path)

    found = cast_then_infer(CPU, Asked(model=str(path)))

    assert found.output == "logits 2x10x8"
    assert found.inputs.startswith(
        "synthetic input_ids: no processor of the model's own could be used; "
        "2 sentences of ten words through the model's own tokenizer were refused: the model does not run in fp32 on its inputs: IndexError"
    )
    assert all(one.status == "ran" for one in found.runs)


def test_weights_are_counted_and_what_is_missing_is_said(saved: Saved, tmp_path: Path) -> None:
    """Of the model that was loaded; random ones are not counted."""
    from safetensors.torch import load_file, save_file

    path = Path(shutil.copytree(saved("bert"), tmp_path / "mine"))

    found = cast_then_infer(CPU, Asked(model=str(path)))

    assert found.rounding
    assert (found.rounding.stored, found.rounding.weights) == ("float32", found.parameters)
    assert 0 < found.rounding.changed < found.rounding.weights
    assert (found.missing, found.unexpected, found.architecture) == ((), (), "BertForSequenceClassification")

    weights = load_file(path / "model.safetensors")
    weights["bert.pooler.dense.bile"] = weights.pop("bert.pooler.dense.bias")
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})

    found = cast_then_infer(CPU, Asked(model=str(path)))

    assert (found.missing, found.unexpected, found.rounding) == (("bert.pooler.dense.bias",), ("bert.pooler.dense.bile",), None)


def test_inputs_that_are_named_are_used(saved: Saved, tmp_path: Path) -> None:
    """A file of the user's; and what the model does not take is absence, with the model's own words."""
    from safetensors.torch import save_file

    good, bad = str(tmp_path / "good.safetensors"), str(tmp_path / "bad.safetensors")
    save_file({"input_ids": torch.full((1, 3), 7)}, good)
    save_file({"input_ids": torch.full((1, 3), 7777)}, bad)
    asked = Asked(model=str(saved("bert")), inputs=good)

    found = cast_then_infer(CPU, asked)

    assert (found.inputs, found.output) == ("the user's own: input_ids 1x3 int64", "logits 1x3")
    with pytest.raises(Absent, match=r"^the model does not run in fp32 on its inputs: IndexError: index out of range[^\n]*$"):
        cast_then_infer(CPU, dataclasses.replace(asked, inputs=bad))


def test_a_model_that_draws_at_random_draws_the_same_each_time() -> None:
    """Else its own noise would be taken for the error of the cast."""

    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 8)

        def forward(self, x: Any) -> Any:
            keep = torch.rand(x.shape) > 0.5
            return self.linear(x) * keep

    cast = compare(subject(Noisy(), real=True, x=torch.randn(3, 8)))

    assert all(0 < one.relative_l2 < 0.05 for one in cast.runs)


def test_a_part_that_the_inputs_do_not_reach_is_named(saved: Saved) -> None:
    """Text alone says nothing of the tower that sees."""
    ids = torch.arange(6).reshape(1, 6)
    model: Any = loading.load(str(saved("clip")), CPU).model

    class Writing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, input_ids: Any) -> Any:
            return self.inner.text_model(input_ids)

    text = compare(subject(Writing(), real=True, input_ids=ids))

    assert "inner.vision_model" in text.unrun
    assert "inner.text_model" not in text.unrun
    assert cast_then_infer(CPU, Asked(model=str(saved("clip")))).unrun == ()


def test_nan_in_the_baseline_is_counted_and_its_trial_fails() -> None:
    """-Inf is a mask's filling."""

    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            out = self.linear(x).clone()
            out[..., 0], out[..., 1] = float("-inf"), float("nan")
            return out

    found = compare(subject(Half(), real=True, x=torch.randn(5, 4)))

    assert found.nonfinite == 5
    assert {one.remedy: one.status for one in found.trials}["everything-fp32"] == "failed"


def test_the_input_of_a_module_counts_for_the_headroom() -> None:
    """A gated product is no module's output, and overflows all the same."""

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
            nn.init.eye_(self.up.weight)
            nn.init.zeros_(self.down.weight)

        def forward(self, x: Any) -> Any:
            return self.down(self.up(x) * self.up(x))

    found = compare(subject(Gated(), real=True, x=torch.full((1, 4), 200.0)))

    assert found.headroom == pytest.approx(40_000 / 65504)
    assert found.headroom_module == "down"


def test_where_there_is_no_sample_the_user_is_asked_for_one(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear line."""
    monkeypatch.setattr(module, "samples", lambda *_: iter(()))

    with pytest.raises(Absent, match=r"^no inputs are known for a model of this kind: name some with --inputs$"):
        cast_then_infer(CPU, Asked(model=str(saved("bert"))))
