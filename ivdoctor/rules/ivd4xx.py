"""IVD4xx: dtypes that meet and differ."""

from collections.abc import Iterator
from dataclasses import replace

from ..evidence import beyond, judged, sound, within
from ..evidence import loaded as loaded_in
from ..facts import Asked, Cast, CastRun, Cell, Checkpoint, Driver, Fed, Flow, Gpu, Half, Mismatch, Model, Packages, Place, Precision, Torch, Towers
from ..finding import Fix, Problem, Severity, Tried
from ..lines import INPUTS
from ..rule import rule
from ..text import say
from ..wheels import lacks_code
from ._casts import gravest, outshone, ranked_casts, remark, run_in, spared, ways_out
from ._remedies import fixes, range_of, untried, useless

FOUNDING = ("fp16", "bf16")
"""The cell of the bug ivdoctor was born from: `.half()` weights and bfloat16 pixels."""


def judged_cell(mismatch: Mismatch, asked: Asked) -> tuple[Cell | None, Severity]:
    """The cell the user named and how grave its failure is; the founding one, as a demonstration, where none was named."""
    if asked.dtype == "auto":
        given = asked.input_dtype or FOUNDING[1]
        return mismatch.cell("bf16" if given == "fp16" else "fp16", given), Severity.NOTE
    severity = Severity.ERROR if asked.input_dtype else Severity.WARNING
    return mismatch.cell(asked.dtype, asked.input_dtype or "fp32"), severity


@rule("IVD401", severity=Severity.NOTE, category="conv-input-param-dtype-mismatch")
def patch_convolution_dtype_differs(
    torch: Torch,
    mismatch: Mismatch,
    place: Place,
    asked: Asked,
    precision: Precision | None,
    cast: Cast | None,
    model: Model | None,
    flow: Flow | None,
) -> Iterator[Problem]:
    """
    The patch convolution gets pixels in another dtype than its weights, and raises.

    The failure of the InternVideo2.5 demo: the model was loaded with `.half()`, the pixels were cast to bfloat16. The vision
    tower looks up its own dtype one line earlier and applies it to everything but the pixels. Shown here on a
    miniature that is really run, as a note; a warning where only the model's dtype was named, because casting the input
    cures it; an error where both were named. Silent where a model of the user's was really run, or its code was followed: IVD406 and IVD410 say what that one does.

    Source: OpenGVLab/InternVideo issues 243 and 251.

    ## Fix
    Bring both to one dtype that the hardware computes in: `model = model.to(torch.bfloat16)`, or cast the input.
    """
    cell, severity = judged_cell(mismatch, asked)
    if outshone(cast, model, flow) or cell is None or cell.attempt.status == "ran" or cell.model == cell.input or lacks_code(torch, place, precision):
        return
    tried = mismatch.tried(cell.case)
    raised = sum(one.attempt.status == "raised" for one in mismatch.cells)
    yield Problem(
        message=say("a model in {model} with pixels in {input} raises: {message}", model=cell.model, input=cell.input, message=cell.attempt.message),
        evidence=(
            say("{raised} of {all} pairs of model and pixel dtype raise on {place}", raised=raised, all=len(mismatch.cells), place=place.name),
            *useless(tried),
        ),
        severity=severity,
        location=cell.attempt.location,
        origin=cell.attempt.origin,
        fixes=fixes(tried, place, asked, range_of(model, cast, asked)),
    )


def _chosen(raised: list[Towers], preferred: str, mismatch: Mismatch) -> Towers | None:
    """The well-known combination where it raises, else the first that remedies were tried on."""
    tried = [one for one in raised if mismatch.tried(one.case)]
    return next((one for one in tried if one.case == preferred), next(iter(tried or raised), None))


def _tower_problem(one: Towers, count: int, mismatch: Mismatch, place: Place, asked: Asked, model: Model | None) -> Problem:
    tried = mismatch.tried(one.case)
    return Problem(
        message=say(
            "vision {vision}, projector {projector}, LM {lm}: {message}",
            vision=one.vision,
            projector=one.projector,
            lm=one.lm,
            message=one.attempt.message,
        ),
        evidence=(say("{count} of {all} such combinations raise there", count=count, all=len(mismatch.towers)), *useless(tried)),
        location=one.attempt.location,
        origin=one.attempt.origin,
        fixes=fixes(tried, place, asked, range_of(model, None, asked)),
    )


@rule("IVD402", severity=Severity.NOTE, category="index-write-dtype-mismatch")
def visual_tokens_dtype_differs(
    mismatch: Mismatch, place: Place, asked: Asked, cast: Cast | None, model: Model | None, flow: Flow | None
) -> Iterator[Problem]:
    """
    The visual tokens are written into text embeddings of another dtype, and the write raises.

    What follows a cast of one tower alone: the line moves the tokens to the right device and forgets their dtype. Shown on
    the miniature, as a note.

    ## Fix
    Load every part in one dtype, or cast the tokens where they are written.
    """
    raised = [one for one in mismatch.towers if one.attempt.location and one.attempt.location.op == "aten.index_put_"]
    one = _chosen(raised, "bf16/bf16/fp16", mismatch)
    if one and not outshone(cast, model, flow):
        yield _tower_problem(one, len(raised), mismatch, place, asked, model)


@rule("IVD403", severity=Severity.NOTE, category="matmul-dtype-mismatch")
def projector_dtype_differs(
    mismatch: Mismatch, place: Place, asked: Asked, cast: Cast | None, model: Model | None, flow: Flow | None
) -> Iterator[Problem]:
    """
    The projector's weights have another dtype than the vision tower's output, and its first product raises.

    A projector that was trained later is often stored, and so loaded, in another precision. Shown on the miniature, as a note.

    ## Fix
    Load every part in one dtype.
    """
    raised = [one for one in mismatch.towers if one.attempt.location and one.attempt.location.module.startswith("projector")]
    one = _chosen(raised, "bf16/fp32/fp32", mismatch)
    if one and not outshone(cast, model, flow):
        yield _tower_problem(one, len(raised), mismatch, place, asked, model)


@rule("IVD404", severity=Severity.ERROR)
def agreeing_dtypes_fail(
    torch: Torch,
    mismatch: Mismatch,
    place: Place,
    asked: Asked,
    driver: Driver | None,
    gpu: Gpu | None,
    precision: Precision | None,
    cast: Cast | None,
    model: Model | None,
) -> Iterator[Problem]:
    """
    Model and input have the same dtype, and the pass fails all the same, or gives no finite numbers.

    Then this PyTorch has no kernel for the format on this device, and no cast between the two cures it. On a CPU beside a GPU the
    first question is why the tensor is on the CPU. A note for formats other than the one asked for, a warning for one that the accelerator
    only emulates.

    ## Fix
    Use a format that runs here, or the device it was meant for.
    """
    for cell in mismatch.cells:
        if lacks_code(torch, place, precision) or cell.model != cell.input or cell.attempt.usable:
            continue
        elsewhere = asked.dtype != "auto" and not asked.concerns(cell.model)
        said = cell.attempt.message or cell.attempt.said()
        yield Problem(
            message=say("model and pixels in {dtype} fail on {place}: {message}", dtype=cell.model, place=place.name, message=said),
            severity=Severity.NOTE if elsewhere else _unless_emulated(place, cell, asked),
            category=_category(place, cell),
            location=cell.attempt.location,
            fixes=(*_why_on_the_cpu(place, driver, gpu), *fixes(mismatch.tried(cell.case), place, asked, range_of(model, cast, asked))),
        )


def _unless_emulated(place: Place, cell: Cell, asked: Asked) -> Severity | None:
    """Nobody asked for it and nobody should: IVD201 and IVD205 say why."""
    emulated = place.backend != "cpu" and place.dtypes.of(cell.model) == "emulated"
    return Severity.WARNING if emulated and not asked.concerns(cell.model) else None


def _category(place: Place, cell: Cell) -> str:
    if cell.attempt.status == "ran":
        return "fp16-overflow" if cell.model == "fp16" and cell.attempt.relative_l2 < 0 else ""
    if cell.model == "bf16":
        return "bf16-op-unsupported"
    return "cpu-half-op-unsupported" if place.backend == "cpu" and cell.model == "fp16" else ""


def _why_on_the_cpu(place: Place, driver: Driver | None, gpu: Gpu | None) -> tuple[Fix, ...]:
    """A half-precision model on the CPU of a machine with a GPU is there by mistake more often than not."""
    seen = list(gpu.devices) if gpu else []
    named = [device.name for device in seen] or ([device.name for device in driver.devices] if driver else [])
    if place.backend != "cpu" or not named:
        return ()
    title = say("Ask why the tensor is on the CPU: this machine has {names}", names=", ".join(dict.fromkeys(named)))
    kind = "cuda" if seen and seen[0].kind == "rocm" else seen[0].kind if seen else ""
    code = f'model = model.to("{kind}")' if kind else ""
    return (Fix(title=title, code=code, trial=untried(say("it depends on the caller's code"))),)


@rule("IVD405", severity=Severity.ERROR)
def no_remedy_helps(torch: Torch, mismatch: Mismatch, place: Place, precision: Precision | None) -> Iterator[Problem]:
    """
    A clash of dtypes was reproduced, every remedy was tried, and none of them runs.

    The device or the build is at fault, not the dtypes.

    ## Fix
    Look at the findings of IVD1xx and IVD2xx first.
    """
    if lacks_code(torch, place, precision):
        return
    raised = [cell for cell in mismatch.cells if cell.attempt.status == "raised" and mismatch.tried(cell.case)]
    lost = [cell for cell in raised if all(trial.status == "failed" for trial in mismatch.tried(cell.case))]
    if lost:
        yield Problem(
            message=say("no remedy helps on {place} for model/pixels in {cells}", place=place.name, cells=", ".join(cell.case for cell in lost)),
            evidence=useless(mismatch.tried(lost[0].case)),
            location=lost[0].attempt.location,
            fixes=(
                Fix(
                    title=say("Mend the device or the build first; reinstall torch from one source if nothing else is found"),
                    kind="command",
                    trial=untried(say("ivdoctor installs nothing")),
                ),
            ),
        )


BY_OPERATOR = {"aten.convolution": "conv-input-param-dtype-mismatch", "aten.linear": "matmul-dtype-mismatch", "aten.matmul": "matmul-dtype-mismatch"}


@rule("IVD406", severity=Severity.NOTE)
def inputs_left_uncast(
    cast: Cast, place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    The model runs when its inputs are cast with it, and raises when they are left as their processor gave them.

    Processors emit float32, and `BatchEncoding.to(dtype)` leaves it so without a word. Really run on the model that was named. An error
    where both dtypes were named, a warning where only the model's was or where it would be loaded in it, a note otherwise.

    ## Fix
    Cast the floating inputs to the model's own dtype where they are handed over.
    """
    loaded = judged(asked, model, checkpoint, packages)
    for one in cast.fed:
        if one.status == "raised":
            yield Problem(
                message=say(
                    "{model} in {dtype} with inputs in {input} raises: {message}",
                    model=cast.model,
                    dtype=one.model,
                    input=one.input,
                    message=one.message,
                ),
                evidence=(_with_its_inputs(cast, one),),
                severity=_of_fed(one, asked, loaded),
                category=BY_OPERATOR.get(one.location.op if one.location else "", ""),
                location=one.location,
                fixes=_of_inputs(cast, one, place, asked, model, packages),
            )


def _with_its_inputs(cast: Cast, one: Fed) -> str:
    run = cast.run(one.model)
    if run and not run.usable:
        return say("with its inputs cast too its output is not finite: {inputs}", inputs=cast.inputs)
    return say("with its inputs cast too it runs: {inputs}", inputs=cast.inputs)


def _of_inputs(cast: Cast, one: Fed, place: Place, asked: Asked, model: Model | None, packages: Packages | None) -> tuple[Fix, ...]:
    """The cast of the inputs where the format is a good one; where it is not, another format for both comes first, or alone."""
    cure = tuple(
        Fix(title=say("Cast the inputs to the model's own dtype") + remark(one.model, place, cast, model), code=INPUTS, trial=Tried.of(trial))
        for trial in cast.trials
        if trial.remedy == "cast-input" and trial.case == one.case and sound(cast, one.model, asked.limits)
    )
    if cure and (place.backend == "cpu" or place.dtypes.of(one.model) not in {"emulated", "none"}):
        return cure
    others = ways_out(cast, place, asked, model, packages, but=one.model)
    return (*(fix if INPUTS in fix.code else replace(fix, code=f"{fix.code}\n{INPUTS}") for fix in others), *cure)


def _of_fed(one: Fed, asked: Asked, loaded: str | None) -> Severity:
    if one.model != loaded:
        return Severity.NOTE
    return Severity.ERROR if asked.dtype != "auto" and asked.input_dtype == one.input else Severity.WARNING


@rule("IVD407", severity=Severity.NOTE)
def cast_model_raises(
    cast: Cast, place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    The model runs as it is, and raises after a cast although its inputs were cast with it.

    Then an operator has no kernel for the format here, or the model's code makes a tensor of a dtype of its own. An error for the precision
    that was asked for by name or would be loaded, a warning at most where the model loaded in that format at once runs, a note for others.

    ## Fix
    Load in the format at once where that runs, else run in another, or cast at the line that is named.
    """
    loaded = judged(asked, model, checkpoint, packages)
    for run in cast.runs if cast.how == "real-run" else ():  # of the miniature IVD404 says so
        if run.status == "raised":
            yield Problem(
                message=say("{model} cast to {dtype} raises: {message}", model=cast.model, dtype=run.dtype, message=run.message),
                evidence=(say("in {baseline} it runs: {inputs}", baseline=cast.baseline, inputs=cast.inputs),),
                severity=spared(gravest(run, asked, loaded, cast), cast, run.dtype, asked.limits),
                location=run.location,
                fixes=ways_out(cast, place, asked, model, packages, but=run.dtype),
            )


@rule("IVD408", severity=Severity.NOTE)
def loaded_model_fails(
    cast: Cast, place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    The model cast to a format after it was loaded runs, and loaded in that format at once it does not.

    `from_pretrained(dtype=)` keeps in float32 what the authors of a model listed, and `.to(dtype)` casts that too. Where a kept tensor
    meets one in the format, an operator raises, or the numbers change. Really loaded. An error for the precision that was asked for by
    name or would be loaded, a note for others.

    ## Fix
    Load in float32 and cast afterwards, or run in a format in which the loaded model runs.
    """
    meant = judged(asked, model, checkpoint, packages)
    for dtype in ("bf16", "fp16"):
        trial, run = loaded_in(cast, dtype), cast.run(dtype)
        if trial is None or within(trial, asked.limits) or (run and (not run.usable or any(beyond(run, asked.limits)))):
            continue  # what the cast does as well is said by IVD407, IVD602 and IVD603
        far = trial.metrics.get("relative_l2", 0.0)
        drift = say("; relative L2 {found:.2g}, limit {limit:g}", found=far, limit=asked.limits.relative_l2)
        yield Problem(
            message=say("{model} loaded in {dtype} fails: {after}", model=cast.model, dtype=dtype, after=trial.after)
            + (drift if far > asked.limits.relative_l2 else ""),
            evidence=(say("loaded in {baseline} and cast afterwards it runs: {inputs}", baseline=cast.baseline, inputs=cast.inputs),),
            severity=gravest(run or CastRun(dtype=dtype, status="ran"), asked, meant, cast),
            fixes=_after_loading(dtype, cast, place, asked, model, packages),
        )


def _after_loading(dtype: Half, cast: Cast, place: Place, asked: Asked, model: Model | None, packages: Packages | None) -> tuple[Fix, ...]:
    """The cast afterwards first where the format is native; elsewhere as the formats are ranked."""
    trials = ranked_casts(cast, place, asked, model)
    if place.dtypes.of(dtype) == "native":
        trials = sorted(trials, key=lambda one: one.computes_in != dtype)
    return tuple(
        replace(fix, title=say("Load in {baseline} and cast afterwards", baseline=cast.baseline) + remark(dtype, place, cast, model))
        if trial.computes_in == dtype
        else fix
        for trial in trials
        for fix in [run_in(trial, place, cast, model, packages)]
    )
