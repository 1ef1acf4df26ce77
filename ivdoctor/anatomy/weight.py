"""One weight, and the collecting of them along the names of modules."""

from collections.abc import Iterable
from math import prod
from typing import NamedTuple

from ..text import say

MOST_WEIGHTS = 200_000
"""Of one model: the largest in public, of a thousand billion parameters, has about two thousand with its experts counted once."""

MOST_PARAMETERS = 2**60
"""A million times the largest in public; bytes of them still are numbers that every reader takes."""


class Unknown(Exception):  # an answer
    """How many weights there are cannot be said; the text is the reason."""


class Weight(NamedTuple):
    """One tensor, or several alike."""

    name: str
    """As transformers names it; of experts the first one's."""
    shape: tuple[int, ...]
    times: int = 1
    """Of experts: how many there are."""
    linear: bool = False
    """Whether it is the weight of a linear layer, rows to columns as torch has it, which quantisers convert."""
    expert: bool = False
    """Whether it belongs to a routed expert."""
    buffer: bool = False
    """Stored with the weights, and no parameter of torch's; always float32."""

    @property
    def parameters(self) -> int:
        """Of all that are alike."""
        return prod(self.shape) * self.times


class Module:
    """A place in the tree of modules; everything below shares one list."""

    __slots__ = ("prefix", "weights")

    def __init__(self, prefix: str = "", weights: "list[Weight] | None" = None) -> None:
        self.prefix = prefix
        self.weights: list[Weight] = [] if weights is None else weights

    def at(self, name: str) -> "Module":
        """The module of this name below; empty: this one."""
        return Module(f"{self.prefix}{name}." if name else self.prefix, self.weights)

    def own(self, name: str, *shape: int, linear: bool = False, times: int = 1, expert: bool = False, buffer: bool = False) -> None:
        """
        A parameter by itself.

        Raises:
            Unknown: there are more than a model has.
        """
        if len(self.weights) >= MOST_WEIGHTS:
            raise Unknown(say("it has more than {limit} weights", limit=MOST_WEIGHTS))
        self.weights.append(Weight(self.prefix + name, shape, times, linear, expert, buffer))

    def linear(self, name: str, inner: int, outer: int, *, bias: bool = False, times: int = 1, expert: bool = False) -> None:
        """A linear layer from so many features to so many."""
        self.own(f"{name}.weight", outer, inner, linear=True, times=times, expert=expert)
        if bias:
            self.own(f"{name}.bias", outer, times=times, expert=expert)

    def norm(self, name: str, size: int, *, bias: bool = False) -> None:
        """Of any kind with a scale: RMS norms have no bias, layer norms mostly have one."""
        self.own(f"{name}.weight", size)
        if bias:
            self.own(f"{name}.bias", size)

    def conv(self, name: str, inner: int, outer: int, *kernel: int, bias: bool = True) -> None:
        """A convolution of as many dimensions as its kernel."""
        self.own(f"{name}.weight", outer, inner, *kernel)
        if bias:
            self.own(f"{name}.bias", outer)

    def embedding(self, name: str, rows: int, size: int) -> None:
        """A table of vectors."""
        self.own(f"{name}.weight", rows, size)


def total(weights: Iterable[Weight], *, buffers: bool = False) -> int:
    """Parameters; with what is stored beside them on request."""
    return sum(one.parameters for one in weights if buffers or not one.buffer)
