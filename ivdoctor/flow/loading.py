"""What a loader leaves a model's tensors in, found without weights: `from_pretrained(dtype=X)` keeps some in float32."""

import copy
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..facts import Half, Held, release
from ..probe import Absent
from ..text import say
from ..trials.failure import first_line

LARGE = 1 << 16
"""Elements of a tensor that is a weight rather than a table a constructor reads."""

NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)|^\d+(?=\.)")
"""Of a layer, in a dotted name."""


def dtypes_loaded(cls: Any, config: Any, dtype: torch.dtype) -> dict[str, torch.dtype]:
    """
    Of every parameter and buffer, those that are not saved too, under each of its names.

    Raises:
        Absent: it could not be found, in one line.
    """
    return {name: one.dtype for name, one in tensors_of(loaded_empty(cls, config, dtype))}


def tensors_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers, under each of their names."""
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def loaded_empty(cls: Any, config: Any, dtype: torch.dtype) -> nn.Module:
    """
    The model as `cls.from_pretrained(FOLDER, dtype=dtype)` leaves it, without data: its large tensors are on the meta device.

    What the files store does not matter, nor do they: the loader casts all it reads to the dtype, to float32 what the class keeps in it,
    and to the constructor's own what that made in another.

    Raises:
        Absent: it could not be built or loaded, in one line.
    """
    transformers: Any = import_module("transformers")
    way = _placed if release(transformers.__version__) >= (5,) else _copied
    try:
        model, told = way(cls, config, dtype)
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise Absent(say("{name} cannot be loaded without its weights: {reason}", name=cls.__name__, reason=reason)) from error
    lost = sorted(map(str, (*told.get("missing_keys", ()), *told.get("mismatched_keys", ()))))
    if lost:  # their dtypes would be the constructor's, not the loader's
        raise Absent(say("{name} cannot be loaded without its weights: the loader does not find {key} again", name=cls.__name__, key=lost[0]))
    found: nn.Module = model.eval()
    return found


def loaded_with(cls: Any, config: Any, weights: Mapping[str, Tensor], dtype: torch.dtype) -> nn.Module:
    """As `cls.from_pretrained(FOLDER, dtype=dtype)` leaves it, on the CPU, of a folder that holds these weights."""
    argument = "dtype" if release(import_module("transformers").__version__) >= (4, 56) else "torch_dtype"
    with _quiet():
        found: nn.Module = cls.from_pretrained(None, config=config, state_dict=dict(weights), **{argument: dtype})
    return found.eval()


def held(models: Mapping[Half, nn.Module]) -> tuple[Held, ...]:
    """
    Those kept in float32, alike in all layers together.

    Args:
        models: as `loaded_empty` gave them, by the format they were loaded in; those loaded in fp32 hold nothing back.
    """
    formats: dict[str, list[Half]] = defaultdict(list)
    kept: dict[str, tuple[bool, int]] = {}
    for short in (one for one in models if one != "fp32"):
        parameters = dict(models[short].named_parameters())
        for name, tensor in (*parameters.items(), *models[short].named_buffers()):
            if tensor.dtype == torch.float32:
                formats[name].append(short)
                kept[name] = name in parameters, tensor.numel()
    alike: dict[tuple[str, bool, tuple[Half, ...]], list[int]] = defaultdict(list)
    for name, (weight, elements) in kept.items():
        alike[NUMBER.sub("*", name), weight, tuple(formats[name])].append(elements)
    return tuple(
        Held(name=name, what="parameter" if weight else "buffer", formats=shorts, tensors=len(sizes), elements=sum(sizes))
        for (name, weight, shorts), sizes in alike.items()
    )


def _placed(cls: Any, config: Any, dtype: torch.dtype) -> tuple[Any, dict[str, Any]]:
    """Version 5 builds on the meta device and puts each tensor where the device map says."""
    with torch.device("meta"):
        weights = cls(copy.deepcopy(config)).state_dict()
    with _accelerate("transformers.integrations.accelerate", there=True), _quiet():
        model, told = cls.from_pretrained(None, config=config, state_dict=dict(weights), device_map="meta", dtype=dtype, output_loading_info=True)
    return model, told


def _copied(cls: Any, config: Any, dtype: torch.dtype) -> tuple[Any, dict[str, Any]]:
    """Version 4 builds on the CPU and copies: like onto like, so that what has no data is given none."""
    argument = "dtype" if release(import_module("transformers").__version__) >= (4, 56) else "torch_dtype"
    with _accelerate("transformers.modeling_utils", there=False), _quiet(), _Empty():
        weights = cls(copy.deepcopy(config)).state_dict()
        model, told = cls.from_pretrained(None, config=config, state_dict=dict(weights), **{argument: dtype}, output_loading_info=True)
    return model, told


class _Empty(TorchFunctionMode):
    """Large tensors are made without data; small ones a constructor may read are real."""

    MAKERS = frozenset({torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.normal})

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in self.MAKERS and _elements(args, kwargs) > LARGE:
            kwargs = kwargs | {"device": "meta"}
        return function(*args, **kwargs)


def _elements(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    sizes = kwargs.get("size", args)
    flat = [one for size in sizes for one in (size if isinstance(size, (list, tuple)) else [size])] if isinstance(sizes, (list, tuple)) else []
    return math.prod(one for one in flat if isinstance(one, int))


@contextmanager
def _accelerate(module: str, *, there: bool) -> Iterator[None]:
    """A device map of one device needs nothing of accelerate and asks for it; where it is not asked for, an older loader goes another way."""
    asking: Any = import_module(module)
    before = asking.is_accelerate_available
    asking.is_accelerate_available = lambda *_, **__: there
    try:
        yield
    finally:
        asking.is_accelerate_available = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Neither a bar nor a report: of a load without weights they would tell a user lies."""
    logging: Any = import_module("transformers").logging
    before, bar = logging.get_verbosity(), getattr(logging, "is_progress_bar_enabled", lambda: False)()
    logging.set_verbosity(logging.CRITICAL)
    if bar:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bar:
            logging.enable_progress_bar()
