"""Which format is meant, and what is proven of it: by a run, by a load, and of float16 by what is publicly known of the family. Pure."""

from collections.abc import Iterator
from typing import Literal

from .facts import SHORT_NAME, Asked, Cast, CastRun, Checkpoint, Half, Limits, Model, Packages, Place, Trial, release
from .kernels import engine_row
from .tables import table
from .text import say

Range = Literal["fits", "lost", "overflows", "stays", "unknown"]
"""Of float16: a run within the limits, or beyond them; what the tables say of the family; nobody knows."""

FOLLOWS = (5,)
"""Since this release of transformers a model is loaded in its own dtype where none is named; before, in fp32."""


BARRED = ("lost", "overflows")
"""Where float16 must not lead, whatever the hardware."""


def loads_as(model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None) -> Half | None:
    """What `from_pretrained` without a dtype gives; None where nobody can say."""
    if model is None:
        return None
    installed = packages.version("transformers") if packages else None
    if installed and release(installed) < FOLLOWS:
        return "fp32"
    return SHORT_NAME.get(model.dtype or (checkpoint.dtype if checkpoint else ""))


def judged(asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None) -> Half | None:
    """The format the verdict is about: the one asked for, else the one that would be loaded."""
    return loads_as(model, checkpoint, packages) if asked.dtype == "auto" else asked.dtype


def concerned(dtype: str, place: Place, asked: Asked, *, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None) -> bool:
    """
    Whether the verdict is about this format: it was asked for by name, or a model would be loaded in it at a place where it cannot be run.

    Not so where the engine in question takes another dtype by itself.
    """
    if asked.concerns(dtype) or place.kind != "target":
        return asked.concerns(dtype)
    row = engine_row(asked.engine, dtype, place) if asked.engine else None
    return judged(asked, model, checkpoint, packages) == dtype and not (row and row.auto)


def fp16_range(family: str, cast: Cast | None, limits: Limits) -> Range:
    """Whether a model stays within float16's range: by its own run here, else by its `model_type` in the tables."""
    if cast and cast.how == "real-run":
        run = cast.run("fp16")
        if (run and run.status != "skipped") or cast.baseline == "fp16":
            return "fits" if sound(cast, "fp16", limits) or at_once(cast, "fp16", limits) else "lost"
    row = known_of(family)
    if row is None:
        return "unknown"
    return "overflows" if row["verdict"] == "overflows" else "stays"


def known_of(family: str) -> dict[str, str] | None:
    """The row of a `model_type` in `fp16_range.csv`."""
    return next((row for row in table("fp16_range") if row["model_type"] == family), None)


def beyond(run: CastRun, limits: Limits) -> Iterator[str]:
    """The figures that are beyond their limits, with both; one that is no number is beyond any."""
    if not run.relative_l2 <= limits.relative_l2:
        yield say("relative L2 {found:.2g}, limit {limit:g}", found=run.relative_l2, limit=limits.relative_l2)
    if not run.cosine >= limits.cosine:
        yield say("cosine {found:.4f}, limit {limit:g}", found=run.cosine, limit=limits.cosine)
    if run.top1 is not None and run.top1 < limits.top1:
        yield say("the same first choice at {found:.1%} of positions, limit {limit:.0%}", found=run.top1, limit=limits.top1)
    if run.kl is not None and not run.kl <= limits.kl:
        yield say("KL divergence {found:.2g} nats, limit {limit:g}", found=run.kl, limit=limits.kl)


def kept_its_numbers(cast: Cast, dtype: str, limits: Limits) -> bool:
    """Whether the model ran in this format after a cast, and its output is within the limits; the baseline where it is finite."""
    if dtype == cast.baseline:
        return not cast.nonfinite
    run = cast.run(dtype)
    return run is not None and run.usable and not any(beyond(run, limits))


def sound(cast: Cast, dtype: str, limits: Limits) -> bool:
    """The same, and a louder input has room as well."""
    near = dtype == "fp16" and cast.headroom is not None and cast.headroom > limits.headroom
    return not near and kept_its_numbers(cast, dtype, limits)


def loaded(cast: Cast, dtype: str) -> Trial | None:
    """The trial of the model loaded in this format at once; None where that leaves what a cast leaves."""
    return next((one for one in cast.trials if one.remedy == f"load-in-{dtype}"), None)


def within(trial: Trial, limits: Limits) -> bool:
    """Whether a trial ran, and its distance is within the limit; a pass by itself asks for less."""
    return trial.status == "passed" and trial.metrics.get("relative_l2", 0.0) <= limits.relative_l2


def at_once(cast: Cast, dtype: str, limits: Limits) -> Trial | None:
    """The trial of loading in this format where that is within the limits and only the cast afterwards is not: T5's `wo` in float16."""
    trial = loaded(cast, dtype)
    return trial if trial and within(trial, limits) and not kept_its_numbers(cast, dtype, limits) else None
