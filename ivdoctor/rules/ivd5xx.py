"""IVD5xx: operators that lack a kernel for a dtype."""

from collections.abc import Iterator
from dataclasses import replace

from ..evidence import BARRED, Range, concerned, judged
from ..facts import HALVES, TORCH_NAME, Asked, Cast, Checkpoint, Half, Model, Packages, Place, Precision, Torch, release
from ..fates import fate
from ..finding import Fix, Problem, Severity
from ..kernels import Engine, cpu_missing, engine_rows, family_row, kernels, quantised_as
from ..rule import rule
from ..text import say
from ..traps import wholesale
from ..wheels import lacks_code
from ._remedies import caveat, elsewhere, range_of, untried


@rule("IVD501", severity=Severity.WARNING)
def operator_refuses_dtype(place: Place, precision: Precision, torch: Torch, asked: Asked) -> Iterator[Problem]:
    """
    An operator of an everyday class has no kernel for a format on this device.

    Older PyTorch lacks most float16 arithmetic on the CPU (until 2.2, LayerNorm until 2.3), and some bfloat16 operators
    everywhere. On an accelerator a format the tables call native is IVD203's matter. An error where the format was asked for, and for float32.

    ## Fix
    Update PyTorch, compute that operator in float32, or use a format that runs.
    """
    if lacks_code(torch, place, precision):
        return
    for dtype in HALVES:
        failed = precision.refused(dtype)
        native = place.dtypes.of(dtype) == "native"
        if not failed or (native and (place.backend != "cpu" or dtype == "fp32")):
            continue
        yield Problem(
            message=say("{dtype} on {place}: {names} cannot be used", dtype=dtype, place=place.name, names=", ".join(one.name for one in failed)),
            evidence=tuple(f"{one.name}: {one.message or say('wrong result, relative L2 {error:.1e}', error=one.error)}" for one in failed),
            severity=Severity.ERROR if dtype == "fp32" or asked.concerns(dtype) else None,
            category={"fp16": "cpu-half-op-unsupported", "bf16": "bf16-op-unsupported"}.get(dtype, "") if place.backend == "cpu" else "",
            fixes=_ways_out(dtype, [one.name.partition(" on ")[0] for one in failed], torch),
        )


def _ways_out(dtype: str, names: list[str], torch: Torch) -> tuple[Fix, ...]:
    """A model is matrix products: without them it has to run in fp32; a rarer operator can be stepped around."""
    update = Fix(
        title=say("Update torch, this is {version}", version=torch.version),
        kind="command",
        trial=untried(say("ivdoctor installs nothing")),
    )
    if dtype == "fp32":
        return (update,)
    if {"matmul", "linear"} & set(names):
        code = "model = model.float()\npixel_values = pixel_values.float()"
        return Fix(title=say("Run model and input in float32"), code=code, trial=untried(say("see the reproduction"))), update
    around = Fix(
        title=say("Compute in float32 around it, or update torch (this is {version})", version=torch.version),
        code="output = operator(input.float()).to(input.dtype)",
        trial=untried(say("it is a line of the model's code")),
    )
    return (around,)


@rule("IVD502", severity=Severity.NOTE)
def no_flash_attention(place: Place, packages: Packages | None, torch: Torch | None) -> Iterator[Problem]:
    """
    FlashAttention does not run on this GPU: it takes compute capability 8.0 and newer.

    `attn_implementation="flash_attention_2"` raises there. SDPA by itself takes the memory-efficient kernel in float16 and
    float32, and in bfloat16 only the plain one, which holds the whole attention matrix. A warning where the package flash-attn is installed.

    ## Fix
    Ask for `attn_implementation="sdpa"`.
    """
    rows = [one for one in kernels(place, release(torch.version) if torch else None) if one.kernel == "flash-attn 2"]
    if not rows or any(one.outcome != "refused" for one in rows):
        return
    installed = packages.version("flash-attn") if packages and place.kind != "target" else None
    yield Problem(
        message=say("FlashAttention 2 does not run on {title}", title=place.title),
        evidence=tuple(dict.fromkeys(f"{(one.message or one.note).rstrip('.')}: {one.source}" for one in rows)),
        severity=Severity.WARNING if installed else None,
        fixes=(
            Fix(
                title=say("Use SDPA"),
                code='model = AutoModel.from_pretrained(path, attn_implementation="sdpa")',
                trial=elsewhere(place, say("it is a line of the caller's code")),
            ),
        ),
    )


WEIGHTS_ALONE = ("awq", "gptq", "int4", "bnb-4bit")
"""Where weight-only is what the format is."""


@rule("IVD503", severity=Severity.NOTE)
def engine_refuses(
    place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None, cast: Cast | None
) -> Iterator[Problem]:
    """
    The inference engine does not take a format on this hardware, or takes it another way than its name says.

    vLLM refuses bfloat16 below compute capability 8.0 where torch emulates it; fp8 checkpoints run weight-only below 8.9, or are dequantised.
    An error where the engine refuses the format that was asked for, or the model's own, and where it refuses every format there; a warning
    where it converts that.

    ## Fix
    What the engine itself offers instead; the last resort is another device.
    """
    if not asked.engine:
        return
    rows = engine_rows(asked.engine, place)
    meant = _meant(asked, model, checkpoint, packages if asked.engine == "transformers" else None)
    mine = [one for one in rows if one.format in meant]
    barred = family_row(asked.engine, model.model_type, "fp16") if model else None
    if barred and "fp16" in meant:
        yield _family(barred, asked, place)
    told = fate(model, checkpoint, place, packages) if model and model.quantization and asked.engine == "transformers" else None
    packed = quantised_as(model.quantization, checkpoint, model.quantised) if model else ""
    for one in mine:
        if one.format == packed and one.outcome == "refused" and told and told.outcome == "dequantised":
            continue  # the method has a loader of its own, whatever the row of the format says: IVD311
        if one.outcome != "native":
            one = replace(one, auto=barred["auto"]) if barred and one.auto == "fp16" else one  # noqa: PLW2901  # the family's own
            yield _engine(one, rows, place, range_of(model, cast, asked), asked, packed=bool(model and model.quantization))
    refused = [one for one in rows if one.outcome == "refused" and one not in mine]
    if refused and (model is None or (not mine and wholesale(rows))):  # of a model only what it is stored in matters
        formats, nothing = ", ".join(one.format for one in refused), not mine and wholesale(rows)
        other = Fix(title=say("Take another engine, or another device"), kind="hardware", trial=elsewhere(place, say("no engine was started")))
        yield Problem(
            message=say("{engine} on {title} does not take {formats}", engine=asked.engine, title=place.title, formats=formats),
            evidence=tuple(f"{one.format}: {one.note or one.message}; {one.source}" for one in refused),
            severity=Severity.ERROR if nothing else None,
            fixes=(other,) if nothing else (),
        )


def _meant(asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None) -> set[str]:
    """The format that the model is judged in, and of a quantised one what its weights are stored in, which no --dtype changes."""
    packed = quantised_as(model.quantization, checkpoint, model.quantised) if model else ""
    return {one for one in (judged(asked, model, checkpoint, packages), packed) if one}


def _engine(one: Engine, rows: tuple[Engine, ...], place: Place, fp16: Range, asked: Asked, *, packed: bool) -> Problem:
    """What it does with the format in question, where that is not to run it natively; fp16 never without a word on its range."""
    by_itself, half = one.auto if asked.dtype == "auto" else "", next((row for row in rows if row.format == "fp16"), None)
    nor_half = half if half and {half.outcome, one.outcome} == {"refused"} and (one.format == "bf16" or _halved(one.instead)) else None
    if by_itself:
        what = say("casts {format} to {dtype} by itself", format=one.format, dtype=by_itself)
    elif one.outcome == "refused":
        what = say("refuses {format}", format=one.format)
    else:
        what = say("runs {format} {how}", format=one.format, how=one.outcome)
    if nor_half:
        what = say("refuses {format}, and fp16 too", format=one.format)
    lost = by_itself == "fp16" and fp16 in BARRED
    design = one.outcome == "weight-only" and one.format in WEIGHTS_ALONE
    return Problem(
        message=say("{engine} {what} on {title}", engine=one.engine, what=what, title=place.title),
        evidence=tuple(dict.fromkeys(line for row in (one, nor_half) if row for line in _said(row))),
        severity=Severity.ERROR if lost or nor_half or (one.outcome == "refused" and not by_itself) else None if design else Severity.WARNING,
        fixes=_instead(nor_half or one, place, fp16, packed=packed),
    )


def _family(row: dict[str, str], asked: Asked, place: Place) -> Problem:
    """An engine that does not take a whole family of models in a format, whatever the hardware; with no dtype named it takes another."""
    engine, family, format = row["engine"], row["model_type"], row["format"]
    message = say("{engine} refuses {format} for models of the family {family}", engine=engine, family=family, format=format)
    if asked.dtype == "auto":
        message = say("{engine} runs {family} in {auto} instead of {format} by itself", engine=engine, family=family, auto=row["auto"], format=format)
    return Problem(
        message=message,
        evidence=(row["message"], f"{row['source']} ({row['date']})"),
        severity=Severity.WARNING if asked.dtype == "auto" else Severity.ERROR,
        fixes=(
            Fix(
                title=say("Give {engine}: {instead}", engine=row["engine"], instead=f"--dtype {TORCH_NAME[row['auto']]}"),
                kind="setting",
                trial=elsewhere(place, say("no engine was started")),
            ),
        ),
    )


def _said(one: Engine) -> tuple[str, ...]:
    return tuple(filter(None, (one.message, f"{one.note}; {one.source}" if one.note else one.source)))


def _halved(instead: str) -> bool:
    return any(word in instead.replace("bfloat16", "") for word in ("float16", "fp16"))


def _instead(one: Engine, place: Place, fp16: Range, *, packed: bool) -> tuple[Fix, ...]:
    """What the table says to do; not fp16 for a model that leaves its range, and no other format for quantised weights."""
    halved, trial = _halved(one.instead), elsewhere(place, say("no engine was started"))
    if halved and fp16 in BARRED and packed:
        return (
            Fix(title=say("Take a device with bfloat16: quantised weights are not cast") + caveat("fp16", place, fp16), kind="hardware", trial=trial),
        )
    if halved and fp16 in BARRED:
        title = say("Run it in float32, or on a device with bfloat16") + caveat("fp16", place, fp16)
        return (Fix(title=title, kind="hardware", trial=trial),)
    if one.instead.startswith("pip "):
        return (Fix(title=say("Install the plug-in"), kind="command", command=one.instead, trial=trial),)
    title = say("Take instead: {instead}", instead=one.instead)
    if one.instead.startswith(("--", "dtype=")):
        title = say("Give {engine}: {instead}", engine=one.engine, instead=one.instead)
    return (Fix(title=title + (caveat("fp16", place, fp16) if halved else ""), kind="setting", trial=trial),) if one.instead else ()


NOWHERE = {"fft", "linalg"}
"""What has no half-precision kernel on most devices: no fault of this one."""


@rule("IVD504", severity=Severity.NOTE)
def rarer_operators_lack_a_kernel(place: Place, precision: Precision, asked: Asked) -> Iterator[Problem]:
    """
    Operators that only some models use refuse a format here, as `--thorough` found.

    FFT, matrix inverses and quantiles have no half-precision kernel on any CPU; norms, interpolation and recurrent layers got theirs
    release by release. A warning where the format was asked for, and the operator has a kernel elsewhere.

    ## Fix
    Compute that operator in float32.
    """
    for dtype in HALVES:
        lacking = precision.lacking(dtype)
        if lacking:
            yield Problem(
                message=say(
                    "{dtype} on {place}: no usable kernel for {names}", dtype=dtype, place=place.name, names=", ".join(one.name for one in lacking)
                ),
                evidence=tuple(f"{one.name}: {one.message or say('wrong result')}" for one in lacking),
                severity=Severity.WARNING if asked.concerns(dtype) and {one.name for one in lacking} - NOWHERE else None,
                fixes=(_stepped_around(dtype),),
            )


def _stepped_around(dtype: str) -> Fix:
    if dtype == "fp32":
        return Fix(title=say("Update torch, or compute it on another device"), kind="command", trial=untried(say("ivdoctor installs nothing")))
    code = "output = operator(input.float()).to(input.dtype)"
    return Fix(title=say("Compute it in float32"), code=code, trial=untried(say("it is a line of the model's code")))


ESSENTIAL = ("matmul", "linear", "conv", "attention", "norm", "softmax")
"""Classes without which hardly a model runs."""


@rule("IVD505", severity=Severity.NOTE)
def torch_lacks_cpu_kernels(
    place: Place, torch: Torch, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    The torch that was named has no kernels on the CPU for a half format, by the tables.

    float16: matrix products since 2.2, LayerNorm since 2.3; before that `"addmm_impl_cpu_" not implemented for 'Half'`. For a torch
    that is here the operators are run instead. An error where the format was asked for.

    ## Fix
    Take a newer torch, or float32.
    """
    if place.kind != "target" or place.backend != "cpu":
        return
    halves: tuple[Half, ...] = ("fp16", "bf16")
    for dtype in halves:
        missing = [row for row in cpu_missing(dtype, release(torch.version)) if row["class"] in ESSENTIAL]
        if missing:
            first: dict[str, dict[str, str]] = {}
            for row in missing:
                first.setdefault(row["class"], row)
            since = max((row["torch_before"] for row in missing if row["torch_before"]), key=release, default="")
            yield Problem(
                message=say(
                    "torch {version} has no {dtype} on a CPU for {names}",
                    version=torch.version,
                    dtype=TORCH_NAME[dtype],
                    names=", ".join(first),
                ),
                evidence=tuple(f"{row['operator']}: {row['message']}; {row['source']} ({row['date']})" for row in first.values()),
                severity=Severity.ERROR if concerned(dtype, place, asked, model=model, checkpoint=checkpoint, packages=packages) else None,
                fixes=(
                    Fix(
                        title=say("Take torch {since} or newer, or float32", since=since) if since else say("Take float32"),
                        kind="command",
                        trial=elsewhere(place, ""),
                    ),
                ),
            )
