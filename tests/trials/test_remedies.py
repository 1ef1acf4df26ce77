"""The remedies by themselves: what each changes, and what double rounding costs."""

import pytest

torch = pytest.importorskip("torch")

from ivdoctor.trials.miniature import Miniature, build  # noqa: E402  # torch first
from ivdoctor.trials.remedies import (  # noqa: E402
    autocast,
    cast_at_write,
    cast_input,
    cast_model,
    cast_tower,
    everything_fp16,
    everything_fp32,
    half_then_bf16,
    unify,
)

SMALLEST, LARGEST = 2.0**-17, 65504.0
"""Between these every bfloat16 value is a float16 value too: its 8 bits fit above float16's last one, 2^-24."""


def dtypes(model: Miniature) -> tuple[str, ...]:
    return tuple(str(next(part.parameters()).dtype).removeprefix("torch.") for part in (model.vision, model.projector, model.lm))


@pytest.mark.parametrize(
    ("remedy", "parts", "pixels", "computes_in"),
    [
        (cast_model, ("bfloat16",) * 3, "bfloat16", "bf16"),
        (cast_input, ("float16",) * 3, "float16", "fp16"),
        (cast_tower, ("bfloat16", "float16", "float16"), "bfloat16", "fp16"),
        (autocast, ("float16",) * 3, "bfloat16", "bf16"),
        (half_then_bf16, ("bfloat16",) * 3, "bfloat16", "bf16"),
        (everything_fp32, ("float32",) * 3, "float32", "fp32"),
        (everything_fp16, ("float16",) * 3, "float16", "fp16"),
        (cast_at_write, ("float16",) * 3, "bfloat16", "fp16"),
        (unify, ("float16",) * 3, "float16", "fp16"),
    ],
)
def test_a_remedy_changes_what_its_line_says(remedy: object, parts: tuple[str, ...], pixels: str, computes_in: str) -> None:
    """From the failing cell, an fp16 model with bf16 pixels: the dtypes it leaves behind, and no other."""
    model, values, _ = build("cpu")
    assert callable(remedy)

    treated = remedy(model.half(), values.to(torch.bfloat16))

    assert (parts, pixels, computes_in) == (dtypes(treated.model), str(treated.pixels.dtype).removeprefix("torch."), treated.computes_in)


def weights(value: float | None = None) -> Miniature:
    """The miniature with weights that bfloat16 holds exactly, within float16's range; one of them set."""
    model, _, _ = build("cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            exact = parameter.to(torch.bfloat16).float()
            parameter.copy_(torch.where(exact.abs() < SMALLEST, torch.full_like(exact, SMALLEST), exact))
        if value is not None:
            next(model.parameters()).view(-1)[0] = value
    return model


def changed(model: Miniature) -> tuple[float, float]:
    metrics = half_then_bf16(model, torch.zeros(1)).metrics
    return metrics["weights_changed"], metrics["weights"]


def test_fp32_weights_are_rounded_twice_and_some_end_elsewhere() -> None:
    """Counted against one cast, weight by weight."""
    model, _, _ = build("cpu")
    once = [parameter.detach().to(torch.bfloat16) for parameter in model.parameters()]
    twice = [parameter.detach().half().to(torch.bfloat16) for parameter in model.parameters()]

    found, total = changed(model)

    assert sum(one.numel() for one in once) == total
    assert sum(int((one != two).sum()) for one, two in zip(once, twice, strict=True)) == found > 0


def test_bf16_weights_within_fp16s_range_are_not_hurt() -> None:
    """Not one: what the checkpoint holds as bf16 comes through fp16 unharmed."""
    assert changed(weights())[0] == 0


@pytest.mark.parametrize(
    ("value", "lost"),
    [
        (SMALLEST * (1 + 1 / 128), 0),  # the last bit still fits
        (SMALLEST / 8 * (1 + 1 / 128), 1),  # below: the last bits go
        (2.0**-26, 1),  # becomes 0
        (-65280.0, 0),  # the last bf16 value below 65504
        (65536.0, 1),  # becomes infinite
    ],
)
def test_bf16_weights_outside_fp16s_range_are_hurt(value: float, lost: int) -> None:
    """One weight at a time, at both ends of the range."""
    assert torch.tensor(value).to(torch.bfloat16).float() == value
    assert lost == changed(weights(value))[0]


def test_a_weight_halfway_shows_the_mechanism() -> None:
    """Just above the middle of two bf16 values: fp16 rounds it onto the middle, and the second rounding takes the even neighbour."""
    value = 1 + 2**-8 + 2**-12  # a bf16 step at 1 is 2^-7, an fp16 step 2^-10
    assert torch.tensor(value).to(torch.bfloat16).float() == 1 + 2**-7
    assert torch.tensor(value).half().to(torch.bfloat16).float() == 1

    assert changed(weights(value))[0] == 1
