"""Cast, then infer: a baseline in fp32, the same weights in bf16 and fp16, and what is left of the numbers."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..facts import FP16_MAX, SHORT_NAME, Asked, Cast, CastRun, Fed, Half
from ..probe import Absent
from ..text import say
from . import miniature, threads
from .compare import compared, main_output
from .hooks import Baseline, Comparison, bounded, lost_at, unrun
from .inputs import Inputs, given, samples
from .peak import Cost, measured
from .proof import Dtypes, as_loaded, trials
from .recast import recast
from .rounding import kept, rounding
from .run import torch_dtype
from .subject import Subject, said, slowness, where

LONGEST, TIMED = 300.0, 30.0
"""Seconds that a pass may be expected to take, else its format is not run; and that it may have taken to be worth timing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The baseline's outputs and cost."""

    watch: Baseline
    name: str
    output: Tensor
    cost: Cost | None
    weights_mib: float
    seconds: float
    """Of the first pass."""
    nonfinite: int

    @property
    def warm(self) -> float:
        """Seconds of a pass; the first one where no other was made."""
        return self.cost.seconds if self.cost else self.seconds


def cast_then_infer(device: str, asked: Asked) -> Cast:
    """
    The miniature, or the model in the folder that was asked about, on one device.

    Raises:
        Absent: the model cannot be loaded or run here, in one line.
        DeviceFault: the device was lost on the way.
    """
    if not asked.model:
        threads.one()
        model, pixels, ids = miniature.build()
        inputs = Inputs(tensors={"pixel_values": pixels, "input_ids": ids}, said=say("2 frames of noise and a row of ids"))
        return compare(Subject(name="miniature", model=model, inputs=inputs, baseline="fp32", device=device, real=False))
    from ..modelfiles import folder_of, name_of
    from .load import load

    threads.own()
    loaded = load(asked.model, device)
    offered = [given(asked.inputs, loaded.model)] if asked.inputs else samples(folder_of(asked.model), loaded.model, loaded.config)
    refused: Absent | None = None
    own = ""
    for inputs in offered:
        subject = Subject(
            name=name_of(asked.model), model=loaded.model, inputs=inputs, baseline=loaded.dtype, device=device, real=True, again=loaded.again
        )
        try:
            cast, dtypes = examined(subject, asked)
        except Absent as error:
            refused = refused or error
            own = own or (say("{inputs} were refused: {error}", inputs=inputs.said, error=error) if inputs.own else "")
            continue
        return replace(
            cast,
            inputs="; ".join(filter(None, [cast.inputs, own])),
            architecture=type(loaded.model).__name__,
            baseline_reason=loaded.reason,
            rounding=None if loaded.missing else rounding(loaded.model, loaded.stored),
            kept=kept(loaded.model, loaded.config, dtypes),
            missing=loaded.missing,
            unexpected=loaded.unexpected,
        )
    raise refused or Absent(say("no inputs are known for a model of this kind: name some with --inputs"))


def compare(subject: Subject, asked: Asked | None = None) -> Cast:
    """Every format against the baseline."""
    return examined(subject, asked)[0]


def examined(subject: Subject, asked: Asked | None = None) -> tuple[Cast, dict[Half, Dtypes]]:
    """
    Every format against the baseline; and by format, what dtypes a loader leaves where they are not those of a cast.

    Args:
        asked: None for the miniature, whose inputs are always cast with it: the reproduction is about those that are not.
    """
    with torch.no_grad(), _on(subject.device):
        base = _baseline(subject)
        formats: tuple[Half, ...] = ("bf16", "fp16")
        runs = tuple(_run(subject, base, dtype) for dtype in formats if dtype != subject.baseline)
        fed = tuple(_fed(subject, runs, asked)) if asked else ()
        dtypes, loaded = as_loaded(subject, base.output, runs)
    cast = Cast(
        model=subject.name,
        how="real-run" if subject.real else "miniature",
        baseline=subject.baseline,
        inputs=subject.inputs.said,
        floats=subject.inputs.floats,
        nonfinite=base.nonfinite,
        unrun=unrun(subject.model, base.watch.calls) if subject.real else (),
        output=f"{base.name} {'x'.join(map(str, base.output.shape))}",
        parameters=sum(one.numel() for one in subject.model.parameters()),
        headroom=base.watch.largest / FP16_MAX,
        headroom_module=base.watch.loudest,
        runs=runs,
        fed=fed,
        trials=(*trials(subject, base.nonfinite, runs, fed), *loaded),
    )
    return cast, dtypes


def _on(device: str) -> AbstractContextManager[object]:
    """What a model launches without naming a device goes to this one."""
    return torch.cuda.device(device) if device.startswith("cuda") else nullcontext()


def _baseline(subject: Subject) -> Base:
    """
    The pass everything is compared with.

    Raises:
        Absent: it does not run, or gives nothing to compare.
    """
    with recast(subject.model, None, subject.device) as size:
        call = subject.call(subject.baseline)
        watch = Baseline(model=subject.model)
        began = time.perf_counter()
        try:
            with watch:
                found = main_output(call())
        except Exception as error:
            raise Absent(say("the model does not run in {dtype} on its inputs: {error}", dtype=subject.baseline, error=said(error))) from error
        seconds = time.perf_counter() - began - watch.seconds
        if found is None:
            raise Absent(say("the model returns no tensor of floating numbers, so there is nothing to compare"))
        name, output = found
        output = output.cpu()
        nonfinite = int((output.isnan() | output.isposinf()).sum())  # -Inf is a mask's filling
        if not bool(torch.isfinite(output).any()):
            first = say(", first in {module}", module=watch.first_nonfinite) if watch.first_nonfinite else ""
            raise Absent(say("the model gives no finite number in {dtype} already", dtype=subject.baseline) + first)
        cost = measured(call, subject.device) if subject.real and seconds < TIMED else None
    return Base(watch=watch, name=name, output=output, cost=cost, weights_mib=size / 2**20, seconds=seconds, nonfinite=nonfinite)


def _run(subject: Subject, base: Base, dtype: Half) -> CastRun:
    expected = base.warm * slowness(subject.device, dtype) if base.warm > 1 else 0.0
    if expected > LONGEST:
        return CastRun(dtype=dtype, status="skipped", message=say("a pass would take about {minutes:.0f} minutes here", minutes=expected / 60))
    try:
        with recast(subject.model, torch_dtype(dtype), subject.device) as size:
            call = subject.call(dtype)
            watch = Comparison(model=subject.model, baseline=base.watch)
            began = time.perf_counter()
            try:
                with watch:
                    found = main_output(call())
            except Exception as error:  # noqa: BLE001  # whatever the model raises is what came of it
                return CastRun(dtype=dtype, status="raised", message=said(error), location=where(subject, error, call))
            seconds = time.perf_counter() - began - watch.seconds
            if found is None or found[1].shape != base.output.shape:
                return CastRun(dtype=dtype, status="raised", message=say("the output has another shape than in {dtype}", dtype=subject.baseline))
            figures = compared(found[1], base.output, logits=_logits(subject, base), mask=subject.inputs.mask)
            cost = measured(call, subject.device) if base.cost and seconds < TIMED else None
    except (RuntimeError, TypeError) as error:  # MPS refuses to hold bf16 before macOS 14
        return CastRun(dtype=dtype, status="raised", message=said(error))
    again = _again(subject, base) if cost else None
    return CastRun(
        dtype=dtype,
        status="ran",
        relative_l2=figures.relative_l2,
        max_abs=figures.max_abs,
        cosine=figures.cosine,
        top1=figures.top1,
        kl=figures.kl,
        nonfinite=figures.nonfinite,
        first_nonfinite=watch.first_nonfinite,
        lost_at=watch.first_nonfinite or lost_at(watch.drifts),
        modules=bounded(watch.drifts),
        time_ratio=cost.seconds / again if cost and again else None,
        memory_ratio=_memory(cost, size / 2**20) / _memory(base.cost, base.weights_mib) if _weighed(cost, base.cost) else None,
    )


def _again(subject: Subject, base: Base) -> float:
    """Seconds of a pass of the baseline, the least of those before and of those right after: a busy machine is busy for a while."""
    with recast(subject.model, None, subject.device):
        after = measured(subject.call(subject.baseline), subject.device).seconds
    return min(after, base.cost.seconds) if base.cost else after


def _fed(subject: Subject, runs: tuple[CastRun, ...], asked: Asked) -> Iterator[Fed]:
    """The inputs as their processor emits them, or as the user said, into each format that runs when they are cast too."""
    emitted = SHORT_NAME.get(subject.inputs.floats)
    floats = asked.input_dtype or emitted
    if not emitted or not floats:
        return
    ran: list[Half] = [run.dtype for run in runs if run.status == "ran"]
    for dtype in (*ran, subject.baseline):
        if floats == dtype:
            continue
        with recast(subject.model, None if dtype == subject.baseline else torch_dtype(dtype), subject.device):
            call = subject.call(dtype, floats)
            try:
                call()
            except Exception as error:  # noqa: BLE001  # as above
                yield Fed(model=dtype, input=floats, status="raised", message=said(error), location=where(subject, error, call))
            else:
                yield Fed(model=dtype, input=floats, status="ran")


def _logits(subject: Subject, base: Base) -> bool:
    return base.name == "logits" or not subject.real


def _weighed(cost: Cost | None, base: Cost | None) -> bool:
    return bool(cost and base and cost.extra_mib is not None and base.extra_mib is not None)


def _memory(cost: Cost | None, weights: float) -> float:
    return weights + ((cost.extra_mib or 0.0) if cost else 0.0)
