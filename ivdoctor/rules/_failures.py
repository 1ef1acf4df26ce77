"""What rules about a failure that was read from a text share: the evidence, the lines to write, what the hardware bears."""

from collections.abc import Iterable, Iterator

from ..facts import SHORT_NAME, Failure, Mismatch, Place, Site
from ..finding import Fix, Problem, Severity, Tried
from ..text import count, say
from ._remedies import untried

SIXTEEN = ("bfloat16", "float16")
SHOWN = 4
"""Speakers that are named."""


def fix(title: str, action: str, code: str = "", *, command: str = "", kind: str = "", trial: Tried | None = None) -> Fix:
    """A way out of a failure that was read from a text: nothing was run, unless a trial is given."""
    return Fix(
        title=title,
        kind=kind or ("command" if command else "code"),  # type: ignore[arg-type]  # the words of this module's callers
        action=action,
        code=code,
        command=command,
        trial=trial or untried(say("read from a text")),
    )


def problem(
    failure: Failure,
    message: str,
    fixes: Iterable[Fix] = (),
    *,
    avoid: Iterable[str] = (),
    look_next: Iterable[str] = (),
    severity: Severity | None = None,
    more: Iterable[str] = (),
) -> Problem:
    """The problem, with what the text shows of it."""
    raised, own = failure.raised, failure.own
    return Problem(
        message=message,
        evidence=(*_told(failure), *more),
        fixes=tuple(fixes),
        avoid=tuple(avoid),
        look_next=tuple(look_next),
        severity=severity,
        location=Site(file=raised.file, line=raised.line, op=failure.op, code=raised.code) if raised else Site(op=failure.op) if failure.op else None,
        origin=None if own is None or own is raised else Site(file=own.file, line=own.line, code=own.code),
    )


def _told(failure: Failure) -> Iterator[str]:
    said = f"{failure.error}: {failure.message}" if failure.error else failure.message
    yield say("the text says: {said}", said=said)
    if failure.count > 1 or failure.speakers:
        often = count("told once", "told {number} times", failure.count)
        who = ", ".join(failure.speakers[:SHOWN]) + (say(" and others") if len(failure.speakers) > SHOWN else "")
        yield say("{often}, by {who}", often=often, who=who) if who else often
    if failure.line:
        yield say("first told in line {line} of the text", line=failure.line)


def torch_name(dtype: str) -> str:
    """`torch.bfloat16`, or `another dtype` where the text does not say."""
    return f"torch.{dtype}" if dtype else say("another dtype")


def pair(failure: Failure, first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, str]:
    """The dtypes of two operands by their roles; empty where the text does not say."""
    one, other = failure.operand(*first), failure.operand(*second)
    return (one.dtype if one else "", other.dtype if other else "")


def lacks_bf16(place: Place | None) -> bool:
    """Whether the hardware is known and computes no bfloat16 natively."""
    return place is not None and place.backend != "cpu" and place.dtypes.bf16 in ("emulated", "none")


def lacks_fp16(place: Place | None) -> bool:
    """Whether the hardware is known and computes float16 at a crippled rate, or not at all."""
    return place is not None and place.backend != "cpu" and place.dtypes.fp16 in ("emulated", "none")


def common(place: Place | None, *dtypes: str) -> str:
    """
    The dtype that operands should share: the 16-bit one that is there, if the hardware carries it; float64 only where nothing else is.

    Empty where none is known.
    """
    there = sorted((one for one in dtypes if one), key="float64".__eq__)
    halves = [one for one in SIXTEEN if one in there]
    if place is not None and place.backend == "cpu":
        return "float32" if "float32" in there or not there else there[0]
    if halves:
        lacked = {"bfloat16": lacks_bf16(place), "float16": lacks_fp16(place)}
        halves = [one for one in halves if not lacked[one]] or ["float32" if lacked["float16"] else "float16"]
    return halves[0] if halves else there[0] if there else ""


def where_bf16(place: Place | None, dtype: str) -> str:
    """What must be said with bfloat16 where the hardware is not known."""
    if dtype != "bfloat16" or place is not None:
        return ""
    return say(" (on NVIDIA from compute capability 8.0 on; on a T4 or V100 take `torch.float16`)")


FOREIGN = frozenset({"jax-dtypes", "tf-types", "onnx-types", "onnx-input", "compiler-types"})
"""Families of other frameworks, to which no line of torch is of use."""


def elsewhere(failure: Failure) -> tuple[Fix, ...]:
    """The cure in the words of another framework; none for torch's own messages."""
    if failure.family not in FOREIGN:
        return ()
    title = {
        "jax-dtypes": say("Cast one operand to the other's dtype: `x.astype(w.dtype)`"),
        "tf-types": say("Cast one operand to the other's dtype: `tf.cast(x, w.dtype)`"),
    }.get(failure.family, say("Give both operands one dtype where the graph is made: convert the whole model, and its inputs with it"))
    return (fix(title, "cast-input"), fix(say("Or make all parts and inputs in one dtype from the beginning"), "load-dtype"))


def named(place: Place | None) -> Iterator[str]:
    """The hardware that chose between the fixes."""
    if place is not None and place.backend != "cpu":
        support = say("float16: {fp16}, bfloat16: {bf16}", fp16=place.dtypes.fp16, bf16=place.dtypes.bf16)
        yield say("accelerator: {title} ({architecture}); {support}", title=place.title, architecture=place.architecture, support=support)


INPUTS = ("pixel_values", "input_features", "input_values", "inputs_embeds", "hidden_states", "latents")
"""Names that floating inputs have in transformers and diffusers."""


def tried(mismatch: Mismatch | None, model: str, given: str, remedy: str) -> Tried | None:
    """What the built-in miniature showed of a remedy on this very pair of dtypes, where it ran."""
    case = f"{SHORT_NAME.get(model, '')}/{SHORT_NAME.get(given, '')}"
    found = next((one for one in mismatch.tried(case) if one.remedy == remedy), None) if mismatch else None
    return Tried.of(found) if found and found.status == "passed" else None


def variable(failure: Failure, otherwise: str) -> str:
    """The tensor to name in a line of code: the one that the traceback names, pixels where it speaks of images, else the given name."""
    text = " ".join(one.code for one in failure.frames)
    named = next((one for one in INPUTS if one in text), "")
    return named or ("pixel_values" if "image" in text.lower() or "vision" in text.lower() else otherwise)
