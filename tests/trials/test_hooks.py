"""The error of every module: what a plain script with forward hooks measures, on real models."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402  # torch first

from ivdoctor.facts.cast import Drift  # noqa: E402
from ivdoctor.trials import hooks, miniature  # noqa: E402
from ivdoctor.trials.hooks import WHOLE, Baseline, Comparison, bounded, lost_at, repeated  # noqa: E402
from ivdoctor.trials.recast import recast  # noqa: E402

pytestmark = pytest.mark.usefixtures("_as_it_was")


def cast(inputs: dict[str, Tensor], dtype: Any) -> dict[str, Tensor]:
    return {name: one.to(dtype) if one.is_floating_point() else one for name, one in inputs.items()}


def watched(model: nn.Module, inputs: dict[str, Tensor], dtype: Any) -> tuple[Baseline, Comparison]:
    """As the trial does it."""
    with torch.no_grad():
        with Baseline(model=model) as baseline:
            model(**inputs)
        with recast(model, dtype, "cpu"), Comparison(model=model, baseline=baseline) as comparison:
            model(**cast(inputs, dtype))
    return baseline, comparison


def first_of(output: Any) -> Tensor | None:
    """The first floating tensor of a module's output."""
    while not isinstance(output, Tensor):
        if not isinstance(output, (tuple, list, dict)) or not output:
            return None
        output = next(iter(output.values())) if isinstance(output, dict) else output[0]
    return output if output.is_floating_point() else None


def script(model: nn.Module, inputs: dict[str, Tensor], dtype: Any) -> dict[str, list[float]]:
    """The plain script: hooks on the model and on a copy that `.to(dtype)` cast; by module, the relative L2 distance of each call."""

    def outputs(model: nn.Module, inputs: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
        seen: list[tuple[str, Tensor]] = []

        def keep(name: str) -> Callable[..., None]:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                tensor = first_of(output)
                if tensor is not None:
                    seen.append((name, tensor.detach().clone().float()))

            return hook

        handles = [module.register_forward_hook(keep(name or WHOLE)) for name, module in model.named_modules()]
        with torch.no_grad():
            model(**inputs)
        for handle in handles:
            handle.remove()
        return seen

    before, after = outputs(model, inputs), outputs(copy.deepcopy(model).to(dtype), cast(inputs, dtype))
    errors: dict[str, list[float]] = {}
    for (name, one), (same, two) in zip(before, after, strict=True):
        assert name == same
        errors.setdefault(name, []).append(((two - one).pow(2).sum().sqrt() / one.pow(2).sum().sqrt()).item())
    return errors


def subject(name: str, made: Callable[[str], Any] | None = None) -> tuple[nn.Module, dict[str, Tensor]]:
    if name == "miniature":
        model, pixels, ids = miniature.build()
        return model, {"pixel_values": pixels, "input_ids": ids}
    assert made
    torch.manual_seed(1)
    ids = torch.randint(5, 60, (2, 9))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    if name == "t5":
        return made(name), {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": ids[:, :4]}
    return made(name), {"pixel_values": torch.randn(2, 3, 32, 32)} if name == "vit" else {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["bert", "t5", "vit"])
def test_every_module_has_the_error_a_plain_script_measures(name: str, dtype: Any, made: Callable[[str], Any]) -> None:
    """For every module that gave a floating tensor, in the order they were done; of T5's, two parts are called more than once."""
    model, inputs = subject(name, made)

    expected = script(model, inputs, dtype)
    _, comparison = watched(model, inputs, dtype)

    assert len(expected) > 25
    assert {one: max(errors) for one, errors in expected.items()} == {
        one: pytest.approx(drift.relative_l2, rel=1e-4, abs=1e-9) for one, drift in comparison.drifts.items()
    }
    assert list(expected) == list(comparison.drifts)
    assert max(one.relative_l2 for one in comparison.drifts.values()) > 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_module_of_the_miniature(dtype: Any) -> None:
    """The same, where nothing but torch is needed."""
    model, inputs = subject("miniature")

    expected = script(model, inputs, dtype)
    _, comparison = watched(model, inputs, dtype)

    assert set(expected) == {name or WHOLE for name, module in model.named_modules()}
    assert {one: max(errors) for one, errors in expected.items()} == {
        one: pytest.approx(drift.relative_l2, rel=1e-4) for one, drift in comparison.drifts.items()
    }
    assert list(expected) == list(comparison.drifts)
    assert {one: type(dict(model.named_modules())[one.replace(WHOLE, "")]).__name__ for one in expected} == {
        one: drift.kind for one, drift in comparison.drifts.items()
    }


class Twice(nn.Module):
    """One linear layer called three times, the second time on what rounds badly."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.shared = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        """Nearly equal numbers subtracted lose their first digits."""
        cancelled = (x + 100) - 100
        total: Tensor = self.shared(x) + self.shared(cancelled) + self.shared(x)
        return total


def test_of_a_module_called_more_than_once_the_worst_counts() -> None:
    """Each call is compared with the same call of the baseline."""
    model, inputs = Twice(), {"x": torch.randn(4, 16)}

    first, second, third = script(model, inputs, torch.bfloat16)["shared"]
    _, comparison = watched(model, inputs, torch.bfloat16)

    assert second > 5 * max(first, third)
    assert comparison.drifts["shared"].relative_l2 == pytest.approx(second, rel=1e-4)


class Overflow(nn.Module):
    """The second of three layers goes beyond 65504; the third makes NaN of it."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Sequential(nn.Linear(8, 8, bias=False), nn.Identity()) for _ in range(3))
        for number, part in enumerate(self.children()):
            part[0].weight.data = torch.eye(8) * (1e5 if number == at else 1e-3)  # type: ignore[index]  # a Sequential

    def forward(self, x: Tensor) -> Tensor:
        """Tokens in and out."""
        x = self.third(self.second(self.first(x)))
        return x - x * 0.5


@pytest.mark.parametrize(("at", "name"), [(0, "first.0"), (1, "second.0"), (2, "third.0")])
def test_the_first_module_that_is_not_finite_is_named(at: int, name: str) -> None:
    """The innermost: the layer itself, and not the part it belongs to. bf16 holds the same numbers."""
    model, inputs = Overflow(at), {"x": torch.full((2, 8), 1e3 if at else 1.0)}

    _, fp16 = watched(model, inputs, torch.float16)
    _, bf16 = watched(model, inputs, torch.bfloat16)

    assert (fp16.first_nonfinite, bf16.first_nonfinite) == (name, "")
    outer = name.partition(".")[0]
    assert (fp16.drifts[name].relative_l2, fp16.drifts[outer].relative_l2, fp16.drifts[WHOLE].relative_l2) == (-1, -1, -1)


class Masking(nn.Module):
    """Fills with minus infinity, in fp32 too."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores in, masked scores out."""
        return x.masked_fill(torch.eye(len(x), dtype=torch.bool), -math.inf)


def test_a_mask_of_minus_infinity_is_not_the_first_that_is_not_finite() -> None:
    """Nor the largest activation."""
    baseline, comparison = watched(nn.Sequential(nn.Linear(4, 4), Masking()), {"input": torch.ones(4, 4)}, torch.float16)

    assert comparison.first_nonfinite == ""
    assert all(drift.relative_l2 >= 0 for drift in comparison.drifts.values())
    assert 0 < baseline.largest < 10


@pytest.mark.parametrize("filling", [torch.finfo(torch.float32).min, -math.inf, math.inf])
def test_the_largest_activation_is_no_masks_filling(filling: float) -> None:
    """The largest of what a module really gave, and its name."""

    class Filled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            grown: Tensor = torch.cat([x * 3, torch.full_like(x, filling)])
            return grown

    model = nn.Sequential(nn.Identity(), Filled())
    with Baseline(model=model) as baseline:
        model(torch.tensor([2.0, -5.0]))

    assert (baseline.largest, baseline.loudest) == (15, "1")


class InPlace(nn.Module):
    """Changes what the layer before it gave."""

    def forward(self, x: Tensor) -> Tensor:
        """In and out are the same memory."""
        return x.mul_(0)


def test_a_baseline_is_what_the_module_gave_not_what_became_of_it() -> None:
    """A ReLU in place would otherwise hide the layer's own error."""
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(8, 8), InPlace())
    inputs = {"input": torch.randn(3, 8)}

    baseline, comparison = watched(model, inputs, torch.bfloat16)

    assert baseline.outputs["0", 0].abs().max() > 0.1
    assert comparison.drifts["0"].relative_l2 == pytest.approx(script(model, inputs, torch.bfloat16)["0"][0], rel=1e-4)


def test_hooks_are_gone_afterwards() -> None:
    """Also when the model raised; and what the model gives is what it gave before."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 2)))
    x = torch.ones(1, 4)
    expected = model(x)

    watch = Baseline(model=model)
    with pytest.raises(RuntimeError), watch:
        model(torch.ones(1, 5))
    with Baseline(model=model) as whole:
        assert torch.equal(model(x), expected)

    assert [len(module._forward_hooks) for module in model.modules()] == [0, 0, 0, 0]
    assert whole.seconds > 0
    before = len(whole.outputs)
    model(x)
    assert len(whole.outputs) == before


def test_what_is_too_much_to_keep_is_left_out_but_for_the_repeated_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory ends before the model does; the row that shows where it is lost stays whole. One output here has 400 bytes."""
    model = nn.Sequential(*(nn.Sequential(nn.Linear(10, 10), nn.Tanh()) for _ in range(4)))
    inputs = {"input": torch.ones(10, 10)}
    monkeypatch.setattr(hooks, "KEPT", 4 * 400)

    baseline, comparison = watched(model, inputs, torch.bfloat16)

    assert sum(one.numel() * 4 for one in baseline.outputs.values()) <= 2 * 4 * 400
    assert {"0", "1", "2", "3"} <= set(comparison.drifts)
    assert not {"3.0", "3.1"} & set(comparison.drifts)


def test_another_way_through_the_model_is_not_compared() -> None:
    """An output of another shape, or a call that the baseline did not make."""

    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part, self.rest = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            low = x.dtype != torch.float32
            first: Tensor = self.part(x[:1] if low else x)
            once: Tensor = self.rest(x)
            twice: Tensor = self.rest(once) if low else first + once
            return twice

    _, comparison = watched(Fickle(), {"x": torch.ones(3, 4)}, torch.bfloat16)

    assert set(comparison.drifts) == {"rest", WHOLE}


def part() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.ReLU())


class Layer(nn.Module):
    """With experts of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(part() for _ in range(3))
        self.norm = nn.LayerNorm(2)


class Nested(nn.Module):
    """Layers of experts, and a projector of plain layers."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(layers))
        self.projector = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (nn.Linear(2, 2), set()),
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), set()),
        (nn.Sequential(part(), part(), nn.Linear(2, 2)), {"0", "1"}),
        (nn.Sequential(nn.Linear(2, 2), nn.Sequential(part(), part())), {"1.0", "1.1"}),
        (nn.Sequential(nn.Sequential(part(), part()), nn.Sequential(part(), part())), {"0", "1"}),
        (Nested(layers=3), {"layers.0", "layers.1", "layers.2"}),
        (Nested(layers=1), {"layers.0.experts.0", "layers.0.experts.1", "layers.0.experts.2"}),
    ],
)
def test_the_repeated_layers_are_the_outermost(model: nn.Module, names: set[str]) -> None:
    """Of one class, more than one in a row, and made of parts themselves."""
    assert repeated(model) == names


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("bert", {"bert.encoder.layer.0", "bert.encoder.layer.1"}),
        ("llama", {"model.layers.0", "model.layers.1"}),
        ("deepseek", {"model.layers.0", "model.layers.1"}),
        ("whisper", {f"model.{half}.layers.{number}" for half in ("encoder", "decoder") for number in (0, 1)}),
        ("t5", {f"{half}.block.{number}" for half in ("encoder", "decoder") for number in (0, 1)}),
    ],
)
def test_the_repeated_layers_of_real_architectures(name: str, names: set[str], made: Callable[[str], Any]) -> None:
    """Both halves of an encoder with a decoder; no experts within layers."""
    assert repeated(made(name)) == names


def row(*drifts: tuple[str, float] | tuple[str, float, bool]) -> dict[str, Drift]:
    """Drifts in the order in which the modules were done; blocks are marked."""
    return {one[0]: Drift(module=one[0], kind="X", relative_l2=one[1], block=len(one) > 2) for one in drifts}


@pytest.mark.parametrize(
    ("drifts", "where"),
    [
        (row(), ""),
        (row((WHOLE, 0.5)), ""),
        (row(("embed", 0.0), ("head", 0.0), (WHOLE, 0.0)), ""),
        (row(("embed", 0.001), ("body", 0.2), ("head", 0.21), (WHOLE, 0.21)), "body"),
        (row(("a.x", 0.3), ("a", 0.3), ("b", 0.31)), "a.x"),
        # blocks: the rise counts, not the height
        (row(("l.0", 0.01, True), ("l.1", 0.2, True), ("l.2", 0.25, True), ("head", 0.9), (WHOLE, 0.9)), "l.1"),
        # what is inside a block is no step of the row
        (row(("l.0.mlp", 0.5), ("l.0", 0.1, True), ("l.1.mlp", 0.9), ("l.1", 0.15, True), ("l", 0.15), (WHOLE, 0.15)), "l.0"),
        # what the embedding has lost is not the first block's doing
        (row(("embed", 0.3), ("l.0", 0.31, True), ("l.1", 0.36, True)), "l.1"),
        # an error that shrinks and comes back
        (row(("l.0", 0.2, True), ("l.1", 0.05, True), ("l.2", 0.3, True)), "l.2"),
    ],
)
def test_it_is_lost_where_the_error_rises_most(drifts: dict[str, Drift], where: str) -> None:
    """Among the repeated layers; among the plain modules where there are none."""
    assert lost_at(drifts) == where


class Rounding(nn.Module):
    """What nearly equal numbers lose when they are subtracted."""

    def forward(self, x: Tensor) -> Tensor:
        """In and out."""
        return (x + 30) - 30


def test_a_bad_layer_planted_in_a_real_model_is_found(made: Callable[[str], Any]) -> None:
    """The second of two; what comes before it is as it was."""
    model, inputs = subject("bert", made)
    _, sound = watched(model, inputs, torch.bfloat16)
    parts: Any = model
    parts.bert.encoder.layer[1].output.dropout = Rounding()

    _, comparison = watched(model, inputs, torch.bfloat16)

    assert (lost_at(sound.drifts), lost_at(comparison.drifts)) == ("bert.encoder.layer.0", "bert.encoder.layer.1")
    assert comparison.drifts["bert.encoder.layer.0"] == sound.drifts["bert.encoder.layer.0"]


def test_of_a_thousand_modules_the_layers_the_top_and_the_worst_are_told() -> None:
    """In their order; a model of many experts must not fill a snapshot."""
    drifts = {
        f"layers.{i}.experts.{j}": Drift(module=f"layers.{i}.experts.{j}", kind="Linear", relative_l2=(i * 100 + j) / 1e5)
        for i in range(10)
        for j in range(100)
    }
    drifts |= {f"layers.{i}": Drift(module=f"layers.{i}", kind="Layer", relative_l2=0.0, block=True) for i in range(10)}
    drifts |= {"layers.0.experts.0": Drift(module="layers.0.experts.0", kind="Linear", relative_l2=-1.0)}
    told = bounded(drifts)

    assert len(told) == 600
    assert [one.module for one in told] == [name for name in drifts if name in {one.module for one in told}]
    assert {f"layers.{i}" for i in range(10)} | {"layers.0.experts.0", "layers.9.experts.99"} <= {one.module for one in told}
    assert "layers.0.experts.1" not in {one.module for one in told}
    assert bounded(dict(list(drifts.items())[:600])) == tuple(list(drifts.values())[:600])
