"""What people do wrong with autocast and GradScaler, and what they do about it: each really run."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from ..facts import Misuse, Trial
from ..facts.amp import MisuseName
from ..text import say
from .amp import BF16, FP16, STEPS, Outcome, Trainee, Way, cast_at_scatter, placeholders
from .miniature import Miniature


def as_they_come(model: Miniature, pixels: Tensor, ids: Tensor) -> Tensor:
    """`inputs_embeds.masked_scatter(mask, visual)`: both must have one dtype, and autocast does not see to it."""
    visual = model.projector(model.vision(pixels))
    embeds = model.lm.embed_tokens(ids)
    embeds = embeds.masked_scatter(placeholders(ids), visual)
    logits: Tensor = model.lm(embeds)
    return logits


def half_inside(model: Miniature, pixels: Tensor, ids: Tensor) -> Tensor:
    """`model.vision.half()` and pixels likewise, for a tower that nobody wants in fp32."""
    model.vision.half()
    return cast_at_scatter(model, pixels.half(), ids)


FP32 = Way(weights="fp32", autocast=None, call=as_they_come)
ALL_BF16 = Way(weights="bf16", autocast=None, call=as_they_come)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """How it is written, and what may be written instead."""

    name: MisuseName
    way: Way
    remedies: dict[str, Way]


MISTAKES = (
    Mistake(
        name="fp16-weights-scaled",
        way=Way(weights="fp16", autocast="fp16", scaled=True, call=cast_at_scatter),
        remedies={"fp16-autocast": FP16, "bf16-autocast": BF16, "everything-bf16": ALL_BF16, "everything-fp32": FP32},
    ),
    Mistake(
        name="bf16-scaled",
        way=Way(weights="bf16", autocast=None, scaled=True, call=as_they_come),
        remedies={"no-scaler": ALL_BF16, "bf16-autocast": BF16, "fp16-autocast": FP16, "everything-fp32": FP32},
    ),
    Mistake(
        name="half-inside-autocast",
        way=Way(weights="fp32", autocast="bf16", call=half_inside),
        remedies={"no-half": BF16},
    ),
    Mistake(
        name="embeddings-outside-autocast",
        way=Way(weights="fp32", autocast="bf16", call=as_they_come),
        remedies={"cast-at-scatter": BF16, "everything-bf16": ALL_BF16, "everything-fp32": FP32},
    ),
)
"""The remedies are few ways under several names: each is run once, whatever it is to cure."""

FOR_STEPS: dict[str, Way] = {"bf16-autocast": BF16, "fp16-autocast": FP16, "everything-fp32": FP32}


def misuses(trainee: Trainee) -> tuple[Misuse, ...]:
    """
    Each mistake, made.

    Raises:
        DeviceFault: the device was lost on the way.
    """
    return tuple(_misuse(mistake, trainee.train(mistake.way)) for mistake in MISTAKES)


def trials(trainee: Trainee) -> Iterator[Trial]:
    """
    Every remedy of every mistake that raised, and of every step under autocast that gave nothing usable.

    Raises:
        DeviceFault: the device was lost on the way.
    """
    for dtype, way in STEPS:
        before = trainee.train(way)
        if before.status != "absent" and not before.usable:
            yield from _trials(trainee, f"{dtype}-step", before, {name: other for name, other in FOR_STEPS.items() if other != way})
    for mistake in MISTAKES:
        before = trainee.train(mistake.way)
        if _misuse(mistake, before).status == "raised":
            yield from _trials(trainee, mistake.name, before, mistake.remedies)


def _misuse(mistake: Mistake, outcome: Outcome) -> Misuse:
    """What a scaler says counts only if it came so far: a pass that fails before it is another failure."""
    if mistake.way.scaled and outcome.status == "raised" and not outcome.by_scaler:
        return Misuse(name=mistake.name, status="absent", message=say("it fails before the scaler: {error}", error=outcome.said()))
    return Misuse(
        name=mistake.name,
        status=outcome.status,
        message=outcome.said() if outcome.status == "ran" else outcome.message,
        location=outcome.location,
    )


def _trials(trainee: Trainee, case: str, before: Outcome, remedies: dict[str, Way]) -> Iterator[Trial]:
    """What this PyTorch has no means for is not tried."""
    for name, way in remedies.items():
        after = trainee.train(way)
        if after.status != "absent":
            yield Trial(
                remedy=name,
                case=case,
                status="passed" if after.usable else "failed",
                how="miniature",
                where=trainee.device,
                before=before.said(),
                after=after.said(),
                computes_in=way.computes_in,
                metrics={"loss": after.loss} if after.usable else {},
            )
