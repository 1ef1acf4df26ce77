"""What gave a tensor its dtype, and which operators a model calls with which dtypes: written down while it runs."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..facts import Pair, Site
from .contract import tensors
from .operators import operator
from .replay import written
from .where import here, names_of

LAYER = re.compile(r"(?<![^.])\d+(?![^.])")
"""The number of a layer in a dotted name."""

MODULES = 4
"""Callers of a pair that are named."""

ATTENTION = "aten.scaled_dot_product_attention"
COUNTED = frozenset({"compute", "write", "gather", "put"})


class Trace:
    """Given to a world as its watch."""

    def __init__(self, model: nn.Module) -> None:
        self.names = names_of(model)
        self.pairs: dict[tuple[str, tuple[str, ...]], list[Any]] = {}
        self.error: Exception | None = None
        self.operands: tuple[tuple[str, Site | None], ...] = ()
        """Of the operator that raised: dtype, and what made it."""
        self.op = ""
        self.inside = 0
        """How deep in an attention function, whose parts nobody calls by themselves."""

    def __call__(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        """After every operator."""
        given = [one for one in tensors((args, kwargs)) if one.is_floating_point()]
        if isinstance(result, Exception):
            if self.error is not result:
                self.error, self.op = result, operator(func).name
                if given and not self.inside:
                    self.count(self.op, func, args, kwargs)
                self.operands = tuple((kind(one), getattr(one, "made", None)) for one in tensors((args, kwargs)))
            return
        op = operator(func)
        if given and op.kind in COUNTED and not self.inside:
            self.count(op.name, func, args, kwargs)
        for one in tensors(result):
            if one.is_floating_point() and getattr(one, "made", None) is None:
                one.made = self.source(one, given)  # type: ignore[attr-defined]

    def source(self, result: Tensor, given: list[Tensor]) -> Site:
        """Handed on from an operand of the same dtype; a new one where the dtype is new, or one operand forced it on others."""
        name = kind(result)
        alike = next((one for one in given if one.dtype == result.dtype and getattr(one, "made", None) is not None), None)
        if alike is None:
            return replace(here(self.names, 3), dtype=name)
        made: Site = alike.made  # type: ignore[attr-defined]
        if made.file or all(one.dtype == result.dtype for one in given):
            return made
        return replace(here(self.names, 3), module=made.module, dtype=name)

    def count(self, op: str, func: Any, args: Any, kwargs: Any) -> None:
        """One call."""
        key = (op, tuple(kind(one) for one in tensors((args, kwargs))))
        entry = self.pairs.get(key)
        if entry is None:
            entry = self.pairs[key] = [0, {}, written(func, args, kwargs)]
        entry[0] += 1
        if len(entry[1]) < MODULES:
            entry[1][LAYER.sub("*", here(self.names, 3).module)] = None

    def inventory(self) -> tuple[Pair, ...]:
        """Every operator with the dtypes it met, in the order in which they were met."""
        return tuple(
            Pair(op=op, dtypes=dtypes, count=times, modules=tuple(name for name in modules if name), example=example)
            for (op, dtypes), (times, modules, example) in self.pairs.items()
        )

    @contextlib.contextmanager
    def attention(self) -> Iterator[None]:
        """Counts attention as the one operator it is: what it is made of differs from device to device."""
        functional: Any = torch.nn.functional
        before = functional.scaled_dot_product_attention

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count(ATTENTION, before, args, kwargs)
            self.inside += 1
            try:
                return before(*args, **kwargs)
            finally:
                self.inside -= 1

        functional.scaled_dot_product_attention = counted
        try:
            yield
        finally:
            functional.scaled_dot_product_attention = before


def kind(tensor: Tensor) -> str:
    """Torch's name of its dtype."""
    return str(tensor.dtype).removeprefix("torch.")
