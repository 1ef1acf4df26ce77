"""Ways out for quantised weights: an engine that keeps them packed, another checkpoint; and what a cast does to them."""

from ..evidence import BARRED, Range
from ..facts import Checkpoint, Model, Place
from ..fates import format_of, row_of, told
from ..finding import Fix
from ..kernels import engine_row
from ..text import say
from ._remedies import caveat, elsewhere

TRANSFORMERS = ("", "transformers")
"""The engine that is asked about where none is named."""

PACKED = ("awq", "gptq", "bnb-4bit")
"""Formats that transformers keeps packed where they run at all."""

KEEPS = ("native", "weight-only")


def cast_lines(model: Model) -> tuple[str, ...]:
    """What transformers does where such a model is cast, for the evidence; nothing of a method that it does not know."""
    row = row_of(model)
    if row is None or row["knows"] == "no":
        return ()
    if row["cast"] == "refused":
        return (say(".half() and .to(dtype) raise ValueError in transformers 5.23; .bfloat16() goes through"), told(row))
    return (say(".half() raises ValueError in transformers 5.23; .to(dtype) and .bfloat16() go through without a word"), told(row))


def half_here(place: Place, fp16: Range) -> str:
    """The half format that the place computes in natively and the model survives, by torch's name; empty where there is none."""
    if place.dtypes.bf16 == "native":
        return "bfloat16"
    return "float16" if place.dtypes.fp16 == "native" and fp16 not in BARRED else ""


def served(model: Model, checkpoint: Checkpoint | None, place: Place, fp16: Range) -> tuple[Fix, ...]:
    """VLLM, where it keeps the weights packed there and computes in a format that the model survives."""
    row, half = row_of(model), half_here(place, fp16)
    engine = engine_row("vllm", format_of(model, checkpoint), place)
    if not row or not row["vllm"] or engine is None or engine.outcome not in KEEPS or not half or half not in row["vllm_takes"].split(";"):
        return ()
    title = say("Serve it with vLLM, which keeps the weights packed there ({outcome})", outcome=engine.outcome)
    return (
        Fix(
            title=title + (caveat("fp16", place, fp16) if half == "float16" else ""),
            kind="command",
            action="kernel",
            command=f"vllm serve PATH --dtype {half}",
            trial=elsewhere(place, say("no engine was started")),
        ),
    )


def another(place: Place, fp16: Range) -> Fix:
    """A checkpoint of the same model, in a format that transformers keeps packed there."""
    rows = {format: engine_row("transformers", format, place) for format in PACKED if format != "awq" or fp16 not in BARRED}
    names = [format for format, row in rows.items() if row and row.outcome == "weight-only"]
    title = say("Take a checkpoint in another format, or another device")
    if names:
        title = say("Take a checkpoint that stays packed there: {names}", names=", ".join(names))
    return Fix(title=title, kind="hardware", action="other", trial=elsewhere(place, say("which of them is there ivdoctor does not know")))
