"""The dtype table of a place: what the hardware carries by the tables, and what each operator really did, side by side."""

from collections.abc import Iterator
from typing import Literal

from . import views_target
from .facts import Operation, Place, Precision
from .kernels import kernels
from .report import Grid, GridCell
from .tables import DTYPES
from .text import say

MARKS: dict[str, Literal["good", "bad", "poor", "none"]] = {"native": "good", "emulated": "poor", "none": "bad", "unknown": "none"}

TITLE = "Number formats"


CLASSES = {
    "cudnn-conv": "conv (cuDNN)",
    "sdpa-flash": "SDPA flash",
    "sdpa-efficient": "SDPA efficient",
    "sdpa-cudnn": "SDPA cudnn",
    "sdpa-math": "SDPA math",
    "flash-attn 2": "flash-attn 2",
    "triton": "Triton",
    "scaled_mm": "scaled_mm",
}
"""The kernels of the tables that stand for a class of operators, where none was run."""


def formats(place: Place, precision: Precision | None, torch: tuple[int, ...] | None = None, *, ran: bool) -> Grid:
    """
    A row for the hardware, and one for each operator that was run there, or for a target each that the tables know; a column a format.

    Args:
        torch: the release that kernels are looked up for.
        ran: False for a snapshot made by hand, whose operations nobody ran.
    """
    hardware = (GridCell(text=say("hardware")), *(GridCell(text=place.dtypes.of(one), mark=MARKS[place.dtypes.of(one)]) for one in DTYPES))
    return Grid(
        title=say(TITLE),
        place=place.name,
        columns=(say("operator"), *DTYPES),
        rows=(hardware, *_operations(precision), *(_foreseen(place, torch) if place.kind == "target" else ())),
        caption=" ".join(_caption(place, precision, ran=ran)),
    )


def _operations(precision: Precision | None) -> Iterator[tuple[GridCell, ...]]:
    """An equal of the device, `matmul on cuda:1`, has a row of its own only where it differs."""
    operations = precision.operations if precision else ()
    seen: dict[tuple[str, str], Operation] = {(one.name, one.dtype): one for one in operations}
    for name in dict.fromkeys(one.name for one in operations if " on " not in one.name or one.status != "works"):
        yield (GridCell(text=name.replace("attention_", "SDPA ")), *(_cell(seen.get((name, dtype))) for dtype in DTYPES))


def _foreseen(place: Place, torch: tuple[int, ...] | None) -> Iterator[tuple[GridCell, ...]]:
    """What the tables say of the kernels behind an operator class."""
    rows = {(one.kernel, one.dtype): one for one in kernels(place, torch)}
    for name, shown in CLASSES.items():
        found = {dtype: rows[name, dtype] for dtype in DTYPES if (name, dtype) in rows}
        if found:
            yield (GridCell(text=shown), *(views_target.cell(found.get(dtype)) for dtype in DTYPES))


def _cell(one: Operation | None) -> GridCell:
    if one is None:
        return GridCell(text="-")
    if one.status == "refused":
        return GridCell(text=say("refused: {message}", message=one.message) if one.message else say("refused"), brief=say("refused"), mark="bad")
    if one.status == "wrong":
        return GridCell(text=say("wrong"), mark="bad")
    if one.slow:
        return GridCell(text=say("slow {ratio}x", ratio=f"{one.ratio:g}"), mark="poor")
    return GridCell(text=say("works"), mark="good")


def _caption(place: Place, precision: Precision | None, *, ran: bool) -> Iterator[str]:
    yield say("Hardware by the tables: {source}.", source=place.dtypes.source or place.dtypes.note)
    if precision is None or not precision.operations:
        return
    yield say("The operations were really run.") if ran else say("The operations are as the snapshot's maker claims.")
    if any(one.ratio for one in precision.operations):
        yield say("Slow: over twice the time of fp32 in the same run.")
    if precision.missing:
        yield say("This torch has no {names}.", names=", ".join(precision.missing))
