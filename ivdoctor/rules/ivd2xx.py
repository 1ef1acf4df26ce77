"""IVD2xx: which number formats the hardware computes in."""

from collections.abc import Iterator

from ..evidence import concerned, judged
from ..facts import (
    HALVES,
    TORCH_NAME,
    Anatomy,
    Asked,
    Cast,
    Checkpoint,
    Cpu,
    Environ,
    Half,
    Mismatch,
    Model,
    Packages,
    Place,
    Precision,
    Torch,
    release,
)
from ..finding import Fix, Problem, Severity, Tried
from ..memory import weights_of
from ..rule import rule
from ..tables import derived, holds, newest, table
from ..text import say
from ..wheels import lacks_code
from ._bf16 import untried_fp32, without_bf16
from ._builds import backend_of
from ._casts import fed, proven_line, ranked_casts, remark, ways_out
from ._remedies import caveat, elsewhere, fixes, range_of, untried, wanted
from ._slow import how_slow, is_slow, measured, timed, times

FLOAT = "model = model.float()\npixel_values = pixel_values.float()"
BFLOAT = "model = model.to(torch.bfloat16)\npixel_values = pixel_values.to(torch.bfloat16)"


@rule("IVD201", severity=Severity.WARNING, category="bf16-unsupported-gpu")
def bf16_emulated(
    place: Place,
    asked: Asked,
    mismatch: Mismatch | None,
    cast: Cast | None,
    model: Model | None,
    checkpoint: Checkpoint | None,
    packages: Packages | None,
    anatomy: Anatomy | None,
) -> Iterator[Problem]:
    """
    The accelerator has no bfloat16 arithmetic; PyTorch converts each operand to float32 and back.

    Tensors can be made and small tests pass, so most checks say yes. But below compute capability 8.0 cuDNN has no bf16 convolution,
    attention falls back to the slowest backend, Triton and vLLM refuse, and what runs is slow. An error where bf16 was asked for, and where a model
    would be loaded in it on a device that is not here; a note where a model would be loaded in another format. A few devices take no bfloat16 at all. On Apple's M1 and M2 Metal computes it in float32, half as fast and no more: a warning.
    Where a model was really run here, only a format in which it stayed within the limits is advised.

    ## Fix
    Use float16 where it is native and the model's values stay below 65504, else float32.
    """
    if place.backend == "cpu" or place.dtypes.bf16 not in ("emulated", "none"):
        return
    tried, fp16 = mismatch.tried("bf16/fp32") if mismatch else (), range_of(model, cast, asked)
    advice = fixes([trial for trial in tried if trial.computes_in != "bf16"], place, asked, fp16) or without_bf16(
        place, fp16, model, packages, weights_of(checkpoint, anatomy)
    )
    if cast and cast.how == "real-run":
        advice = ways_out(cast, place, asked, model, packages, but="bf16") or (untried_fp32(cast, model, packages),)
    concern = concerned("bf16", place, asked, model=model, checkpoint=checkpoint, packages=packages)
    other = model is not None and not asked.concerns("bf16") and judged(asked, model, checkpoint, packages) in ("fp16", "fp32")
    message = say("{title} has no bfloat16 arithmetic: bf16 is emulated", title=place.label)
    if place.dtypes.bf16 == "none":
        message = say("{title} has no bfloat16 at all", title=place.label)
    yield Problem(
        message=message,
        evidence=(say("table: {note}; {source}", note=place.dtypes.note, source=place.dtypes.source),),
        severity=Severity.NOTE if other else Severity.ERROR if concern and place.backend != "mps" else None,
        fixes=advice,
    )


@rule("IVD202", severity=Severity.NOTE, category="bf16-unsupported-gpu")
def bf16_flag_misleads(torch: Torch, place: Place, asked: Asked, precision: Precision, cast: Cast | None, model: Model | None) -> Iterator[Problem]:
    """
    `is_bf16_supported()` gives another answer than the hardware.

    Since torch 2.4 the bare call means `can hold a bf16 tensor`, emulation included, so a T4 and a V100 answer
    True; a ROCm build has answered True for every card since 1.13. Code that chooses bf16 by it chooses emulation.

    ## Fix
    Choose by the device. On NVIDIA `torch.cuda.get_device_capability() >= (8, 0)` tells, or `is_bf16_supported(including_emulation=False)`
    since torch 2.4; on AMD neither does.
    """
    truth, flag = place.dtypes.bf16, precision.bf16_flag
    if flag is None or truth not in ("native", "emulated") or flag is (truth == "native"):
        return
    evidence = [f"{_question(place)}() = {flag}"]
    if precision.bf16_flag_native is not None:
        evidence.append(f"{_question(place)}(including_emulation=False) = {precision.bf16_flag_native}")
    yield Problem(
        message=say("torch says bf16 is supported = {flag}; by the tables it is {truth} on {title}", flag=flag, truth=truth, title=place.title),
        evidence=(*evidence, *_meaning(torch, place)),
        fixes=(_by_the_hardware(place, asked, cast, model),),
    )


@rule("IVD209", severity=Severity.NOTE, category="bf16-unsupported-gpu")
def bf16_flag_would_mislead(torch: Torch, place: Place, asked: Asked, cast: Cast | None, model: Model | None) -> Iterator[Problem]:
    """
    `is_bf16_supported()` would give another answer than the hardware of a target, with the torch that was named.

    Foretold from what the call asks in that release, as in IVD202; nothing was run there.

    ## Fix
    Choose by the device, as in IVD202.
    """
    if place.kind != "target" or not _driven(place, torch) or place.dtypes.bf16 != "emulated":
        return
    means = _means(torch, place)
    if means and means["below_sm80"] == "True":
        yield Problem(
            message=say("torch would say bf16 is supported = True; by the tables it is emulated on {title}", title=place.title),
            evidence=(say("{question}() would be True, by the tables", question=_question(place)), *_meaning(torch, place)),
            fixes=(_by_the_hardware(place, asked, cast, model),),
        )


def _question(place: Place) -> str:
    return "torch.xpu.is_bf16_supported" if place.backend == "xpu" else "torch.cuda.is_bf16_supported"


def _means(torch: Torch, place: Place) -> dict[str, str] | None:
    """The row on what the call asks in this release."""
    backend = "rocm" if torch.hip else place.backend
    return next((row for row in table("bf16_flag") if row["backend"] == backend and holds(row, release(torch.version))), None)


def _meaning(torch: Torch, place: Place) -> Iterator[str]:
    means = _means(torch, place)
    if means:
        yield say("in torch {version} the call means: {means} ({source})", version=torch.version, means=means["bare_means"], source=means["source"])


def _by_the_hardware(place: Place, asked: Asked, cast: Cast | None, model: Model | None) -> Fix:
    best, said = _best(place, asked, cast, model)
    return Fix(
        title=say("Choose the dtype by the hardware, not by the flag") + said,
        code=fed(f"dtype = torch.{TORCH_NAME[best]}", best, cast),
        trial=untried(say("it is a line of the caller's code")),
    )


def _best(place: Place, asked: Asked, cast: Cast | None, model: Model | None) -> tuple[Half, str]:
    """The format for this place, among those in which the model stayed within the limits where one was run; and what the line does not say."""
    free = Asked(limits=asked.limits)  # a flag is asked by who names no format
    ran = ranked_casts(cast, place, free, model) if cast and cast.how == "real-run" else []
    if cast and ran:
        return ran[0].computes_in, remark(ran[0].computes_in, place, cast, model)
    fp16 = range_of(model, cast, free)
    best = wanted(place, free, fp16)
    return best, caveat(best, place, fp16)


@rule("IVD203", severity=Severity.ERROR)
def native_format_fails(torch: Torch, place: Place, precision: Precision) -> Iterator[Problem]:
    """
    The tables call a format native here, and the live run did not give a usable result.

    The live run is believed. A wrong library beside a right one, a damaged device, or a wrong row in the tables. A kernel that an older
    torch lacks on the CPU is IVD501's matter, a build without code for the device IVD103's.

    ## Fix
    Reinstall torch and its CUDA libraries from one source; if that changes nothing, report the device.
    """
    if lacks_code(torch, place, precision):
        return
    for dtype in HALVES:
        failed = precision.refused(dtype)
        if place.dtypes.of(dtype) == "native" and failed and (place.backend != "cpu" or dtype == "fp32"):
            yield Problem(
                message=say(
                    "{dtype} is native on {title}, but {names} failed", dtype=dtype, title=place.title, names=", ".join(one.name for one in failed)
                ),
                evidence=tuple(f"{one.name}: {one.message or say('wrong result, relative L2 {error:.1e}', error=one.error)}" for one in failed),
                fixes=(
                    Fix(
                        title=say("Reinstall torch and its libraries from one source"),
                        kind="command",
                        trial=untried(say("ivdoctor installs nothing")),
                    ),
                ),
            )


@rule("IVD204", severity=Severity.NOTE)
def half_precision_slow_on_this_cpu(
    place: Place,
    asked: Asked,
    cpu: Cpu | None,
    precision: Precision | None,
    cast: Cast | None,
    model: Model | None,
    packages: Packages | None,
) -> Iterator[Problem]:
    """
    The CPU computes float16 or bfloat16 without instructions for it.

    Matrix products fall to plain loops, tens to over a hundred times slower than float32, or are converted. Single rows
    stay fast, so token-by-token decoding looks fine while the prompt crawls. Where the products were timed here, the times are believed and
    not the list of instructions. A warning where the format was asked for. With a model, how much longer a pass of it takes is measured; short
    inputs show little of it.

    ## Fix
    Use float32 on this CPU.
    """
    if place.backend != "cpu":
        return
    slow = [dtype for dtype in ("fp16", "bf16") if is_slow(dtype, place, precision)]
    if slow:
        this = place.title if place.kind == "target" else say("this CPU")
        message = say("{this} has no instructions for {formats}, so that matrix products are slow", this=this, formats=say(" and ").join(slow))
        if any(place.dtypes.of(dtype) == "native" for dtype in slow):
            message = say("matrix products in {formats} are slow on this CPU", formats=say(" and ").join(slow))
        yield Problem(
            message=message,
            evidence=(
                *_without(slow, place),
                *(timed(slow, precision) if precision and times(precision) else how_slow(slow, cpu)),
                *measured(slow, cast),
            ),
            severity=Severity.WARNING if any(asked.concerns(dtype) for dtype in slow) else None,
            fixes=_in_fp32(place, cast, model, packages),
        )


def _without(slow: list[str], place: Place) -> Iterator[str]:
    """What the tables say, of the formats that are slow by them."""
    missing = [dtype for dtype in slow if place.dtypes.of(dtype) == "emulated"]
    if missing:
        yield say("table: no instruction for {formats} in cpu_features.csv", formats=say(" and ").join(missing))
        if place.kind == "target":
            yield say("table: {note}", note=place.dtypes.note)


def _in_fp32(place: Place, cast: Cast | None, model: Model | None, packages: Packages | None) -> tuple[Fix, ...]:
    """A model that was run in fp32 is proof of it; quantised weights are not cast."""
    if model and model.quantization:
        return ()
    title = say("Use float32 on the CPU")
    ran = next((one for one in cast.trials if one.computes_in == "fp32" and one.status == "passed"), None) if cast else None
    if cast and ran and cast.how == "real-run":
        return (Fix(title=title, code=proven_line(ran, cast, model, packages), trial=Tried.of(ran)),)
    return (Fix(title=title, code=FLOAT, trial=elsewhere(place, say("its speed was not measured here"))),)


@rule("IVD205", severity=Severity.WARNING)
def fp16_not_native(place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None) -> Iterator[Problem]:
    """
    The accelerator computes float16 at a crippled rate, or not at all.

    Compute capability 6.1 (P40, GTX 10xx) runs it at 1/64 of the float32 rate; older ones only store it. An error where
    fp16 was asked for.

    ## Fix
    Compute in float32, or in bfloat16 where that is native; keep float16 for storage.
    """
    if place.backend != "cpu" and place.dtypes.fp16 in ("emulated", "none"):
        best, code = ("bfloat16", BFLOAT) if place.dtypes.bf16 == "native" else ("float32", FLOAT)
        fix = Fix(title=say("Compute in {dtype}", dtype=best), code=code, trial=elsewhere(place, say("its speed was not measured here")))
        if model and model.quantization:
            title = say("Take a device that computes in float16: quantised weights are not cast")
            fix = Fix(title=title, kind="hardware", trial=elsewhere(place, say("it needs other hardware")))
        yield Problem(
            message=say("fp16 is {support} on {title}", support=place.dtypes.fp16, title=place.label),
            evidence=(say("table: {note}; {source}", note=place.dtypes.note, source=place.dtypes.source),),
            severity=Severity.ERROR if concerned("fp16", place, asked, model=model, checkpoint=checkpoint, packages=packages) else None,
            fixes=(fix,),
        )


@rule("IVD206", severity=Severity.NOTE)
def tf32_on(torch: Torch, place: Place, environ: Environ | None) -> Iterator[Problem]:
    """
    float32 is computed with TF32's 10 bits of mantissa.

    Convolutions do so by default on Ampere and newer; matrix products only where someone switched it on.
    Comparisons with an fp32 reference then differ in the fourth digit.

    ## Fix
    Switch it off where the digits matter.
    """
    if (
        place.backend != "cuda"
        or not _driven(place, torch)
        or place.dtypes.tf32 != "native"
        or (environ and environ.get("NVIDIA_TF32_OVERRIDE") == "0")
    ):
        return
    switched = {switch.name: switch.value for switch in torch.switches}
    on = [name for name in ("torch.backends.cuda.matmul.allow_tf32", "torch.backends.cudnn.allow_tf32") if switched.get(name) == "True"]
    if on:
        yield Problem(
            message=say("TF32 is on: {switches}", switches=", ".join(on)),
            evidence=tuple(f"{name} = True" for name in on),
            fixes=(
                Fix(
                    title=say("Switch it off"),
                    kind="setting",
                    code="\n".join(f"{name} = False" for name in on),
                    trial=untried(say("a choice, not a fault")),
                ),
            ),
        )


def _driven(place: Place, torch: Torch) -> bool:
    """Whether torch drives it, or would: a build for the other vendor does not."""
    return place.reachable or (place.kind == "target" and backend_of(torch) == place.backend)


@rule("IVD207", severity=Severity.NOTE)
def reduced_precision_reductions(torch: Torch, place: Place) -> Iterator[Problem]:
    """
    Sums inside half-precision matrix products may be kept in half precision.

    On by default for CUDA: faster, and for long rows of fp16 able to overflow where an fp32 sum would not.

    ## Fix
    Switch it off where fp16 overflows in a matrix product.
    """
    if place.backend != "cuda" or not _driven(place, torch):
        return
    names = [
        switch.name for switch in torch.switches if switch.name.endswith("reduced_precision_reduction") and switch.value.startswith(("True", "(True"))
    ]
    if names:
        yield Problem(
            message=say("reduced-precision sums are on for {count} format(s)", count=len(names)),
            evidence=tuple(f"{name} = True" for name in names),
            fixes=(
                Fix(
                    title=say("Switch it off"),
                    kind="setting",
                    code="\n".join(f"{name} = False" for name in names),
                    trial=untried(say("a choice, not a fault")),
                ),
            ),
        )


@rule("IVD208", severity=Severity.NOTE)
def device_not_in_tables(place: Place) -> Iterator[Problem]:
    """
    The tables do not know this accelerator.

    An NVIDIA device newer than the tables is judged by its compute capability, as the newest older one is; of any other nothing is known but
    what the live run shows.

    ## Fix
    Update ivdoctor; if it is the newest, send the snapshot of `ivdoctor collect`.
    """
    if place.backend == "cpu" or (place.dtypes.source and not derived(place.dtypes)):
        return
    known = place.identifier or place.title
    named = place.title if known == place.title else f"{place.title} ({known})"
    yield Problem(
        message=say("{title} is not in the tables of {date}", title=named, date=newest()),
        evidence=(place.dtypes.note,) if place.dtypes.source else (),
        fixes=(
            Fix(
                title=say("Update ivdoctor"),
                kind="command",
                command="pip install --upgrade ivdoctor",
                trial=untried(say("ivdoctor installs nothing")),
            ),
        ),
    )
