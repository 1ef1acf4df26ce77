"""Which dtype to compute in: what is known goes in, a format and its reason come out. `pick_dtype` and the report's loader share it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .facts import TORCH_NAME, Asked, Cast, CastRun, Checkpoint, Half, Limits, Place, Precision
from .text import say

SHORT: dict[str, Half] = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
"""torch's name to the short one."""


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


def choose(place: Place, made_in: str, *, proven: bool = False, objection: Callable[[Half], str] = lambda _: "") -> Pick:
    """
    The first of what the place computes natively and the model survives that nobody objects to; float32 where there is none.

    Args:
        made_in: as `trained` gives it.
        proven: whether the model was run in fp16 and came out within the limits.
        objection: says why a half format does not work here, empty where it does; asked of each before it is taken.
    """
    objections: list[str] = []
    for pick in _candidates(place, made_in, proven=proven):
        reason = "" if pick.dtype == "fp32" else objection(pick.dtype)
        if not reason:
            break
        objections.append(reason)
    if not objections:
        return pick
    return Pick(dtype=pick.dtype, reason="; ".join([*objections, *([pick.reason] if pick.dtype != "fp32" else [])]))


def _candidates(place: Place, made_in: str, *, proven: bool) -> Iterator[Pick]:
    """Best first; fp32 is the last."""
    title = place.title
    native = [half for half in ("bf16", "fp16") if place.dtypes.of(half) == "native"]
    own = SHORT.get(made_in, "fp32")
    if own in native:
        yield Pick(dtype=own, reason=say("the model was made in {dtype}, and {title} computes it natively", dtype=made_in, title=title))
    if "bf16" in native and own != "bf16":
        yield Pick(dtype="bf16", reason=say("{title} computes {dtype} natively, and its range is that of float32", title=title, dtype="bfloat16"))
    risky = made_in == "bfloat16" and not proven
    if "fp16" in native and own != "fp16" and not risky:
        yield Pick(dtype="fp16", reason=_half(title, proven=proven))
    yield Pick(dtype="fp32", reason=_full(place, native, risky=risky))


def _half(title: str, *, proven: bool) -> str:
    if proven:
        return say("{title} computes float16 natively, and a run of this model in it stayed within the limits", title=title)
    return say("{title} computes float16 natively; it ends at 65504, and whether this model stays below is untested", title=title)


def _full(place: Place, native: list[str], *, risky: bool) -> str:
    if risky and native == ["fp16"]:
        return say(
            "the model was made in bfloat16, which {title} does not compute natively; float16 is faster, and whether this model stays in its "
            "range is untested",
            title=place.title,
        )
    if "unknown" in (place.dtypes.bf16, place.dtypes.fp16):
        return say("which half formats {title} computes natively is not known: {note}", title=place.title, note=place.dtypes.note)
    return say("{title} computes neither float16 nor bfloat16 natively", title=place.title)


def decide(place: Place, asked: Asked, made_in: str, *, cast: Cast | None, precision: Precision | None) -> Pick:
    """What was asked for by name where the place runs it at all; else what `choose` gives."""
    if cast and cast.how == "miniature":
        cast = replace(cast, headroom=None, runs=tuple(one for one in cast.runs if not one.usable))  # random weights prove nothing good

    def objection(dtype: Half) -> str:
        return _lost(dtype, cast, asked.limits) or _refused(dtype, precision)

    fp16 = cast.run("fp16") if cast and cast.how == "real-run" else None
    chosen = choose(place, made_in, proven=bool(fp16 and fp16.usable), objection=objection)
    if asked.dtype == "auto":
        return chosen
    against = _lost(asked.dtype, cast, asked.limits) or _unrunnable(asked.dtype, place, precision)
    if not against:
        reason = say("{dtype} was asked for", dtype=asked.dtype)
        if place.dtypes.of(asked.dtype) == "emulated":
            reason += "; " + say("{title} emulates it, so it is slow", title=place.title)
        return Pick(dtype=asked.dtype, reason=reason)
    if chosen.dtype == asked.dtype:  # fp32, where nothing else is left
        return chosen
    return Pick(
        dtype=chosen.dtype, reason=say("{dtype} was asked for, but {against}; {reason}", dtype=asked.dtype, against=against, reason=chosen.reason)
    )


def _lost(dtype: Half, cast: Cast | None, limits: Limits) -> str:
    """What a run of the model in this format says against it; empty where it says nothing."""
    one = cast.run(dtype) if cast else None
    if cast is None or one is None or one.status == "skipped":
        return ""
    if one.status == "raised":
        return say("{dtype} was run here and raises: {message}", dtype=dtype, message=one.message)
    if not one.usable:
        return say("{dtype} was run here, and its output is not finite", dtype=dtype)
    beyond = _beyond(one, limits)
    if dtype == "fp16" and cast.headroom is not None and cast.headroom > limits.headroom:
        beyond.append(f"headroom {cast.headroom:.2g} > {limits.headroom:g}")
    return say("{dtype} was run here and changes too much: {beyond}", dtype=dtype, beyond=", ".join(beyond)) if beyond else ""


def _beyond(run: CastRun, limits: Limits) -> list[str]:
    """Figures outside their limits."""
    beyond = [f"relative L2 {run.relative_l2:.2g} > {limits.relative_l2:g}"] if run.relative_l2 > limits.relative_l2 else []
    beyond += [f"cosine {run.cosine:.4f} < {limits.cosine:g}"] if run.cosine < limits.cosine else []
    beyond += [f"top-1 {run.top1:.2f} < {limits.top1:g}"] if run.top1 is not None and run.top1 < limits.top1 else []
    return beyond + ([f"KL {run.kl:.2g} > {limits.kl:g}"] if run.kl is not None and run.kl > limits.kl else [])


def _refused(dtype: Half, precision: Precision | None) -> str:
    """The first operation without a usable result on the device itself; its equals, ` on cuda:1`, are not its own."""
    refused = [one for one in precision.refused(dtype) if " on " not in one.name] if precision else []
    return say("{operation} gives no right result in {dtype} here", operation=refused[0].name, dtype=dtype) if refused else ""


def _unrunnable(dtype: Half, place: Place, precision: Precision | None) -> str:
    """Why nothing at all runs in this format; one operator that refuses is not enough, the model may do without."""
    ran = [one for one in precision.operations if one.dtype == dtype] if precision else []
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
