"""The 3x3 of model and input dtype in both ways of loading, on shadows."""

import os
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ..facts import HALVES, TORCH_NAME, Flowed, Half, Held, InputCast, Pair, Site
from ..facts.flow import Way
from ..text import say
from ..trials.failure import first_line, operator_of, pathless
from .build import Build
from .contract import tensors
from .feeds import Feed, decode_step, said
from .loading import held, loaded_empty, tensors_of
from .reach import NoFeed, reaching
from .shadow import Shadow, like
from .trace import Trace, kind
from .where import here, located
from .world import Stopped, World

FORMATS: dict[Half, torch.dtype] = {short: getattr(torch, TORCH_NAME[short]) for short in HALVES}
WAYS: tuple[Way, ...] = ("loaded", "cast")
Operands = tuple[tuple[str, Site | None], ...]
MESSAGE = 300
"""Characters of a message that are kept."""


@dataclass(slots=True)
class Flowing:
    """A model of shadows, what it is fed, and what came of it."""

    build: Build
    world: World
    config: Any
    feed: Feed
    decodes: bool
    dtypes: dict[tuple[Way, Half], dict[str, torch.dtype]]
    """What each way of loading leaves the tensors in; one that could not be found out is not there."""
    lost: dict[tuple[Way, Half], str] = field(default_factory=dict)
    """Why not."""
    held: tuple[Held, ...] = ()
    """What the loader keeps in float32."""
    unrun: tuple[str, ...] = ()
    """Parts that the inputs did not reach."""

    @property
    def floats(self) -> tuple[str, ...]:
        """The arguments that float."""
        return tuple(name for name, one in self.feed.items() if any(part.is_floating_point() for part in tensors(one)))

    @property
    def said(self) -> str:
        """What goes in, in words."""
        return said(self.feed)


def flowing(cls: Any, config: Any, world: World, feed: Feed | None = None) -> Flowing:
    """
    Build it, find what it takes, and how it is loaded.

    Raises:
        NoFeed: it takes none of the inputs that were tried.
        Stopped: it was given up.
        Exception: its constructor's own.
    """
    build = Build(cls, config, world)
    build.becomes(build.cast(torch.float32))
    with torch.no_grad(), world:
        feed, unrun = reaching(build.model, build.model.config, lambda one: build.model(**fed(one, torch.float32)), feed)
    made = Flowing(build=build, world=world, config=build.model.config, feed=feed, decodes=True, dtypes={}, unrun=unrun)
    made.decodes = _decodes(made)
    _loaded(made, cls, config)
    return made


def _loaded(made: Flowing, cls: Any, config: Any) -> None:
    """What each way of loading leaves its tensors in; where that cannot be found out, the way is unknown."""
    models = {}
    for short, dtype in FORMATS.items():
        made.dtypes["cast", short] = made.build.cast(dtype)
        try:
            models[short] = loaded_empty(cls, config, dtype)
        except Exception as error:  # noqa: BLE001  # the other way is not unknown for that
            made.lost["loaded", short] = pathless(first_line(error))[:MESSAGE]
            continue
        made.dtypes["loaded", short] = {name: one.dtype for name, one in tensors_of(models[short])}
    made.held = held(models)


def _decodes(made: Flowing) -> bool:
    """Whether a step with the cache runs in fp32: where it does not, the step is ours and wrong."""
    with torch.no_grad(), made.world:
        output = made.build.model(**fed(made.feed, torch.float32))
        try:
            more = decode_step(made.build.model, made.config, made.feed, output)
            if more is None:
                return False
            made.build.model(**more)
        except Exception:  # noqa: BLE001  # see above
            return False
    return True


def cells_of(made: Flowing) -> tuple[Flowed, ...]:
    """All eighteen; those that cannot differ are run once."""
    found: list[Flowed] = []
    run: dict[Any, Flowed] = {}
    for way in WAYS:
        for short in HALVES:
            if (way, short) not in made.dtypes:
                reason = made.lost.get((way, short), "")
                found += [Flowed(way=way, model=short, input=one, status="unknown", message=reason) for one in HALVES]
                continue
            dtypes = made.dtypes[way, short]
            same = tuple(sorted((name, str(dtype)) for name, dtype in dtypes.items() if dtype.is_floating_point))
            made.build.becomes(dtypes)
            for given in HALVES:
                key = (same, given if made.floats else "")
                if key not in run:
                    run[key] = _cell(made, way, short, given)
                found.append(replace(run[key], way=way, model=short, input=given))
    return tuple(_of_dtypes(found))


def _of_dtypes(cells: list[Flowed]) -> Iterator[Flowed]:
    """What raises in fp32 throughout is none of dtypes: then a cell that raises the same is unknown."""
    same = {(one.error, one.message) for one in cells if (one.model, one.input, one.status) == ("fp32", "fp32", "raised")}
    for one in cells:
        if one.status == "raised" and (one.error, one.message) in same:
            yield replace(one, status="unknown", message=f"{one.error}: {one.message}")
        else:
            yield one


def _cell(made: Flowing, way: Way, short: Half, given: Half) -> Flowed:
    result = attempt(made, given)
    cell = Flowed(way=way, model=short, input=given, status="ran", casts=result.casts)
    if result.stopped:
        return replace(cell, status="unknown", message=result.stopped)
    if result.error is None:
        return cell
    trace = Trace(made.build.model)
    again = attempt(made, given, trace)
    error = again.error or result.error
    operands = trace.operands if trace.error is error else innermost_operands(error)
    site = located(error, made.build.model)
    return replace(
        cell,
        status="raised",
        step=result.step,
        error=type(error).__name__,
        message=pathless(first_line(error))[:MESSAGE],
        operands=tuple(dtype for dtype, _ in operands),
        location=replace(site, op=(trace.op if trace.error is error else "") or operator_of("", error)),
        origin=_odd(operands, TORCH_NAME[short]),
    )


def innermost_operands(error: BaseException) -> Operands:
    """Of what was raised before any operator was reached, by a check of torch's own: the tensors of the innermost call of torch."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not frames or f"{os.sep}torch{os.sep}" not in frames[-1].f_code.co_filename:
        return ()
    return tuple((kind(one), getattr(one, "made", None)) for one in frames[-1].f_locals.values() if isinstance(one, Tensor))


def _odd(operands: Operands, nominal: str) -> Site | None:
    """What made the first operand that is not in the model's dtype."""
    floats = [(dtype, made) for dtype, made in operands if "float" in dtype]
    return next((made for dtype, made in floats if dtype != nominal and made is not None), None)


@dataclass(slots=True)
class _Result:
    error: Exception | None = None
    step: Any = "forward"
    stopped: str = ""
    casts: tuple[InputCast, ...] = ()


def attempt(made: Flowing, given: Half, trace: Trace | None = None) -> _Result:
    """One forward pass and one step with the cache."""
    result, casts = _Result(), Casts()
    made.build.again()
    model, world = made.build.model, made.world
    feed = fed(made.feed, FORMATS[given])
    world.watch, world.casts = trace, casts
    try:
        with torch.no_grad(), world:
            output = model(**feed)
            if made.decodes:
                more = decode_step(model, made.config, feed, output)
                result.step = "decode"
                if more is not None:
                    model(**more)
    except Stopped as stopped:
        result.stopped = str(stopped)
    except Exception as error:  # noqa: BLE001  # whatever it raises is the result
        result.error = error
    finally:
        world.watch = world.casts = None
    result.casts = casts.found()
    return result


def inventory(made: Flowing, way: Way, short: Half, given: Half) -> tuple[Pair, ...]:
    """Every operator of this cell with the dtypes it meets, up to where it raises."""
    if (way, short) not in made.dtypes:
        return ()
    made.build.becomes(made.dtypes[way, short])
    trace = Trace(made.build.model)
    with trace.attention():
        attempt(made, given, trace)
    return trace.inventory()


class Casts:
    """The lines in which the model casts what it was fed."""

    def __init__(self) -> None:
        self.sites: dict[tuple[str, tuple[str, ...]], Site] = {}

    def __call__(self, fed: tuple[str, tuple[str, ...]]) -> None:
        """One was cast; the last dtype is what came of it."""
        if fed not in self.sites:
            self.sites[fed] = here({}, 4)

    def found(self) -> tuple[InputCast, ...]:
        """Each once, the longest way of each input."""
        ways = [
            key for key in self.sites if not any(other != key and other[0] == key[0] and other[1][: len(key[1])] == key[1] for other in self.sites)
        ]
        return tuple(InputCast(input=name, through=through, location=self.sites[name, through]) for name, through in ways)


def fed(feed: Mapping[str, Any], dtype: torch.dtype) -> Feed:
    """What floats as shadows in this dtype, in lists too; the rest as it is, and fresh where a model may write into it."""
    return {name: _shadowed(name, value, dtype) for name, value in feed.items()}


def _shadowed(name: str, value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor) and value.is_floating_point():
        made, word = like(value, dtype), str(dtype).removeprefix("torch.")
        made.fed, made.made = (name, (word,)), Site(module=name, dtype=word)
        return made
    if isinstance(value, Tensor):
        return value if isinstance(value, Shadow) else value.clone()
    if type(value) in {list, tuple}:
        return type(value)(_shadowed(name, one, dtype) for one in value)
    return {key: _shadowed(name, one, dtype) for key, one in value.items()} if type(value) is dict else value


def unfit(error: BaseException) -> str:
    """Why a flow could not be begun, in one line."""
    if isinstance(error, NoFeed):
        likeliest = str(error.args[0]) if error.args else ""
        return say("no inputs were found that it takes: {reason}", reason=pathless(likeliest)[:MESSAGE])
    return f"{type(error).__name__}: {pathless(first_line(error))[:MESSAGE]}"
