"""The user's own architecture made small, with random weights, and really run on the CPU with each remedy."""

import os
import time
from importlib import import_module
from typing import Any

from ..facts import Asked, Flow, Miniature
from ..modelfiles import Unreadable, name_of, read_config
from ..probe import Absent
from ..text import say
from ..trials import threads
from ..trials.load import OFFLINE
from .feeds import said
from .guard import confined, within
from .miniature_build import smallest
from .miniature_cells import cells_run
from .miniature_remedies import remedies
from .remote import Misfit, apart
from .shrink import changes
from .whole import chosen, paired
from .world import Stopped

SECONDS = 10.0
"""To make it, and as many again to run it; what is not run by then is unknown, or not tried. Imports are not counted."""

TRYING = 0.4
"""The share of the running that is left to remedies."""


def miniature_of(asked: Asked, flow: Flow | None = None, seconds: float = SECONDS) -> Miniature:
    """
    All cells and, for those that raise, the remedies; those of the judged row and column first.

    Args:
        flow: of the same model, whose class is taken first.

    Raises:
        Absent: no miniature of it runs in float32, or in time; in one line.
    """
    threads.one()
    if flow and flow.misfit:
        raise Absent(flow.misfit)
    try:
        raw = read_config(asked.model)
    except Unreadable as error:
        raise Absent(str(error)) from error
    os.environ.update(OFFLINE)
    try:
        transformers: Any = import_module("transformers")
    except ImportError as error:
        raise Absent(say("transformers is not there: {error}", error=error)) from error
    transformers.logging.set_verbosity_error()
    if not (asked.trust_remote_code and raw.get("auto_map")):
        return _made(transformers, asked, raw, flow, seconds)
    try:
        with apart() as folder, confined(folder):
            return _made(transformers, asked, raw, flow, seconds)
    except Misfit as error:
        raise Absent(str(error)) from error


def _made(transformers: Any, asked: Asked, raw: dict[str, Any], flow: Flow | None, seconds: float) -> Miniature:
    config, classes = chosen(transformers, asked, raw)
    named = flow.architecture if flow else ""
    try:
        with within(seconds):
            small = smallest(config, sorted(classes[:3], key=lambda one: one.__name__ != named), time.monotonic() + seconds / 2)
    except (Stopped, RecursionError, MemoryError) as error:
        raise Absent(say("no miniature of it could be made: {reason}", reason=str(error) or type(error).__name__)) from error
    first = paired(asked, raw, ())
    end = time.monotonic() + seconds
    small.until = end - seconds * TRYING
    cells = cells_run(small, first)
    small.until = end
    return Miniature(
        model=name_of(asked.model),
        architecture=small.cls.__name__,
        library=f"transformers {transformers.__version__}",
        changes=changes(config.to_dict(), small.config.to_dict()),
        parameters=sum(one.numel() for one in small.loaded("fp32").parameters()),
        inputs=said(small.feed),
        cells=cells,
        trials=tuple(remedies(small, cells, first)),
    )
