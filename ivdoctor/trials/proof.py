"""Each format as a way out of another: what is known to have run, as trials."""

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from ..facts import TORCH_NAME, WRONG, CastRun, Fed, Trial
from ..text import say
from .compare import compared, main_output
from .recast import recast
from .subject import Subject, said, torch_dtype


def trials(subject: Subject, runs: tuple[CastRun, ...], fed: tuple[Fed, ...]) -> Iterator[Trial]:
    """Each format as a way out of another, and the cast of the inputs as the way out of a clash."""
    itself = CastRun(dtype=subject.baseline, status="ran", cosine=1.0)
    for run in (*runs, itself):
        if run.status != "skipped":
            yield _trial(subject, f"everything-{run.dtype}", "cast", "", run)
    by_dtype = {run.dtype: run for run in runs}
    for one in fed:
        if one.status == "raised":
            yield _trial(subject, "cast-input", one.case, one.message, by_dtype[one.model])


def kept_trials(subject: Subject, expected: Tensor, runs: tuple[CastRun, ...]) -> Iterator[Trial]:
    """As `from_pretrained(dtype=)` would leave the model, where that differs from what `.to(dtype)` leaves."""
    for run in runs:
        spared = frozenset(one.name for one in subject.kept if run.dtype in one.formats)
        if spared and run.status == "ran":
            after = replace(run, status="raised", relative_l2=0.0, nonfinite=0)
            try:
                with recast(subject.model, torch_dtype(run.dtype), subject.device, spared=spared):
                    found = main_output(subject.call(run.dtype)())
            except Exception as error:  # noqa: BLE001  # whatever the model raises is what came of it
                after = replace(after, message=said(error))
            else:
                if found is not None and found[1].shape == expected.shape:
                    figures = compared(found[1], expected, logits=False)
                    after = replace(after, status="ran", relative_l2=figures.relative_l2, nonfinite=figures.nonfinite)
            yield _trial(subject, f"load-in-{run.dtype}", "cast", "", after)


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
