"""Remedies for the cells of a miniature that raised, each really applied."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..facts import HALVES, Flowed, Half, Trial
from ..facts.flow import Way
from ..trials.run import torch_dtype
from .miniature_cells import Feed, Ran, Small, plain
from .world import Stopped

SIXTEEN: tuple[Half, ...] = ("fp16", "bf16")


def remedies(small: Small, cells: tuple[Flowed, ...], first: tuple[Half, Half]) -> Iterator[Trial]:
    """
    Every remedy for every cell that raised, while there is time.

    Args:
        cells: as they were run.
        first: the model's and the input's dtype that are judged; their cell comes first, then those of either.
    """
    raised = [cell for cell in cells if cell.status == "raised"]
    for cell in sorted(raised, key=lambda one: -((one.model == first[0]) + (one.input == first[1]))):
        for remedy in (*_by_cells(small, cells, cell), *_by_runs(small, cell)):
            if time.monotonic() > small.until:
                return
            yield from remedy()


Remedy = Callable[[], Iterator[Trial]]


def _by_cells(small: Small, cells: tuple[Flowed, ...], cell: Flowed) -> Iterator[Remedy]:
    """Those that are other cells, which have been run."""
    other: Way = "cast" if cell.way == "loaded" else "loaded"
    leads: dict[str, tuple[Way, Half]] = {}
    if cell.input != cell.model and small.floats:
        leads["cast-input"] = cell.way, cell.model
    if cell.model in SIXTEEN:  # with the inputs in the model's dtype, as the line that is advised has it
        leads["cast-afterwards" if other == "cast" else "load-at-once"] = other, cell.model
    leads |= {f"everything-{dtype}": (cell.way, dtype) for dtype in HALVES if dtype != cell.model}
    by = {(one.way, one.model, one.input): one for one in cells}
    for slug, (way, dtype) in leads.items():
        found = by.get((way, dtype, dtype))
        if found and found.status != "unknown":

            def told(slug: str = slug, found: Flowed = found) -> Iterator[Trial]:
                yield _trial(slug, cell, found.model, small.came[found.case], passed=found.status == "ran")

            yield told


def _by_runs(small: Small, cell: Flowed) -> Iterator[Remedy]:
    """Those that are run for it."""
    if cell.input != cell.model and small.floats:

        def cast_model() -> Iterator[Trial]:
            """`model = model.to(pixel_values.dtype)`."""
            model = small.model(cell.way, cell.model).to(torch_dtype(cell.input))
            yield from _ran("cast-model", cell, cell.input, small.run(model, cell.input))

        yield cast_model

    def autocast() -> Iterator[Trial]:
        """`with torch.autocast(device, dtype):` around the call, in the 16-bit format that is there."""
        dtype: Half = next((one for one in (cell.model, cell.input) if one in SIXTEEN), "bf16")

        def call(model: nn.Module, feed: Feed) -> Any:
            with torch.autocast("cpu", torch_dtype(dtype)):
                return plain(model, feed)

        yield from _ran("autocast", cell, dtype, small.run(small.model(cell.way, cell.model), cell.input, call))

    yield autocast
    module = cell.location.module if cell.location else ""
    if module:

        def cast_module() -> Iterator[Trial]:
            """A hook on the layer that raises."""
            model = small.model(cell.way, cell.model)
            layer = model.get_submodule(module)
            if next(layer.parameters(), None) is not None:
                with hooked(layer):
                    yield from _ran("cast-module", cell, cell.model, small.run(model, cell.input))

        yield cast_module


@contextmanager
def hooked(layer: nn.Module) -> Iterator[None]:
    """What goes into it is cast to the dtype of its own weight."""

    def own_dtype(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        weight = next(module.parameters())
        return tuple(one.to(weight.dtype) if isinstance(one, Tensor) and one.is_floating_point() else one for one in args)

    handle = layer.register_forward_pre_hook(own_dtype)
    try:
        yield
    finally:
        handle.remove()


def _ran(slug: str, cell: Flowed, dtype: Half, ran: Ran) -> Iterator[Trial]:
    """None where it was stopped: that says nothing of the remedy."""
    if not isinstance(ran.error, (Stopped, MemoryError)):
        yield _trial(slug, cell, dtype, ran.said, passed=ran.error is None)


def _trial(slug: str, cell: Flowed, dtype: Half, after: str, *, passed: bool) -> Trial:
    return Trial(
        remedy=slug,
        case=cell.case,
        status="passed" if passed else "failed",
        how="miniature",
        where="cpu",
        before=f"{cell.error}: {cell.message}",
        after=after,
        computes_in=dtype,
    )
