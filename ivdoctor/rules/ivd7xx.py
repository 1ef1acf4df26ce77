"""IVD7xx: training, AMP, adapters, sharding."""

from collections.abc import Iterator

from ..evidence import BARRED, Range
from ..facts import Amp, Asked, Cast, Misuse, Model, Place, Precision, Step, Torch, Trial
from ..finding import Fix, Problem, Severity, Tried
from ..rule import rule
from ..text import say
from ..wheels import lacks_code
from ._casts import outshone
from ._remedies import SUPPORT, caveat, range_of, untried, wanted

NEUTRAL = ("no-half", "cast-at-scatter")
"""Lines that are right in every format."""

SIZE = (*NEUTRAL, "no-scaler", "fp16-autocast", "bf16-autocast", "everything-bf16", "everything-fp32")
"""Remedies from the smallest change to the largest."""


@rule("IVD701", severity=Severity.WARNING)
def autocast_step_fails(
    torch: Torch, amp: Amp, place: Place, asked: Asked, precision: Precision | None, cast: Cast | None, model: Model | None
) -> Iterator[Problem]:
    """
    A training step under autocast fails, or gives numbers that are not finite.

    The weights are fp32, the forward pass runs under `torch.autocast`, a GradScaler scales the loss in fp16, as PyTorch's own
    manual writes it. A warning at most, as the question is whether a model runs, not whether it learns; a note where the format is only
    emulated or another one was asked for. An autocast or a scaler that this PyTorch does not have for the device is no finding.

    Source: PyTorch, Automatic Mixed Precision package, `torch.amp` (2026-11-23).

    ## Fix
    Train in the other half format or in float32, or update PyTorch.
    """
    if lacks_code(torch, place, precision):
        return
    for step in amp.steps:
        if step.status == "absent" or step.usable:
            continue
        yield Problem(
            message=say(
                "a training step under {dtype} autocast fails on {place}: {message}", dtype=step.dtype, place=place.name, message=step.message
            ),
            evidence=(
                say("the miniature with fp32 weights, with a GradScaler") if step.scaled else say("the miniature with fp32 weights, unscaled"),
            ),
            severity=_grave(step, place, asked),
            category=_category(step, place),
            location=step.location,
            fixes=(*_fixes(amp.tried(f"{step.dtype}-step"), place, asked, range_of(model, cast, asked)), *_update(step, torch)),
        )


@rule("IVD702", severity=Severity.NOTE, category="amp-gradscaler-misuse")
def fp16_weights_under_gradscaler(
    torch: Torch, amp: Amp, place: Place, asked: Asked, precision: Precision | None, cast: Cast | None, model: Model | None
) -> Iterator[Problem]:
    """
    A GradScaler refuses the gradients of weights in fp16.

    `Attempting to unscale FP16 gradients.` The trained weights were loaded or cast to fp16, mostly a LoRA adapter that took the model's dtype. Scaling saves small
    gradients of an fp16 *pass*; the weights they are added to must be fp32. Frozen weights may be fp16. Shown on the
    miniature, as a note.

    Source: PyTorch, `torch/amp/grad_scaler.py`; huggingface/transformers issue 23165, haotian-liu/LLaVA issue 363.

    ## Fix
    Keep what is trained in float32 and let autocast cast, or train in bfloat16 without a scaler.
    """
    one = _raised(amp, "fp16-weights-scaled")
    if one and not outshone(cast, model) and not lacks_code(torch, place, precision):
        message = say("a GradScaler given the gradients of fp16 weights raises: {message}", message=one.message)
        yield Problem(message=message, location=one.location, fixes=_fixes(amp.tried(one.name), place, asked, range_of(model, cast, asked)))


@rule("IVD703", severity=Severity.NOTE, category="amp-gradscaler-misuse")
def gradscaler_with_bf16(
    torch: Torch, amp: Amp, place: Place, asked: Asked, precision: Precision | None, cast: Cast | None, model: Model | None
) -> Iterator[Problem]:
    """
    A GradScaler has no kernel for gradients in bf16 here.

    On CUDA: `"_amp_foreach_non_finite_check_and_unscale_cuda" not implemented for 'BFloat16'`. On the CPU it runs, and this rule is
    silent there; it is useless all the same, because bf16 has the range of fp32 and no gradient is lost for want of a scale.
    Shown on the miniature, as a note.

    Source: pytorch/pytorch issue 127176, huggingface/trl issue 4901.

    ## Fix
    Drop the scaler: `bf16=True` in place of `fp16=True`, `loss.backward()` and `optimizer.step()`.
    """
    one = _raised(amp, "bf16-scaled")
    if one and not outshone(cast, model) and not lacks_code(torch, place, precision):
        message = say("a GradScaler given the gradients of bf16 weights raises: {message}", message=one.message)
        yield Problem(message=message, location=one.location, fixes=_fixes(amp.tried(one.name), place, asked, range_of(model, cast, asked)))


@rule("IVD704", severity=Severity.NOTE)
def half_inside_autocast(
    torch: Torch, amp: Amp, place: Place, asked: Asked, precision: Precision | None, cast: Cast | None, model: Model | None
) -> Iterator[Problem]:
    """
    A part or a tensor in `.half()` meets bfloat16 autocast, and an operator raises.

    Autocast casts what its matrix products read, fp16 included. Operators that join several tensors, `torch.cat` first of all, know
    float32 and autocast's own format and no third: `Unexpected floating ScalarType in at::autocast::prioritize`. Others raise
    `mixed dtype (CPU)`, and where nothing raises, that part is rounded twice. Shown with a vision tower in `.half()`, on the
    miniature, as a note.

    Source: PyTorch, `aten/src/ATen/autocast_mode.h`, `prioritize` (2026-11-23).

    ## Fix
    Remove the `.half()`: under autocast the weights stay float32, and nothing is cast by hand.
    """
    one = _raised(amp, "half-inside-autocast")
    if one and not outshone(cast, model) and not lacks_code(torch, place, precision):
        message = say("a vision tower in .half() under bf16 autocast raises: {message}", message=one.message)
        yield Problem(message=message, location=one.location, fixes=_fixes(amp.tried(one.name), place, asked, range_of(model, cast, asked)))


@rule("IVD705", severity=Severity.NOTE, category="index-write-dtype-mismatch")
def embeddings_outside_autocast(
    torch: Torch, amp: Amp, place: Place, asked: Asked, precision: Precision | None, cast: Cast | None, model: Model | None
) -> Iterator[Problem]:
    """
    Text embeddings stay float32 under autocast, and bf16 visual tokens cannot be scattered into them.

    `nn.Embedding` computes nothing, so autocast leaves it alone; the vision tower ends in a product, which it does not.
    `masked_scatter` and writes by index cast nothing either. So autocast *makes* this clash in a model of one dtype, and is no
    remedy for it. Shown on the miniature, as a note.

    Source: PyTorch, Autocast Op Reference (2026-11-23); IVD402 is the same write after a cast of one tower.

    ## Fix
    Cast where they meet: `inputs_embeds.masked_scatter(mask, visual.to(inputs_embeds.dtype))`.
    """
    one = _raised(amp, "embeddings-outside-autocast")
    if one and not outshone(cast, model) and not lacks_code(torch, place, precision):
        message = say("fp32 text embeddings meet the visual tokens of bf16 autocast: {message}", message=one.message)
        yield Problem(message=message, location=one.location, fixes=_fixes(amp.tried(one.name), place, asked, range_of(model, cast, asked)))


def _raised(amp: Amp, name: str) -> Misuse | None:
    """The misuse where it raised: one that ran, or that could not be shown here, is no finding."""
    one = amp.misuse(name)
    return one if one and one.status == "raised" else None


def _grave(step: Step, place: Place, asked: Asked) -> Severity | None:
    emulated = place.dtypes.of(step.dtype) in ("emulated", "none")
    beside = asked.dtype != "auto" if not asked.concerns(step.dtype) else False
    return Severity.NOTE if beside or (emulated and not asked.concerns(step.dtype)) else None


def _category(step: Step, place: Place) -> str:
    if step.status == "ran":
        return "fp16-overflow" if step.dtype == "fp16" else ""
    if step.dtype == "bf16":
        return "bf16-op-unsupported"
    return "cpu-half-op-unsupported" if place.backend == "cpu" else ""


def _update(step: Step, torch: Torch) -> tuple[Fix, ...]:
    """Kernels are added with each release; a number that is wrong is no matter of age."""
    if step.status == "ran":
        return ()
    title = say("Update torch, this is {version}", version=torch.version)
    return (Fix(title=title, kind="command", trial=untried(say("ivdoctor installs nothing"))),)


def _fixes(trials: tuple[Trial, ...], place: Place, asked: Asked, fp16: Range = "unknown") -> tuple[Fix, ...]:
    """The lines that are right in every format, then for each format the smallest change, the best format first."""
    keep, only_slow = wanted(place, asked, fp16), place.backend == "cpu" and asked.dtype != "auto"

    def order(one: Trial) -> tuple[bool, int, bool, bool, int, int]:
        support, barred = SUPPORT.index(place.dtypes.of(one.computes_in)), one.computes_in == "fp16" and fp16 in BARRED
        return one.remedy not in NEUTRAL, 0 if only_slow else support, barred, one.computes_in != keep, support, SIZE.index(one.remedy)

    chosen: dict[str, Trial] = {}
    for trial in sorted((one for one in trials if one.status == "passed"), key=order):
        chosen.setdefault(trial.remedy if trial.remedy in NEUTRAL else trial.computes_in, trial)
    return tuple(_fix(trial, place, fp16) for trial in chosen.values())


def _fix(trial: Trial, place: Place, fp16: Range) -> Fix:
    device = place.name.partition(":")[0]
    step = "loss.backward()\noptimizer.step()"
    titles = {
        "no-half": (say("Remove the .half(): autocast casts what it computes"), "vit_embeds = model.vision(pixel_values)"),
        "cast-at-scatter": (
            say("Cast the visual tokens where they meet the text"),
            "inputs_embeds = inputs_embeds.masked_scatter(mask, vit_embeds.to(inputs_embeds.dtype))",
        ),
        "no-scaler": (say("Drop the GradScaler: bf16 has the range of fp32"), step),
        "fp16-autocast": (
            say("Train float32 weights under float16 autocast, with the scaler"),
            f'model = model.float()\nwith torch.autocast("{device}", torch.float16):\n    loss = model(**batch).loss',
        ),
        "bf16-autocast": (
            say("Train float32 weights under bfloat16 autocast, without a scaler"),
            f'model = model.float()\nwith torch.autocast("{device}", torch.bfloat16):\n    loss = model(**batch).loss\n{step}',
        ),
        "everything-bf16": (
            say("Train in bfloat16, without autocast and scaler"),
            f"model = model.to(torch.bfloat16)\nloss = model(**batch).loss\n{step}",
        ),
        "everything-fp32": (
            say("Train in float32, without autocast and scaler"),
            f"model = model.float()\nloss = model(**batch).loss\n{step}",
        ),
    }
    title, code = titles[trial.remedy]
    return Fix(title=title if trial.remedy in NEUTRAL else title + caveat(trial.computes_in, place, fp16), code=code, trial=Tried.of(trial))
