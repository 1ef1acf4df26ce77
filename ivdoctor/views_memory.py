"""What the model's weights and its cache take of a place's memory, as a table."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from .facts import HALVES, Anatomy, Asked, Checkpoint, Model, Packages, Place
from .kernels import OWN_LOADER
from .memory import SHARE, WIDTHS, Keeping, Weights, devices, expands, keeping, loaded_as, room_of, weights_of
from .report import Grid, GridCell
from .text import say

USUAL = 8192
"""Tokens of a long conversation."""


def grids(place: Place, facts: Mapping[type, Any], asked: Asked) -> Iterator[Grid]:
    """A row for each format, with the one that is meant marked; nothing where the weights' sizes are not known, or the place's memory is not."""
    model, checkpoint, anatomy, packages = (facts.get(kind) for kind in (Model, Checkpoint, Anatomy, Packages))
    weights = weights_of(checkpoint, anatomy) if isinstance(model, Model) else None
    if weights is None or not isinstance(model, Model) or not place.memory_mib:
        return
    kept = keeping(place, asked, model, checkpoint, packages)
    meant = loaded_as(place, asked, model, checkpoint, packages)
    context = model.context if kept and model.context else 0
    lengths = tuple(dict.fromkeys(filter(None, (USUAL, context)))) if kept else ()
    expanded = weights.packed and expands(place, asked, model, checkpoint, packages)
    rows = [
        _row(name, size, place, _in(kept, dtype, meant), lengths, meant=dtype == meant and not expanded)
        for name, dtype, size in _formats(weights, model)
    ]
    if weights.packed and weights.dequantised:
        rows.append(_row(say("expanded to 16 bits"), weights.dequantised, place, kept, lengths, meant=expanded))
    cached = (say("cache of a token"), *(say("at {tokens} tokens", tokens=f"{one:,}") for one in lengths)) if kept else ()
    yield Grid(
        title=say("Memory"),
        place=place.name,
        columns=(say("format"), say("weights"), *cached, say("fits"), *((say("tokens that fit"),) if kept else ())),
        rows=tuple(rows),
        caption=" ".join(_caption(weights, place, kept, asked)),
    )


def _formats(weights: Weights, model: Model) -> Iterator[tuple[str, str, int]]:
    if weights.stored and not weights.packed and not model.quantization:
        yield from ((dtype, dtype, weights.loaded(dtype)) for dtype in HALVES)
    yield say("as stored"), "auto", weights.loaded("auto")


def _in(kept: Keeping | None, dtype: str, meant: str) -> Keeping | None:
    """The cache is kept in the format that is computed in, but for fp8."""
    if kept is None or dtype not in WIDTHS or kept.width == 1 or dtype == meant:
        return kept
    return Keeping(cache=kept.cache, width=WIDTHS[dtype], latent=kept.latent, copies=kept.copies)


def _row(name: str, needed: int, place: Place, kept: Keeping | None, lengths: tuple[int, ...], *, meant: bool) -> tuple[GridCell, ...]:
    cells = [GridCell(text=say("{format} (meant)", format=name) if meant else name), GridCell(text=_gib(needed))]
    if kept is None:
        return (*cells, _fits(needed, place))
    cells += [GridCell(text=f"{kept.bytes(1) / 2**10:,.1f} KiB"), *(GridCell(text=_gib(kept.bytes(one))) for one in lengths)]
    tokens = kept.tokens(needed, place)
    told = say("any") if tokens is None else f"{tokens:,}"
    return (*cells, _fits(needed, place), GridCell(text=told))


def _fits(needed: int, place: Place) -> GridCell:
    """Alone, on the devices that are there, or on how many."""
    if needed <= SHARE * place.memory_mib * 2**20:
        return GridCell(text=say("alone"), mark="good")
    mark: Literal["poor", "bad"] = "poor" if needed <= room_of(place) else "bad"
    return GridCell(text=say("no") if place.backend in ("cpu", "mps") else say("needs {number}", number=devices(needed, place)), mark=mark)


def _gib(size: int) -> str:
    return f"{size / 2**30:,.2f} GiB"


def _caption(weights: Weights, place: Place, kept: Keeping | None, asked: Asked) -> Iterator[str]:
    memory = f"{place.count} x " if place.count > 1 else ""
    memory += f"{place.memory_mib / 1024:.1f} GiB"
    yield say("{memory} of {title}, of which nine tenths are counted on.", memory=memory, title=place.title)
    yield {
        "headers": say("Weights by the headers of their files."),
        "size": say("Weights by the size of their files, as if stored in float32."),
        "arithmetic": say("Weights counted from the configuration."),
        "meta": say("Weights counted on the architecture, built without data."),
        "published": say("Weights as the makers say."),
    }[weights.how]
    if kept:
        own = asked.engine in OWN_LOADER
        yield say("The cache is one sequence's.") if own else say("The cache is one sequence's, as {engine} keeps it.", engine=asked.engine)
        if kept.cache.compressed and not kept.latent:
            yield say("It is expanded; engines keep the latent alone: {size} KiB a token.", size=f"{kept.cache.compressed * kept.width / 2**10:,.1f}")
        if kept.cache.window:
            yield say("Layers with a window keep {window} tokens.", window=f"{kept.cache.window:,}")
    yield say("Left out: what passes through the layers, the CUDA context and the libraries' workspaces.")
