"""Which dtype to compute in: what is known goes in, a format and its reason come out. `pick_dtype` and the report's loader share it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .evidence import Range, at_once, beyond, fp16_range, loaded, within
from .facts import SHORT_NAME, TORCH_NAME, Asked, Cast, Checkpoint, Half, Limits, Place, Precision
from .text import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A format and why it is taken, in one line."""

    dtype: Half
    reason: str

    @property
    def name(self) -> str:
        """Torch's name of it: `bfloat16`."""
        return TORCH_NAME[self.dtype]


def trained(config: str, stored: str) -> str:
    """
    Torch's name of the format a model was made in, by what its config says and what its weights are; empty where neither tells.

    bfloat16 in either place counts: float16 does not hold its range, and a config may call bfloat16 weights float16. A half
    format beats float32: transformers before 5 loads every checkpoint as float32.
    """
    return next((half for half in ("bfloat16", "float16") if half in (config, stored)), stored or config)


def quantised(method: str, stored: str) -> str:
    """How a model is quantised, by its config's method, else by the 8 bits of its weights; empty for one that may be cast."""
    return method or (stored if stored.startswith("float8") else "")


def choose(place: Place, made_in: str, *, fp16: Range = "unknown", objection: Callable[[Half], str] = lambda _: "") -> Pick:
    """
    The first of what the place computes natively and the model survives that nobody objects to; float32 where there is none.

    Args:
        made_in: as `trained` gives it.
        fp16: what is known of the model's range, as `fp16_range` gives it.
        objection: says why a half format does not work here, empty where it does; asked of each before it is taken.
    """
    objections: list[str] = []
    for pick in _candidates(place, made_in, fp16):
        reason = "" if pick.dtype == "fp32" else objection(pick.dtype)
        if not reason:
            break
        objections.append(reason)
    if not objections:
        return pick
    return Pick(dtype=pick.dtype, reason="; ".join([*objections, *([pick.reason] if pick.dtype != "fp32" else [])]))


def _candidates(place: Place, made_in: str, fp16: Range) -> Iterator[Pick]:
    """Best first; fp32 is the last."""
    title = place.title
    risky = fp16 == "overflows" or (made_in == "bfloat16" and fp16 not in ("fits", "lost"))  # of what was lost the objection has the figures
    native = [half for half in ("bf16", "fp16") if place.dtypes.of(half) == "native"]
    own = SHORT_NAME.get(made_in, "fp32")
    if own in native and not (own == "fp16" and risky):
        yield Pick(dtype=own, reason=say("the model was made in {dtype}, and {title} computes it natively", dtype=made_in, title=title))
    if "bf16" in native and own != "bf16":
        yield Pick(dtype="bf16", reason=say("{title} computes {dtype} natively, and its range is that of float32", title=title, dtype="bfloat16"))
    if "fp16" in native and own != "fp16" and not risky:
        yield Pick(dtype="fp16", reason=_half(title, proven=fp16 == "fits"))
    yield Pick(dtype="fp32", reason=_full(place, native, fp16, risky=risky))


def _half(title: str, *, proven: bool) -> str:
    if proven:
        return say("{title} computes float16 natively, and a run of this model in it stayed within the limits", title=title)
    return say("{title} computes float16 natively; it ends at 65504, and whether this model stays below is untested", title=title)


def _full(place: Place, native: list[str], fp16: Range, *, risky: bool) -> str:
    if fp16 == "overflows" and native == ["fp16"]:
        return say("{title} computes float16 natively, and models of this family are known to overflow in it", title=place.title)
    if risky and native == ["fp16"]:
        return say(
            "the model was made in bfloat16, which {title} does not compute natively; float16 is faster, and whether this model stays in its "
            "range is untested",
            title=place.title,
        )
    if "unknown" in (place.dtypes.bf16, place.dtypes.fp16):
        return say("which half formats {title} computes natively is not known: {note}", title=place.title, note=place.dtypes.note)
    return say("{title} computes neither float16 nor bfloat16 natively", title=place.title)


def decide(place: Place, asked: Asked, made_in: str, *, cast: Cast | None, precision: Precision | None, family: str = "") -> Pick:
    """
    What was asked for by name where the place runs it at all; else what `choose` gives.

    Args:
        family: the model's `model_type`.
    """
    fp16 = fp16_range(family, cast, asked.limits)
    if cast and cast.how == "miniature":
        cast = replace(cast, headroom=None, runs=tuple(one for one in cast.runs if not one.usable))  # random weights prove nothing good

    def objection(dtype: Half) -> str:
        return _lost(dtype, cast, asked.limits) or _refused(dtype, precision)

    chosen = choose(place, made_in, fp16=fp16, objection=objection)
    if asked.dtype == "auto":
        return chosen
    against = _lost(asked.dtype, cast, asked.limits) or _unrunnable(asked.dtype, place, precision)
    if not against:
        reason = say("{dtype} was asked for", dtype=asked.dtype)
        if place.dtypes.of(asked.dtype) == "emulated":
            reason += "; " + say("{title} emulates it, so it is slow", title=place.title)
        if asked.dtype == "fp16" and fp16 == "overflows":
            reason += "; " + say("models of this family are known to overflow in it")
        return Pick(dtype=asked.dtype, reason=reason)
    if chosen.dtype == asked.dtype:  # fp32, where nothing else is left
        return chosen
    return Pick(
        dtype=chosen.dtype, reason=say("{dtype} was asked for, but {against}; {reason}", dtype=asked.dtype, against=against, reason=chosen.reason)
    )


def _lost(dtype: Half, cast: Cast | None, limits: Limits) -> str:
    """What a run of the model in this format says against it; empty where it says nothing, or where loading in the format at once cures it."""
    if cast is None or at_once(cast, dtype, limits):
        return ""
    one, trial = cast.run(dtype), loaded(cast, dtype)
    if one and one.status == "raised":
        return say("{dtype} was run here and raises: {message}", dtype=dtype, message=one.message)
    if (one and one.status == "ran" and not one.usable) or (dtype == cast.baseline and cast.nonfinite):
        return say("{dtype} was run here, and its output is not finite", dtype=dtype)
    changed = list(beyond(one, limits)) if one and one.usable else []
    ran = dtype == cast.baseline or (one is not None and one.usable)
    if dtype == "fp16" and ran and cast.headroom is not None and cast.headroom > limits.headroom:
        changed.append(say("headroom {found:.2g}, limit {limit:g}", found=cast.headroom, limit=limits.headroom))
    if changed:
        return say("{dtype} was run here and changes too much: {figures}", dtype=dtype, figures="; ".join(changed))
    if trial and not within(trial, limits):
        return say("the model was loaded in {dtype} here and fails: {after}", dtype=dtype, after=trial.after)
    return ""


def _refused(dtype: Half, precision: Precision | None) -> str:
    """The first operation without a usable result, or in time, on the device itself; its equals, ` on cuda:1`, are not its own."""
    refused = [one for one in precision.refused(dtype) if " on " not in one.name] if precision else []
    if refused:
        return say("{operation} gives no right result in {dtype} here", operation=refused[0].name, dtype=dtype)
    slowest = next((one for one in precision.timed(dtype) if one.everyday), None) if precision else None
    if slowest and slowest.collapsed:
        return say("{operation} in {dtype} is {ratio:g} times slower than fp32 here", operation=slowest.name, dtype=dtype, ratio=slowest.ratio)
    return ""


def _unrunnable(dtype: Half, place: Place, precision: Precision | None) -> str:
    """Why nothing at all runs in this format; one operator that refuses is not enough, the model may do without."""
    ran = [one for one in precision.operations if one.dtype == dtype and one.everyday] if precision else []
    if ran and all(one.status != "works" for one in ran):
        return _refused(dtype, precision)
    if not ran and place.dtypes.of(dtype) == "none":
        return say("{title} has no {dtype}", title=place.title, dtype=dtype)
    return ""


def sized(pick: Pick, place: Place, checkpoint: Checkpoint | None) -> Pick:
    """With a word of warning where the weights alone are larger than the device."""
    need = checkpoint.parameters * (4 if pick.dtype == "fp32" else 2) / 2**30 if checkpoint else 0.0
    have = place.memory_mib / 1024
    if not have or need <= have:
        return pick
    warning = say(
        "in {dtype} its weights take {need} GiB, and {title} has {have}", dtype=pick.dtype, need=f"{need:.0f}", title=place.title, have=f"{have:.0f}"
    )
    return Pick(dtype=pick.dtype, reason=f"{pick.reason}; {warning}")
