"""The dtype flow as people read it: the 3x3 of each way of loading, the miniature's beside it, and the inventory of operators."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from .facts import HALVES, Flow, Flowed, Miniature, Replay, Site
from .facts.flow import Way
from .report import Grid, GridCell
from .text import count, say

WAYS: tuple[Way, ...] = ("loaded", "cast")


def told(flow: Flow) -> str:
    """One line for the summary: whose code, what went in, how many cells run, and how many operators it met."""
    if flow.misfit:
        return say("{library} does not run its code: {reason}", library=flow.library, reason=flow.misfit)
    shown = [one for way in WAYS for one in _cells(flow, way)]
    ran = sum(one.status == "ran" for one in shown)
    parts = [
        say("{architecture} of {library}", architecture=flow.architecture, library=flow.library),
        say("{ran} of {all} combinations run", ran=ran, all=len(shown)),
        count("{number} distinct operator and dtypes", "{number} distinct pairs of operator and dtypes", len(flow.pairs)) if flow.pairs else "",
        flow.inputs,
    ]
    if unknown := sum(one.status == "unknown" for one in shown):
        parts.insert(2, say("{number} unknown", number=unknown))
    if flow.unrun:
        parts.append(say("these inputs did not reach {parts}", parts=", ".join(flow.unrun)))
    if flow.reads:
        parts.append(say("its code read {files}", files=", ".join(flow.reads[:4])))
    return "; ".join(filter(None, parts))


def miniature_told(miniature: Miniature) -> str:
    """One line for the summary: what was made smaller, and how many cells really ran."""
    ran = sum(one.status == "ran" for one in miniature.cells)
    changes = ", ".join(miniature.changes[:4]) + (", ..." if len(miniature.changes) > 4 else "")  # noqa: PLR2004  # as many as are told
    return say(
        "{parameters} weights ({changes}); {ran} of {all} combinations really run on the CPU",
        parameters=f"{miniature.parameters:,}",
        changes=changes or say("nothing made smaller"),
        ran=ran,
        all=len(miniature.cells),
    )


def grids(flow: Flow | None, miniature: Miniature | None, replays: Mapping[str, Replay]) -> Iterator[Grid]:
    """
    The table of the flow, one for both ways of loading where they agree; folded: the miniature's, and the inventory.

    Args:
        replays: by place.
    """
    if flow and flow.cells:
        yield from _tables(flow, flow.floats, say("Dtype flow: {model}", model=flow.model), _caption(flow), detail=False)
        if miniature:
            title = say("A miniature, really run: {model}", model=miniature.model)
            changes = say("Random weights, on the CPU; {changes}. Inputs: {inputs}.", changes=", ".join(miniature.changes), inputs=miniature.inputs)
            yield from _tables(miniature, flow.floats, title, changes, detail=True)
    if flow and flow.pairs:
        yield _inventory(flow, replays)


def _cells(found: Flow | Miniature, way: Way, *, floats: bool | None = None) -> list[Flowed]:
    """Of one way; a column stands for all three where no input floats."""
    floats = found.floats if isinstance(found, Flow) else floats
    mine = [one for one in found.cells if one.way == way]
    return mine if floats else list({one.model: one for one in reversed(mine)}.values())


def _tables(found: Flow | Miniature, floats: bool, title: str, caption: str, *, detail: bool) -> Iterator[Grid]:
    """One a way of loading, or one for both."""
    outcomes = [{(one.model, one.input): (one.status, _line(one.location)) for one in _cells(found, way, floats=floats)} for way in WAYS]
    words = {"loaded": say("loaded in the dtype"), "cast": say("cast to it after loading")}
    if outcomes[0] == outcomes[1] or not outcomes[1]:
        yield _table(
            found, "loaded", floats, title, f"{say('Loaded in the dtype, or cast to it: the same.')} {caption}" if outcomes[1] else caption, detail
        )
        return
    for way in WAYS:
        if any(one.way == way for one in found.cells):
            yield _table(found, way, floats, say("{title}, {way}", title=title, way=words[way]), caption, detail)


def _table(found: Flow | Miniature, way: Way, floats: bool, title: str, caption: str, detail: bool) -> Grid:  # noqa: PLR0917  # private
    columns = HALVES if floats else HALVES[:1]
    rows = []
    for model in HALVES:
        cells = [found.cell(way, model, given) for given in columns]
        if not floats:
            cells = [next((one for given in HALVES if (one := found.cell(way, model, given))), None)]
        rows.append((GridCell(text=model), *map(_cell, cells)))
    heads = columns if floats else (say("no input floats"),)
    return Grid(title=title, columns=(say("model \\ inputs"), *heads), rows=tuple(rows), caption=caption, detail=detail)


def _cell(one: Flowed | None) -> GridCell:
    if one is None:
        return GridCell(text="-")
    if one.status == "ran":
        casts = "; ".join(f"{cast.input}: {' -> '.join(cast.through)}, {_line(cast.location)}" for cast in one.casts)
        return GridCell(text=say("ran, and casts {casts}", casts=casts) if casts else say("ran"), brief=say("ran"), mark="good")
    if one.status == "unknown":
        return GridCell(text=one.message, brief=say("unknown"), mark="poor")
    line = _line(one.location)
    brief = say("raises at {line}", line=line) if line else say("raises")
    return GridCell(text=": ".join(filter(None, (_module(one.location), one.error, one.message))), brief=brief, mark="bad")


def _line(where: Site | None) -> str:
    """`modeling_internvl.py:291`; empty where it is not known."""
    return f"{where.file.rpartition('/')[2]}:{where.line}" if where and where.file else ""


def _module(where: Site | None) -> str:
    return where.module if where else ""


def _caption(flow: Flow) -> str:
    parts = [
        say(
            "The code of {architecture} in {library}, run without numbers; each operator's answer is the installed torch's own, on the CPU.",
            architecture=flow.architecture,
            library=flow.library,
        ),
        say("Inputs: {inputs}.", inputs=flow.inputs),
    ]
    if "decode" in flow.steps:
        parts.append(say("A forward pass and one more token with the cache."))
    if flow.unproven:
        parts.append(say("Taken from shapes alone: {operators}.", operators=", ".join(flow.unproven)))
    return " ".join(parts)


def _inventory(flow: Flow, replays: Mapping[str, Replay]) -> Grid:
    """With what came of each pair at the places where they were replayed."""
    ends: list[dict[Any, Any]] = [{(one.op, one.dtypes): one for one in replay.pairs} for replay in replays.values()]
    rows = []
    for one in flow.pairs:
        there = [_replayed(found.get((one.op, one.dtypes))) for found in ends]
        rows.append(
            (*(GridCell(text=text) for text in (one.op, ", ".join(one.dtypes), str(one.count))), *there, GridCell(text=", ".join(one.modules)))
        )
    return Grid(
        title=say("Operators of {model}", model=flow.model),
        columns=(say("operator"), say("dtypes"), say("calls"), *replays, say("called in")),
        rows=tuple(rows),
        caption=say(
            "As {case}; `*` stands for the number of the layer. Where a place is named, each was run there, in small shapes.", case=flow.paired
        ),
        detail=True,
    )


def _replayed(one: Any) -> GridCell:
    marks: dict[str, tuple[str, Literal["good", "bad", "poor"]]] = {
        "ran": (say("ran"), "good"),
        "raised": (say("raises"), "bad"),
        "unknown": (say("unknown"), "poor"),
    }
    if one is None:
        return GridCell(text="-")
    word, mark = marks[one.status]
    return GridCell(text=one.message or word, brief=word if one.message else "", mark=mark)
