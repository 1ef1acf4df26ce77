"""What rules about casts share: which format is meant, whether a run is within the limits, and the lines that cure it."""

from collections.abc import Iterator

from ..facts import HALVES, TORCH_NAME, Asked, Cast, CastRun, Checkpoint, Half, Limits, Model, Packages, Place, Trial, release
from ..finding import Fix, Severity, Tried
from ..loader import RENAMED
from ..text import say
from ._remedies import SUPPORT, caveat, wanted

SHORT: dict[str, Half] = {TORCH_NAME[short]: short for short in HALVES}

FOLLOWS = (5,)
"""Since this release of transformers a model is loaded in its own dtype where none is named; before, in fp32."""


def outshone(cast: Cast | None) -> bool:
    """Whether the user's own model was run here: then what a stand-in does is no news of it."""
    return cast is not None and cast.how == "real-run"


def loads_as(model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None) -> Half | None:
    """What `from_pretrained` without a dtype gives; None where nobody can say."""
    if model is None:
        return None
    installed = next((one.version for one in packages.installed if one.name == "transformers"), None) if packages else None
    if installed is not None and release(installed) < FOLLOWS:
        return "fp32"
    return SHORT.get(model.dtype or (checkpoint.dtype if checkpoint else ""))


def judged(asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None) -> Half | None:
    """The format the verdict is about: the one asked for, else the one that would be loaded."""
    return loads_as(model, checkpoint, packages) if asked.dtype == "auto" else asked.dtype


def gravity(run: CastRun, asked: Asked, loaded: Half | None, cast: Cast) -> Severity:
    """An error for what was asked by name, a warning for what would be loaded, a note for the others and for the miniature."""
    if cast.how == "miniature" or run.dtype != (loaded if asked.dtype == "auto" else asked.dtype):
        return Severity.NOTE
    return Severity.ERROR if asked.dtype != "auto" else Severity.WARNING


def gravest(run: CastRun, asked: Asked, loaded: Half | None, cast: Cast) -> Severity:
    """The same for a run that gave nothing usable: what would be loaded is then no better than what was asked for."""
    return Severity.NOTE if gravity(run, asked, loaded, cast) is Severity.NOTE else Severity.ERROR


def beyond(run: CastRun, limits: Limits) -> Iterator[str]:
    """The figures that are beyond their limits, with both."""
    if run.relative_l2 > limits.relative_l2:
        yield say("relative L2 {found:.2g}, limit {limit:g}", found=run.relative_l2, limit=limits.relative_l2)
    if run.cosine < limits.cosine:
        yield say("cosine {found:.4f}, limit {limit:g}", found=run.cosine, limit=limits.cosine)
    if run.top1 is not None and run.top1 < limits.top1:
        yield say("the same first choice at {found:.1%} of positions, limit {limit:.0%}", found=run.top1, limit=limits.top1)
    if run.kl is not None and run.kl > limits.kl:
        yield say("KL divergence {found:.2g} nats, limit {limit:g}", found=run.kl, limit=limits.kl)


def sound(cast: Cast, dtype: str, limits: Limits) -> bool:
    """Whether the model ran in this format, its numbers are within the limits, and a louder input has room as well."""
    if dtype == "fp16" and cast.headroom is not None and cast.headroom > limits.headroom:
        return False
    run = cast.run(dtype)
    return dtype == cast.baseline or (run is not None and run.usable and not any(beyond(run, limits)))


def ranked_casts(cast: Cast, place: Place, asked: Asked, *, but: str = "") -> list[Trial]:
    """
    A trial for each format in which the model ran within the limits, best first: native here, then the one wanted, then the narrowest.

    As for other remedies, a format that was asked for by name is kept on a CPU that only emulates it: it is slow there, no more.

    Args:
        but: the format that is to be got out of.
    """
    passed: dict[Half, Trial] = {}
    for trial in cast.trials:
        if trial.case == "cast" and trial.status == "passed" and trial.computes_in != but and sound(cast, trial.computes_in, asked.limits):
            passed[trial.computes_in] = trial  # one that loads in the format comes after the one that casts, and replaces it
    keep = wanted(place, asked)
    only_slow = place.kind == "cpu" and asked.dtype != "auto"

    def order(dtype: Half) -> tuple[int, bool, int, int]:
        support = SUPPORT.index(place.dtypes.of(dtype))
        return (0 if only_slow else support), dtype != keep, support, -HALVES.index(dtype)

    return [passed[dtype] for dtype in sorted(passed, key=order)]


def ways_out(cast: Cast, place: Place, asked: Asked, model: Model | None, packages: Packages | None = None, *, but: str) -> tuple[Fix, ...]:
    """The ranked formats as fixes."""
    return tuple(_load(trial, place, cast, model, packages) for trial in ranked_casts(cast, place, asked, but=but))


def loading(dtype: str, model: Model | None, packages: Packages | None = None) -> str:
    """The line that loads the model in a format, for the transformers that is installed; its folder is the reader's."""
    named = model.architectures[0] if model and model.architectures and model.architectures[0].isidentifier() else "AutoModel"
    version = packages.version("transformers") if packages else None
    keyword = "torch_dtype" if version and release(version) < RENAMED else "dtype"
    return f"model = {named}.from_pretrained(path, {keyword}=torch.{TORCH_NAME[dtype]})"


def remark(dtype: Half, place: Place, cast: Cast) -> str:
    """What the line does not say, in brackets: how far float16 was from its end where that was seen, and the price of an emulated format."""
    if dtype != "fp16" or cast.how != "real-run" or cast.headroom is None:
        return caveat(dtype, place)
    seen = say("on these inputs its activations stay within {share} of float16's range, which ends at 65504", share=share(cast.headroom))
    slow = say("{dtype} is emulated here, so it is slow", dtype=dtype)
    return f" ({'; '.join([seen, slow] if place.dtypes.fp16 == 'emulated' else [seen])})"


def share(headroom: float) -> str:
    """A part of float16's range; never a `0.0%` that is not so."""
    return f"{headroom:.1%}" if headroom >= 0.001 else say("less than {share}", share="0.1%")  # noqa: PLR2004  # a tenth of a per cent


def loads(trial: Trial, cast: Cast) -> bool:
    """Whether the trial is of what a loader leaves, which is not what a cast leaves where the loader keeps tensors in fp32."""
    dtype = trial.computes_in
    keeps = any(dtype in one.formats for one in cast.kept)
    return cast.how == "real-run" and (not keeps or dtype == cast.baseline or trial.remedy == f"load-in-{dtype}")


def _load(trial: Trial, place: Place, cast: Cast, model: Model | None, packages: Packages | None) -> Fix:
    dtype = trial.computes_in
    return Fix(
        title=say("Run the model in {dtype}", dtype=TORCH_NAME[dtype]) + remark(dtype, place, cast),
        code=loading(dtype, model, packages) if loads(trial, cast) else f"model = model.to(torch.{TORCH_NAME[dtype]})",
        trial=Tried.of(trial),
    )
