"""From trials to fixes: which remedy leads, and the line to write."""

from collections.abc import Iterable

from ..evidence import BARRED, Range, fp16_range
from ..facts import TORCH_NAME, Asked, Cast, Half, Model, Place, Trial
from ..finding import Fix, Tried
from ..text import say

SIZE = ("cast-model", "cast-input", "unify", "cast-at-write", "everything-bf16", "everything-fp16", "everything-fp32")
"""Remedies from the smallest change to the largest; those not here are never advised, only shown to fail."""

WIDTH = ("bf16", "fp16", "fp32")
"""Among equals the half formats first: a model that was to run in one need not fit in fp32."""

SUPPORT = ("native", "unknown", "emulated", "none")


def range_of(model: Model | None, cast: Cast | None, asked: Asked) -> Range:
    """What is known of float16's range and this model: the answer to whether float16 may lead."""
    return fp16_range(model.model_type if model else "", cast, asked.limits)


def wanted(place: Place, asked: Asked, fp16: Range = "unknown") -> Half:
    """The format to keep: the one asked for, or the best the place computes in natively; not fp16 where it must not lead."""
    if asked.dtype != "auto" and not (asked.dtype == "fp16" and fp16 in BARRED):
        return asked.dtype
    if place.dtypes.bf16 == "native":
        return "bf16"
    return "fp16" if place.dtypes.fp16 == "native" and fp16 not in BARRED else "fp32"


def ranked(trials: Iterable[Trial], place: Place, asked: Asked, fp16: Range = "unknown", sizes: tuple[str, ...] = SIZE) -> list[Trial]:
    """
    What passed, best first: native here, then in the format wanted, then the smallest change; fp16 behind its equals where it must not lead.

    On a CPU an emulated format is only slow, so one that was asked for by name is kept; on an accelerator it is advice that breaks.

    Args:
        sizes: the remedies that may be advised, from the smallest change to the largest.
    """
    keep = wanted(place, asked, fp16)
    only_slow = place.backend == "cpu" and asked.dtype != "auto"
    passed = [trial for trial in trials if trial.status == "passed" and trial.remedy in sizes]

    def order(one: Trial) -> tuple[int, bool, bool, int, int, int]:
        support, barred = SUPPORT.index(place.dtypes.of(one.computes_in)), one.computes_in == "fp16" and fp16 in BARRED
        return (0 if only_slow else support), barred, one.computes_in != keep, support, WIDTH.index(one.computes_in), sizes.index(one.remedy)

    return sorted(passed, key=order)


def fixes(trials: Iterable[Trial], place: Place, asked: Asked, fp16: Range = "unknown") -> tuple[Fix, ...]:
    """The fixes of one failure, the one to take first: the smallest change for each format, and the cast where it raises."""
    chosen: dict[object, Trial] = {}
    for trial in ranked(trials, place, asked, fp16):
        chosen.setdefault((trial.computes_in, trial.remedy == "cast-at-write"), trial)
    return tuple(_fix(trial, place, fp16) for trial in chosen.values())


def _fix(trial: Trial, place: Place, fp16: Range) -> Fix:
    dtype = f"torch.{TORCH_NAME[trial.computes_in]}"
    titles = {
        "cast-model": (say("Cast the whole model to {dtype}", dtype=dtype), f"model = model.to({dtype})"),
        "cast-input": (
            say("Cast the input to the model's own dtype"),
            "pixel_values = pixel_values.to(next(model.parameters()).dtype)",
        ),
        "unify": (
            say("Load every part in the language model's dtype, {dtype}", dtype=dtype),
            f"model = model.to({dtype})\npixel_values = pixel_values.to({dtype})",
        ),
        "cast-at-write": (
            say("Cast the visual tokens where they are written"),
            "input_embeds[selected] = vit_embeds.reshape(-1, C).to(input_embeds.device, input_embeds.dtype)",
        ),
        "everything-bf16": (
            say("Run model and input in bfloat16"),
            "model = model.to(torch.bfloat16)\npixel_values = pixel_values.to(torch.bfloat16)",
        ),
        "everything-fp16": (say("Run model and input in float16"), "model = model.half()\npixel_values = pixel_values.half()"),
        "everything-fp32": (say("Run model and input in float32"), "model = model.float()\npixel_values = pixel_values.float()"),
    }
    title, code = titles[trial.remedy]
    return Fix(title=title + caveat(trial.computes_in, place, fp16), code=code, trial=Tried.of(trial))


def caveat(dtype: Half, place: Place, fp16: Range = "unknown") -> str:
    """What the line does not say: fp16 has a range, and an emulated format a price."""
    caveats = []
    if dtype == "fp16" and fp16 == "overflows":
        caveats.append(say("fp16 ends at 65504, and models of this family are known to overflow"))
    elif dtype == "fp16" and fp16 == "lost":
        caveats.append(say("fp16 ends at 65504, and this model was run in it here and fails"))
    elif dtype == "fp16" and fp16 == "stays":
        caveats.append(say("fp16 ends at 65504, and models of this family are reported to stay below"))
    elif dtype == "fp16":
        caveats.append(say("fp16 ends at 65504, and whether this model stays below is unknown: test it"))
    if place.dtypes.of(dtype) == "emulated":
        caveats.append(say("{dtype} is emulated here, so it is slow", dtype=dtype))
    return f" ({'; '.join(caveats)})" if caveats else ""


def useless(trials: Iterable[Trial]) -> tuple[str, ...]:
    """What was tried and does not help, one line each."""
    names = {
        "autocast": say("torch.autocast around the call"),
        "cast-tower": say("casting the vision tower alone"),
        "half-then-bf16": say(".half() and then .to(torch.bfloat16)"),
    }
    return tuple(
        say("does not help: {remedy}: {after}", remedy=names.get(trial.remedy, trial.remedy), after=trial.after)
        for trial in trials
        if trial.status == "failed"
    )


def untried(reason: str) -> Tried:
    """A fix nobody ran, and why."""
    return Tried(status="not-tried", reason=reason)


def elsewhere(place: Place, reason: str) -> Tried:
    """Of a target nothing can be tried; here `reason` says why it was not."""
    return untried(say("{title} is not here", title=place.title) if place.kind == "target" else reason)
