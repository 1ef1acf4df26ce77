"""What rules about casts share: which format is meant, whether a run is within the limits, and the lines that cure it."""

from ..evidence import BARRED, at_once, loaded, sound, within
from ..facts import HALVES, TORCH_NAME, Asked, Cast, CastRun, Flow, Half, Limits, Model, Packages, Place, Trial
from ..finding import Fix, Severity, Tried
from ..lines import INPUTS, class_name, from_pretrained
from ..text import say, share
from ._remedies import SUPPORT, caveat, range_of, wanted


def outshone(cast: Cast | None, model: Model | None, flow: Flow | None = None) -> bool:
    """
    Whether what a stand-in does is no news: the user's own model was run, its code was followed, or it was named and is another.

    A model with code of its own that may not be run here may well be the one the stand-in stands for.
    """
    return (cast is not None and cast.how == "real-run") or (model is not None and not model.remote_code) or bool(flow and flow.cells)


def gravity(run: CastRun, asked: Asked, loaded: Half | None, cast: Cast) -> Severity:
    """An error for what was asked by name, a warning for what would be loaded, a note for the others and for the miniature."""
    if cast.how == "miniature" or run.dtype != (loaded if asked.dtype == "auto" else asked.dtype):
        return Severity.NOTE
    return Severity.ERROR if asked.dtype != "auto" else Severity.WARNING


def gravest(run: CastRun, asked: Asked, loaded: Half | None, cast: Cast) -> Severity:
    """The same for a run that gave nothing usable: what would be loaded is then no better than what was asked for."""
    return Severity.NOTE if gravity(run, asked, loaded, cast) is Severity.NOTE else Severity.ERROR


def spared(severity: Severity, cast: Cast, dtype: str, limits: Limits) -> Severity:
    """A warning at most where the model loaded in the format at once is within the limits: then only a cast afterwards breaks it."""
    return Severity.WARNING if severity is Severity.ERROR and at_once(cast, dtype, limits) else severity


def ranked_casts(cast: Cast, place: Place, asked: Asked, model: Model | None = None, *, but: str = "") -> list[Trial]:
    """
    A trial for each format in which the model ran within the limits, best first: native here, then the one wanted, then the narrowest.

    As for other remedies, a format that was asked for by name is kept on a CPU that only emulates it: it is slow there, no more.

    Args:
        but: the format that is to be got out of.
    """
    fp16, passed = range_of(model, cast, asked), dict[Half, Trial]()
    for trial in cast.trials:
        if trial.case == "cast" and trial.computes_in != but and _proven(trial, cast, asked.limits):
            passed[trial.computes_in] = trial  # one that loads in the format comes after the one that casts, and replaces it
    keep = wanted(place, asked, fp16)
    only_slow = place.backend == "cpu" and asked.dtype != "auto"

    def order(dtype: Half) -> tuple[int, bool, bool, int, int]:
        support = SUPPORT.index(place.dtypes.of(dtype))
        return (0 if only_slow else support), dtype == "fp16" and fp16 in BARRED, dtype != keep, support, -HALVES.index(dtype)

    return [passed[dtype] for dtype in sorted(passed, key=order)]


def _proven(trial: Trial, cast: Cast, limits: Limits) -> bool:
    """What was loaded speaks for itself where the cast fails; where both ran, fp16 needs room for a louder input besides."""
    dtype = trial.computes_in
    if trial == loaded(cast, dtype) and (not within(trial, limits) or at_once(cast, dtype, limits)):
        return within(trial, limits)
    return trial.status == "passed" and sound(cast, dtype, limits)


def ways_out(cast: Cast, place: Place, asked: Asked, model: Model | None, packages: Packages | None = None, *, but: str) -> tuple[Fix, ...]:
    """The ranked formats as fixes; first of all the format itself, where loading in it at once is cure enough."""
    trial = at_once(cast, but, asked.limits)
    itself = (load_at_once(trial, place, cast, model, packages),) if trial else ()
    return (*itself, *(run_in(one, place, cast, model, packages) for one in ranked_casts(cast, place, asked, model, but=but)))


def loading(dtype: str, model: Model | None, packages: Packages | None = None, cast: Cast | None = None) -> str:
    """
    The line that loads the model in a format; its folder is the reader's.

    With the cast of the inputs, where the model in that format was seen to raise without.
    """
    line = f"model = {from_pretrained(class_name(model, cast), 'path', f'torch.{TORCH_NAME[dtype]}', packages, model)}"
    return fed(line, dtype, cast)


def fed(line: str, dtype: str, cast: Cast | None) -> str:
    """The line, and below it the cast of the inputs where a run without raised."""
    clashes = cast is not None and any(one.model == dtype and one.status == "raised" for one in cast.fed)
    return f"{line}\n{INPUTS}" if clashes else line


def proven_line(trial: Trial, cast: Cast, model: Model | None, packages: Packages | None) -> str:
    """What was tried, to write down: loaded in the format, or cast after it was loaded in the baseline's."""
    dtype = trial.computes_in
    if loads(trial, cast):
        return loading(dtype, model, packages, cast)
    line = f"model = {from_pretrained(class_name(model, cast), 'path', f'torch.{TORCH_NAME[cast.baseline]}', packages)}"
    return fed(f"{line if cast.how == 'real-run' else 'model = model'}.to(torch.{TORCH_NAME[dtype]})", dtype, cast)


def remark(dtype: Half, place: Place, cast: Cast, model: Model | None = None) -> str:
    """What the line does not say, in brackets: how far float16 was from its end where that was seen, and the price of an emulated format."""
    if dtype != "fp16" or cast.how != "real-run" or cast.headroom is None:
        return caveat(dtype, place, range_of(model, cast, Asked()))
    seen = say("on these inputs its activations stay within {share} of float16's range, which ends at 65504", share=share(cast.headroom))
    if cast.headroom > 1:
        seen = say("float16 ends at 65504, and what its loader keeps in float32 needs more: test it on your longest inputs")
    slow = say("{dtype} is emulated here, so it is slow", dtype=dtype)
    return f" ({'; '.join([seen, slow] if place.dtypes.fp16 == 'emulated' else [seen])})"


def loads(trial: Trial, cast: Cast) -> bool:
    """Whether the trial is of what a loader leaves, which is not what a cast leaves where the loader keeps tensors in fp32."""
    dtype = trial.computes_in
    differs = loaded(cast, dtype) is not None or any(dtype in one.formats for one in cast.kept)
    return cast.how == "real-run" and (not differs or dtype == cast.baseline or trial == loaded(cast, dtype))


def run_in(trial: Trial, place: Place, cast: Cast, model: Model | None, packages: Packages | None) -> Fix:
    """A format that was run, as a fix."""
    dtype = trial.computes_in
    return Fix(
        title=say("Run the model in {dtype}", dtype=TORCH_NAME[dtype]) + remark(dtype, place, cast, model),
        code=proven_line(trial, cast, model, packages),
        trial=Tried.of(trial),
    )


def load_at_once(trial: Trial, place: Place, cast: Cast, model: Model | None, packages: Packages | None) -> Fix:
    """A format that was loaded, as a fix."""
    dtype = trial.computes_in
    title = say("Load in {dtype} at once, and cast nothing afterwards", dtype=TORCH_NAME[dtype])
    return Fix(title=title + remark(dtype, place, cast, model), code=loading(dtype, model, packages, cast), trial=Tried.of(trial))
