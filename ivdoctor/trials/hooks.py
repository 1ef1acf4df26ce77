"""What every module gives: once for the baseline, kept; once after the cast, compared as it comes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..facts import Drift
from .compare import distance, floating

if TYPE_CHECKING:
    from typing_extensions import Self  # Python 3.11; only the type checker needs it

KEPT = 1 << 30
"""Bytes of baseline outputs that are kept; beyond that only those of the repeated layers, up to twice as much."""

WHOLE = "(whole model)"
"""The name of the model itself among its modules."""

MODULES = 600
"""Told of one run: a hundred layers of six modules."""

TOP = 1
"""Dots in the name of a part near the top."""

LOUDER = 1.1
"""An input that is louder by less is the sum of an output and its residual: the module that gave it is the one to name."""

FILL = 1e30
"""Beyond this a value is a mask's filling, not an activation."""


@dataclass(slots=True)
class Watch:
    """Hooks on every module while the context lasts; `seconds` is what they themselves took."""

    model: nn.Module
    seconds: float = 0.0
    _handles: list[Any] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    """The number of each module's last call."""

    def __enter__(self) -> "Self":
        for name, module in self.model.named_modules():
            self._handles.append(module.register_forward_hook(self._hook(name or WHOLE)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _hook(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: Any, output: Any) -> None:
            began = time.perf_counter()
            call = self.calls[name] = self.calls.get(name, -1) + 1
            self.took(name, given)
            tensor = floating(output)
            if tensor is not None:
                self.saw(name, call, type(module).__name__, tensor)
            self.seconds += time.perf_counter() - began

        return hook

    def took(self, name: str, given: Any) -> None:
        """One module's positional inputs."""

    def saw(self, name: str, call: int, kind: str, output: Tensor) -> None:
        """One module's output, in the order they are done."""
        raise NotImplementedError


@dataclass(slots=True)
class Baseline(Watch):
    """Keeps every output in fp32 on the CPU, and the largest activation."""

    outputs: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    sound: set[tuple[str, int]] = field(default_factory=set)
    """Outputs that are all finite, kept or not."""
    largest: float = 0.0
    loudest: str = ""
    first_nonfinite: str = ""
    blocks: frozenset[str] = frozenset()
    _bytes: int = 0
    _last: Tensor | None = None

    def __post_init__(self) -> None:
        self.blocks = repeated(self.model)

    def _heard(self, name: str, tensor: Tensor, above: float = 1.0) -> bool:
        """Whether all of it is finite; the loudest is remembered."""
        loud, finite = _loudest(tensor)
        if loud > self.largest * above:
            self.largest, self.loudest = loud, name
        return finite

    def took(self, name: str, given: Any) -> None:
        """A gated product is no module's output, and the next one's input: there float16 ends first in many models."""
        tensor = floating(given)
        if tensor is not None and tensor is not self._last:
            self._heard(name, tensor, above=LOUDER)

    def saw(self, name: str, call: int, kind: str, output: Tensor) -> None:  # noqa: ARG002  # the other watch needs the kind
        """Keep it, within bounds."""
        self._last = output
        if self._heard(name, output):
            self.sound.add((name, call))
        elif not self.first_nonfinite and bool((output.isnan() | output.isposinf()).any()):  # -Inf is a mask's filling
            self.first_nonfinite = name
        size = output.numel() * 4
        if self._bytes + size <= KEPT * (2 if name in self.blocks else 1):
            self._bytes += size
            self.outputs[name, call] = output.detach().to("cpu", torch.float32, copy=True)


@dataclass(slots=True, kw_only=True)
class Comparison(Watch):
    """Compares each output with the baseline's; of a module called more than once, the worst counts."""

    baseline: Baseline
    drifts: dict[str, Drift] = field(default_factory=dict)
    first_nonfinite: str = ""

    def saw(self, name: str, call: int, kind: str, output: Tensor) -> None:
        """Compare it."""
        other = self.baseline.outputs.get((name, call))
        if other is None or other.shape != output.shape:  # not kept, or the model went another way
            if not self.first_nonfinite and (name, call) in self.baseline.sound and not bool(torch.isfinite(output).all()):
                self.first_nonfinite = name
            return
        apart = distance(output, other)
        if apart < 0 and not self.first_nonfinite:
            self.first_nonfinite = name
        before = self.drifts.get(name)
        if before is None or (before.relative_l2 >= 0 and (apart < 0 or apart > before.relative_l2)):
            self.drifts[name] = Drift(module=name, kind=kind, relative_l2=float(f"{apart:.6g}"), block=name in self.baseline.blocks)


def repeated(model: nn.Module) -> frozenset[str]:
    """Names of the model's repeated layers, the outermost where they are nested."""
    found: set[str] = set()
    for name, module in model.named_modules():
        if not isinstance(module, (nn.ModuleList, nn.Sequential)) or any(f"{name}.".startswith(f"{one}.") for one in found):
            continue
        kinds = [type(child) for child in module.children()]
        alike = {f"{name}.{part}".lstrip(".") for part, child in module.named_children() if kinds.count(type(child)) > 1 and any(child.children())}
        found |= alike
    return frozenset(found)


def lost_at(drifts: dict[str, Drift]) -> str:
    """
    The repeated layer that adds most to the error, by how far its distance rises above that of the one before it.

    A model without repeated layers: the plain module of which that is true.
    """
    every = [one for one in drifts.values() if one.module != WHOLE]
    blocks = [one.module for one in every if one.block]
    row = blocks or [one.module for one in every if not any(two.module.startswith(f"{one.module}.") for two in every)]
    before, most, where = 0.0, 0.0, ""
    for one in every:
        if one.module in row:
            if one.relative_l2 - before > most:
                most, where = one.relative_l2 - before, one.module
            before = one.relative_l2
        elif not any(one.module.startswith(f"{block}.") or block.startswith(f"{one.module}.") for block in blocks):
            before = one.relative_l2  # an embedding or a projector before the row begins
    return where


def unrun(model: nn.Module, calls: dict[str, int]) -> tuple[str, ...]:
    """
    Parts near the top that own a hundredth of the parameters or more, and were never called.

    A part that ran is looked into once: `model` holds the towers of many architectures.
    """
    whole = sum(one.numel() for one in model.parameters())
    modules = dict(model.named_modules())
    used = {id(weight) for name in calls if name in modules for weight in modules[name].parameters(recurse=False)}  # a tied weight has two owners
    found: list[str] = []
    for name, part in model.named_children():
        inner = {f"{name}.{other}": one for other, one in part.named_children() if not isinstance(part, (nn.ModuleList, nn.Sequential))}
        ran = name in calls or any(one in calls for one in inner)
        for other, one in (inner if ran else {name: part}).items():
            reached = any(called == other or called.startswith(f"{other}.") for called in calls)
            if not reached and sum(weight.numel() for weight in one.parameters() if id(weight) not in used) * 100 >= whole:
                found.append(other)
    return tuple(found)


def _loudest(output: Tensor) -> tuple[float, bool]:
    """The largest finite magnitude, 0 for an empty output; and whether there is no other."""
    if not output.numel():
        return 0.0, True
    size = output.detach().abs()
    loud = float(size.max())
    if loud < FILL:
        return loud, True
    rest = size[size < FILL]
    return (float(rest.max()) if rest.numel() else 0.0), bool(torch.isfinite(size).all())


def bounded(drifts: dict[str, Drift]) -> tuple[Drift, ...]:
    """In their order, at most MODULES: the repeated layers and the parts near the top first, then the worst, so that a snapshot stays small."""
    every = list(drifts.values())
    if len(every) > MODULES:
        worst = {
            one.module: rank
            for rank, one in enumerate(sorted(every, key=lambda one: one.relative_l2 if one.relative_l2 >= 0 else float("inf"), reverse=True))
        }
        ranked = sorted(every, key=lambda one: (not one.block, one.module.count(".") > TOP, worst[one.module]))
        kept = {one.module for one in ranked[:MODULES]}
        every = [one for one in every if one.module in kept]
    return tuple(every)
