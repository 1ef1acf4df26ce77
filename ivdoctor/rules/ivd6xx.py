"""IVD6xx: numbers that go wrong without an exception."""

from collections.abc import Iterator

from ..choice import trained
from ..evidence import beyond, fp16_range, judged, known_of, sound
from ..facts import FP16_MAX, TORCH_NAME, WRONG, Asked, Cast, CastRun, Checkpoint, Mismatch, Model, Packages, Place, Trial
from ..finding import Fix, Problem, Severity, Tried
from ..rule import rule
from ..text import say, share
from ._casts import gravest, gravity, load_at_once, loading, loads, proven_line, ranked_casts, spared, ways_out
from ._remedies import caveat, untried, wanted


@rule("IVD601", severity=Severity.NOTE, category="silent-wrong-dtype")
def weights_rounded_twice(
    place: Place, asked: Asked, mismatch: Mismatch | None, cast: Cast | None, model: Model | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    `.half().to(torch.bfloat16)` rounds float32 weights twice, and some end on another bfloat16 value.

    The line stands in the model card that followed the bug, and in its copies. It runs; it also loses everything outside fp16's
    range on the way. Weights stored as bfloat16 are hurt only below 2^-17 and above 65504. With a model, its own weights are counted.

    ## Fix
    Load in the format that is wanted at once, or cast once.
    """
    if asked.dtype in ("fp16", "fp32"):
        return  # bfloat16 is not what this is about
    if cast and cast.rounding:
        if cast.rounding.changed:
            yield Problem(
                message=say(
                    ".half().to(torch.bfloat16) changes {changed:,} of {all:,} weights against one cast",
                    changed=cast.rounding.changed,
                    all=cast.rounding.weights,
                ),
                evidence=(say("counted on the weights of {model}, stored as {dtype}", model=cast.model, dtype=cast.rounding.stored),),
                fixes=_loaded(cast, place, asked, model, packages),
            )
        return
    trials = mismatch.trials if mismatch else ()
    trial = next((one for one in trials if one.remedy == "half-then-bf16" and one.metrics.get("weights_changed")), None)
    if mismatch is None or trial is None or model:
        return
    yield Problem(
        message=say(
            ".half().to(torch.bfloat16) changes {changed} of {all} fp32 weights against one cast",
            changed=int(trial.metrics["weights_changed"]),
            all=int(trial.metrics["weights"]),
        ),
        evidence=(say("counted on the miniature, on {place}", place=trial.where),),
        fixes=(_once(mismatch, place),),
    )


def _once(mismatch: Mismatch, place: Place) -> Fix:
    """One cast, to a format this place computes in."""
    best = wanted(place, Asked())
    line = f"model = model.to(torch.{TORCH_NAME[best]})"
    tried = next((one for one in mismatch.trials if one.remedy == "cast-model" and one.case == f"fp32/{best}"), None)
    return Fix(
        title=say("Cast once, to {dtype}", dtype=f"torch.{TORCH_NAME[best]}") + caveat(best, place),
        code=line,
        trial=Tried.of(tried) if tried else untried(say("the miniature starts in that format")),
    )


@rule("IVD602", severity=Severity.WARNING)
def cast_changes_the_output(
    cast: Cast, place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    After a cast the model runs, and its output is farther from the original than a limit allows.

    The same inputs went through the same weights before and after. The limits, each set by `--limit NAME=VALUE`:

    - relative_l2 = 0.1: distance of the output over its size. Rounding alone gives about 0.01 in bf16 and 0.001 in fp16 on a
      six-layer model, and grows with the depth; ten times that is more than rounding.
    - cosine = 0.99: below it a search by embeddings changes its order.
    - top1 = 0.9: share of positions with the same most likely token; one in ten may fall on a near tie.
    - kl = 0.1: mean divergence of the distributions in nats; from there on the perplexity moves by a tenth.

    An error for the precision that was asked for by name, a warning for the one that would be loaded, a note for others; from a distance
    of 1 on, the output's own size, what would be loaded is an error too. A warning at most where the model loaded in the format at once
    is within the limits.

    ## Fix
    Load in the format at once where that is within the limits, else run in one that is, or keep the module where most is lost in float32.
    """
    loaded = judged(asked, model, checkpoint, packages)
    for run in cast.runs:
        wrong = tuple(beyond(run, asked.limits)) if run.usable else ()
        weigh = gravity if run.relative_l2 < WRONG else gravest
        if wrong:
            yield Problem(
                message=say("{dtype} changes what {model} says: {figures}", dtype=run.dtype, model=cast.model, figures="; ".join(wrong)),
                evidence=(*_lost(run), _compared(cast)),
                severity=spared(weigh(run, asked, loaded, cast), cast, run.dtype, asked.limits),
                fixes=ways_out(cast, place, asked, model, packages, but=run.dtype),
            )


def _lost(run: CastRun) -> Iterator[str]:
    """Some models clamp what has overflowed, and go on with finite numbers."""
    if run.first_nonfinite:
        yield say("NaN or Inf on the way, first in {module}", module=run.first_nonfinite)
    for one in run.modules:
        if one.module == run.lost_at and one.relative_l2 >= 0:
            yield say("most is lost at {module}, {kind}, from there on {error:.2g}", module=one.module, kind=one.kind, error=one.relative_l2)


@rule("IVD603", severity=Severity.ERROR)
def cast_overflows(
    cast: Cast, place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    After a cast the model runs, and its output holds NaN or Inf.

    float16 ends at 65504. A larger activation becomes Inf, and one normalisation later NaN; nothing raises. The first module whose
    output is not finite is named. bfloat16 has float32's range, so there the same weights run. An error for the precision that
    was asked for by name or would be loaded, a warning at most where the model loaded in the format at once gives finite numbers,
    a note for others. The format that the others are compared with is judged as well.

    ## Fix
    Load in the format at once where that helps, else run in bfloat16 where the hardware computes it, else in float32; or keep the named
    module in float32.
    """
    loaded = judged(asked, model, checkpoint, packages)
    if cast.nonfinite:
        itself = CastRun(dtype=cast.baseline, status="ran", nonfinite=cast.nonfinite)
        yield Problem(
            message=say("{model} in {dtype} gives {count} NaN or Inf before any cast", model=cast.model, dtype=cast.baseline, count=cast.nonfinite),
            evidence=(*_loudest(cast, cast.baseline), cast.inputs),
            severity=gravest(itself, asked, loaded, cast),
            category="fp16-overflow" if cast.baseline == "fp16" else "",
            fixes=ways_out(cast, place, asked, model, packages, but=cast.baseline),
        )
    for run in cast.runs if cast.how == "real-run" else ():  # of the miniature IVD404 says so
        if run.status == "ran" and run.nonfinite:
            where = say(", first in {module}", module=run.first_nonfinite) if run.first_nonfinite else ""
            yield Problem(
                message=say("{model} in {dtype} gives {count} NaN or Inf", model=cast.model, dtype=run.dtype, count=run.nonfinite) + where,
                evidence=(*_loudest(cast, run.dtype), _compared(cast)),
                severity=spared(gravest(run, asked, loaded, cast), cast, run.dtype, asked.limits),
                category="fp16-overflow" if run.dtype == "fp16" else "",
                fixes=ways_out(cast, place, asked, model, packages, but=run.dtype),
            )


@rule("IVD604", severity=Severity.NOTE, category="fp16-overflow")
def little_fp16_headroom(
    cast: Cast, place: Place, asked: Asked, model: Model | None, checkpoint: Checkpoint | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    In float16 the model runs on these inputs, and its largest activation is near the end of the range.

    Another input, longer or louder, overflows where this one did not. The limit is headroom = 0.5 of 65504 (`--limit
    headroom=VALUE`): one doubling is left. A warning where float16 was asked for or would be loaded.

    ## Fix
    Run in bfloat16 or float32, or test float16 on the largest inputs there will be.
    """
    run = cast.run("fp16") or (CastRun(dtype="fp16", status="ran") if cast.baseline == "fp16" else None)
    if run is None or not run.usable or cast.headroom is None or cast.headroom <= asked.limits.headroom:
        return
    meant = gravity(run, asked, judged(asked, model, checkpoint, packages), cast) is not Severity.NOTE
    yield Problem(
        message=say("the largest activation is {share:.0%} of what float16 holds, in {module}", share=cast.headroom, module=cast.headroom_module),
        evidence=(_compared(cast),),
        severity=Severity.WARNING if meant else None,
        fixes=ways_out(cast, place, asked, model, packages, but="fp16"),
    )


@rule("IVD605", severity=Severity.NOTE, category="fp16-overflow")
def fp16_for_a_bf16_model(
    model: Model, place: Place, asked: Asked, cast: Cast | None, checkpoint: Checkpoint | None, packages: Packages | None
) -> Iterator[Problem]:
    """
    The model was made in bfloat16, and float16 is in question: whether its activations fit is said, whatever is known.

    bfloat16 reaches 3.4e38, float16 ends at 65504, and what was trained in the one may go beyond the other. Asked wherever
    float16 is wanted by name, or is what this hardware computes while bfloat16 is not. Three answers: a trial on these inputs; what is
    publicly known of the family; or nobody knows, test it. The middle one and the last are warnings where float16 was asked for.

    ## Fix
    Test float16 on real inputs, or use bfloat16 or float32.
    """
    made = trained(model.dtype, checkpoint.dtype if checkpoint else "")
    meant = judged(asked, model, checkpoint, packages) == "fp16"
    if made != "bfloat16" or not (meant or asked.concerns("fp16") or (place.dtypes.bf16 != "native" and place.dtypes.fp16 == "native")):
        return
    run = cast.run("fp16") if cast and cast.how == "real-run" else None
    if cast and run and run.status != "skipped":
        proof = next((one for one in ranked_casts(cast, place, asked, model) if one.computes_in == "fp16"), None)
        if proof is None or not sound(cast, "fp16", asked.limits):
            return  # it raised, overflowed, drifted or is near the end: IVD407 and IVD602 to IVD604 say so, with the module
        spent, native = share(cast.headroom or 0.0), place.dtypes.fp16 == "native"  # elsewhere it crawls, whatever the range
        yield Problem(
            message=say("float16 for a model made in bfloat16: on these inputs it stays within {share} of the range", share=spent),
            evidence=(_compared(cast), say("the largest activation is in {module}", module=cast.headroom_module)),
            fixes=_proven(proof, cast, model, packages) if native else ways_out(cast, place, asked, model, packages, but="fp16"),
        )
        return
    row, fp16 = known_of(model.model_type), fp16_range(model.model_type, None, asked.limits)
    severity = Severity.WARNING if meant or asked.concerns("fp16") else None
    if row:
        overflows = fp16 == "overflows"
        known = say("known to overflow") if overflows else say("known to stay within the range")
        yield Problem(
            message=say("float16 for a model made in bfloat16: {family} is {known}", family=model.model_type, known=known),
            evidence=(row["note"], say("source: {source} ({date})", source=row["source"], date=row["date"])),
            severity=severity if overflows else None,
            fixes=_instead(model, place, packages, cast) if overflows else (*_test_it(model, place), *_instead(model, place, packages, cast)),
        )
        return
    yield Problem(
        message=say("float16 for a model made in bfloat16: whether it stays within the range is unknown"),
        evidence=(say("it was not run here, and no public report of its family is in the tables"),),
        severity=severity,
        fixes=(*_test_it(model, place), *_instead(model, place, packages, cast)),
    )


def _proven(proof: Trial, cast: Cast, model: Model, packages: Packages | None) -> tuple[Fix, ...]:
    code = proven_line(proof, cast, model, packages)
    return (Fix(title=say("Test it on your longest inputs, then use it"), code=code, trial=Tried.of(proof)),)


def _test_it(model: Model, place: Place) -> tuple[Fix, ...]:
    """Not on hardware that should not compute in it anyhow, and not of quantised weights, which are not cast and run."""
    if model.quantization or place.dtypes.fp16 in ("emulated", "none"):
        return ()
    return (
        Fix(
            title=say("Test it: check the model's folder where its weights fit"),
            kind="command",
            command="ivdoctor check PATH --dtype fp16",
            trial=untried(say("the weights were not run here")),
        ),
    )


def _instead(model: Model, place: Place, packages: Packages | None, cast: Cast | None) -> tuple[Fix, ...]:
    if model.quantization:
        return ()  # a dtype beside its method's own breaks some, and does not reach others: IVD314
    best = "bf16" if place.dtypes.bf16 == "native" else "fp32"
    reason = say("the weights were not run here")
    return (Fix(title=say("Run the model in {dtype}", dtype=TORCH_NAME[best]), code=loading(best, model, packages, cast), trial=untried(reason)),)


@rule("IVD606", severity=Severity.NOTE, category="silent-wrong-dtype")
def rotary_frequencies_cast(cast: Cast, place: Place, asked: Asked, model: Model | None, packages: Packages | None) -> Iterator[Problem]:
    """
    `.to(dtype)` and `.half()` also round the rotary frequencies, which `from_pretrained(dtype=)` keeps in float32.

    `inv_freq` is multiplied by the position, so its rounding error grows with the length of the prompt: at position 4096, with a base of
    10,000 and 128 dimensions a head, 36 % of the cosines are off by more than 0.1 in bfloat16 and 16 % in float16. A short prompt
    shows nothing. The figures are of this model's own frequencies.

    ## Fix
    Give the dtype to `from_pretrained`, and cast nothing afterwards.
    """
    hurt = [one for one in cast.kept if one.what == "rotary" and max(one.off.values(), default=0.0) > 0]
    if not hurt:
        return
    worst = max(hurt, key=lambda one: max(one.off.values()))
    shares = say(" and ").join(say("{share:.0%} in {dtype}", share=worst.off[dtype], dtype=dtype) for dtype in ("bf16", "fp16") if dtype in worst.off)
    yield Problem(
        message=say(
            ".to(dtype) rounds {name}: at position {position} {shares} of the cosines are off by more than 0.1",
            name=worst.name,
            position=worst.position,
            shares=shares,
        ),
        evidence=tuple(one.name for one in hurt[:8]),
        fixes=_loaded(cast, place, asked, model, packages),
    )


@rule("IVD607", severity=Severity.NOTE, category="silent-wrong-dtype")
def router_bias_cast(cast: Cast, place: Place, asked: Asked, model: Model | None, packages: Packages | None) -> Iterator[Problem]:
    """
    `.to(dtype)` and `.half()` also cast what the model's authors keep in float32, such as a router's correction bias.

    transformers keeps the parameters listed in `_keep_in_fp32_modules_strict` in float32 when the dtype is given to `from_pretrained`, and
    those in `_keep_in_fp32_modules` when it is float16; a cast afterwards ignores the lists. A router's bias decides which experts a token goes to: rounded, near ties fall the other way.

    ## Fix
    Give the dtype to `from_pretrained`, and cast nothing afterwards.
    """
    hurt = [one for one in cast.kept if one.what != "rotary"]
    if hurt:
        yield Problem(
            message=say(".to(dtype) casts {count} tensors that from_pretrained(dtype=) keeps in fp32: {first}", count=len(hurt), first=hurt[0].name),
            evidence=tuple(f"{one.name}: {', '.join(one.formats)}" for one in hurt[:8]),
            fixes=_loaded(cast, place, asked, model, packages),
        )


def _loaded(cast: Cast, place: Place, asked: Asked, model: Model | None, packages: Packages | None) -> tuple[Fix, ...]:
    """In the best format that was run as a loader leaves it."""
    best = next((one for one in ranked_casts(cast, place, asked, model) if loads(one, cast)), None)
    return (load_at_once(best, place, cast, model, packages),) if best else ()


@rule("IVD608", severity=Severity.WARNING)
def part_not_run(cast: Cast) -> Iterator[Problem]:
    """
    The inputs did not reach a part of the model, so nothing that is said of a cast is said of that part.

    A text through a model that also sees leaves its vision tower idle, and a tower that overflows then goes unseen. Parts are told by
    their parameters. A warning where a model was named.

    ## Fix
    Give inputs that reach every part: `--inputs FILE.safetensors`, or a function of your own, `--inputs module:function`.
    """
    if cast.unrun:
        yield Problem(
            message=say("these inputs did not reach {parts}: what is said of the cast is not said of it", parts=", ".join(cast.unrun)),
            evidence=(cast.inputs,),
            severity=None if cast.how == "real-run" else Severity.NOTE,
            fixes=(
                Fix(
                    title=say("Check it with inputs that reach every part"),
                    kind="command",
                    command="ivdoctor check PATH --inputs FILE.safetensors",
                    trial=untried(say("which inputs those are only the model's own processor or its user knows")),
                ),
            ),
        )


def _loudest(cast: Cast, dtype: str) -> Iterator[str]:
    if dtype == "fp16" and cast.headroom is not None:
        yield say(
            "in {baseline} the largest activation is {value:.3g}, in {module}; float16 ends at {end:.0f}",
            baseline=cast.baseline,
            value=cast.headroom * FP16_MAX,
            module=cast.headroom_module,
            end=FP16_MAX,
        )


def _compared(cast: Cast) -> str:
    return say("{inputs}; {output} against {baseline}", inputs=cast.inputs, output=cast.output, baseline=cast.baseline)
