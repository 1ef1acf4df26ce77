"""Each format as a way out of another: what is known to have run, as trials."""

import gc
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..facts import TORCH_NAME, WRONG, CastRun, Fed, Half, Trial
from ..text import say
from .compare import compared, main_output
from .recast import recast
from .run import torch_dtype
from .subject import Subject, said


def trials(subject: Subject, nonfinite: int, runs: tuple[CastRun, ...], fed: tuple[Fed, ...]) -> Iterator[Trial]:
    """
    Each format as a way out of another, and the cast of the inputs as the way out of a clash.

    Args:
        nonfinite: NaN and Inf in the baseline's own output.
    """
    itself = CastRun(dtype=subject.baseline, status="ran", cosine=1.0, nonfinite=nonfinite)
    for run in (*runs, itself):
        if run.status != "skipped":
            yield _trial(subject, f"everything-{run.dtype}", "cast", "", run)
    by_dtype = {run.dtype: run for run in (*runs, itself)}
    for one in fed:
        if one.status == "raised":
            yield _trial(subject, "cast-input", one.case, one.message, by_dtype[one.model])


Dtypes = dict[str, torch.dtype]


def as_loaded(subject: Subject, expected: Tensor, runs: tuple[CastRun, ...]) -> tuple[dict[Half, Dtypes], tuple[Trial, ...]]:
    """
    The model as `from_pretrained(dtype=)` leaves it in each format that was run: its dtypes, and a trial where they are not those of a cast.

    The copy is let go before the next is loaded.
    """
    dtypes: dict[Half, Dtypes] = {}
    made: list[Trial] = []
    for run in runs:
        if subject.again is None or run.status == "skipped":
            continue
        after = replace(run, status="raised", relative_l2=0.0, nonfinite=0)
        try:
            model = subject.again(run.dtype)
            found = {name: one.dtype for name, one in (*model.named_parameters(), *model.named_buffers()) if one.is_floating_point()}
            if all(dtype == torch_dtype(run.dtype) for dtype in found.values()):
                continue
            dtypes[run.dtype] = found
            after = _ran(subject, model, expected, after)
        except Exception as error:  # noqa: BLE001  # whatever the model raises is what came of it
            after = replace(after, message=said(error))
        finally:
            model = nn.Identity()
            gc.collect()
        made.append(_trial(subject, f"load-in-{run.dtype}", "cast", "", after))
    return dtypes, tuple(made)


def _ran(subject: Subject, model: nn.Module, expected: Tensor, after: CastRun) -> CastRun:
    with recast(model, None, subject.device):
        found = main_output(subject.calling(model, after.dtype)())
    if found is None or found[1].shape != expected.shape:
        return replace(after, message=say("the output has another shape than in {dtype}", dtype=subject.baseline))
    figures = compared(found[1], expected, logits=False)
    return replace(after, status="ran", relative_l2=figures.relative_l2, nonfinite=figures.nonfinite)


def _trial(subject: Subject, remedy: str, case: str, before: str, run: CastRun) -> Trial:
    ran = say("ran, and the output is not finite") if run.nonfinite else say("ran, output {dtype}", dtype=TORCH_NAME[run.dtype])
    return Trial(
        remedy=remedy,
        case=case,
        status="passed" if run.usable and run.relative_l2 < WRONG else "failed",
        how="real-run" if subject.real else "miniature",
        where=subject.device,
        before=before,
        after=ran if run.status == "ran" else run.message,
        computes_in=run.dtype,
        metrics={"relative_l2": run.relative_l2} if run.status == "ran" else {},
    )
