"""The flow of the model that was asked about, from its configuration to the fact."""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch

from ..facts import SHORT_NAME, Asked, Flow, Flowed, Half, release
from ..modelfiles import Unreadable, name_of, read_config
from ..modelfiles.parts import dtype_of, parts_of, quantization_of
from ..probe import Absent
from ..text import say
from ..trials.load import OFFLINE, told_of
from .cells import Flowing, cells_of, flowing, inventory, unfit
from .classes import classes_of
from .guard import confined, opened, within
from .reach import NoFeed
from .remote import Misfit, apart, is_remote, repository
from .world import Stopped, World

SECONDS = 150.0
"""For everything: building, finding inputs, all cells."""

OLDEST = (2, 4)
"""Of torch: the switches of autocast take a device, and a dispatch mode sees every operator."""

MOST_LAYERS = 10_000
"""Of one part; modules are made one by one even without data."""


REPEATED = ("layer", "depth", "blocks")
"""In the names of what is made so many times."""


def whole(asked: Asked) -> Flow:
    """See `flow_of`."""
    raw = _config(asked.model)
    os.environ.update(OFFLINE)
    if release(torch.__version__) < OLDEST:
        raise Absent(say("the flow needs torch {needed} or newer, and this is {version}", needed="2.4", version=torch.__version__))
    try:
        transformers: Any = import_module("transformers")
    except ImportError as error:
        raise Absent(say("transformers is not there: {error}", error=error)) from error
    transformers.logging.set_verbosity_error()
    if not (asked.trust_remote_code and raw.get("auto_map")):
        return _whole(transformers, asked, raw)
    try:
        with apart() as folder, confined(folder):
            return _whole(transformers, asked, raw)
    except Misfit as error:
        names = [one for one in raw.get("architectures") or () if isinstance(one, str)]
        library = f"transformers {transformers.__version__}"
        return Flow(model=name_of(asked.model), architecture=names[0] if names else "", library=library, inputs="", misfit=str(error))


def _whole(transformers: Any, asked: Asked, raw: dict[str, Any]) -> Flow:
    library = f"transformers {transformers.__version__}"
    config, classes = chosen(transformers, asked, raw)
    world = World(seconds=SECONDS)
    with opened() as reads:
        made = bounded(lambda: _first(classes, config, world, library), SECONDS, library)
        cells = bounded(lambda: cells_of(made), SECONDS, library)
        short, given = paired(asked, raw, cells)
        pairs = bounded(lambda: inventory(made, "loaded", short, given), SECONDS, library)
    return Flow(
        model=name_of(asked.model),
        architecture=type(made.build.model).__name__,
        library=library,
        inputs=made.said,
        steps=("forward", "decode") if made.decodes else ("forward",),
        floats=bool(made.floats),
        parameters=made.build.parameters,
        cells=cells,
        held=made.held,
        unrun=made.unrun,
        pairs=pairs,
        paired=Flowed(way="loaded", model=short, input=given, status="ran").case,
        unproven=tuple(world.unproven),
        reads=tuple(reads),
    )


def _config(path: str) -> dict[str, Any]:
    try:
        raw = read_config(path)
    except Unreadable as error:
        raise Absent(str(error)) from error
    if any(map(quantization_of, parts_of(raw))):
        raise Absent(say("a quantised model is not followed: its layers are others than those of its configuration"))
    for part in parts_of(raw):
        for key, value in part.items():
            if type(value) is int and value > MOST_LAYERS and any(word in key for word in REPEATED):
                raise Absent(say("more than {count} layers: it is not built", count=MOST_LAYERS))
    return raw


def chosen(transformers: Any, asked: Asked, raw: dict[str, Any]) -> tuple[Any, list[Any]]:
    """
    The configuration and the classes it may be of, the likeliest first.

    Raises:
        Absent: the installed transformers has none.
    """
    if asked.trust_remote_code and raw.get("auto_map"):
        return repository(transformers, asked, raw)
    try:
        config: Any = transformers.AutoConfig.from_pretrained(asked.model, trust_remote_code=False, local_files_only=True)
    except Exception as error:
        told = told_of(error, asked.model)
        raise Absent(say("transformers {version} cannot build it: {error}", version=transformers.__version__, error=told)) from error
    classes: list[Any] = classes_of(config.model_type, tuple(one for one in raw.get("architectures") or () if isinstance(one, str)))
    if not classes:
        raise Absent(say("transformers {version} has no model of type {kind} here", version=transformers.__version__, kind=config.model_type))
    return config, classes


def _first(classes: list[Any], config: Any, world: World, library: str) -> Flowing:
    """The class of the checkpoint; another of the family only where that takes none of our inputs."""
    reason = ""
    for cls in classes[:3]:
        try:
            return flowing(cls, config, world)
        except Exception as error:  # the next one
            if is_remote(cls) and not isinstance(error, NoFeed):
                raise Misfit(unfit(error)) from error
            reason = reason or f"{cls.__name__}: {unfit(error)}"
    raise Absent(say("{library} does not carry it through even in fp32: {reason}", library=library, reason=reason))


def bounded(call: Callable[[], Any], seconds: float, library: str) -> Any:
    """
    What it gives, in time.

    Raises:
        Absent: it was stopped, or ran into Python's own bounds.
    """
    try:
        with within(seconds):
            return call()
    except Stopped as error:
        raise Absent(say("the flow was given up: {reason}", reason=error)) from error
    except (RecursionError, MemoryError) as error:
        raise Absent(say("{library} cannot build it: {reason}", library=library, reason=type(error).__name__)) from error


def judged(asked: Asked, raw: dict[str, Any]) -> tuple[Half, Half]:
    """The cell that was asked about: the configuration's own dtype where none was named, and what processors emit."""
    own = dtype_of(raw) or next(filter(None, map(dtype_of, parts_of(raw))), "float32")
    return (SHORT_NAME.get(own, "fp32") if asked.dtype == "auto" else asked.dtype), asked.input_dtype or "fp32"


def paired(asked: Asked, raw: dict[str, Any], cells: tuple[Flowed, ...]) -> tuple[Half, Half]:
    """
    The cell whose operators are listed: the one that is judged.

    Where nobody named the inputs' dtype and processors' float32 raises, it is the one with the inputs cast, which is what will be run.
    """
    short, given = judged(asked, raw)
    raised = any((one.way, one.model, one.input, one.status) == ("loaded", short, given, "raised") for one in cells)
    return (short, short) if raised and asked.input_dtype is None else (short, given)
