"""A model of shadows: built by its own constructor, and put into the dtypes a way of loading leaves it in."""

import contextlib
import copy
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from ..facts import Site
from .shadow import Shadow, like
from .world import SMALL, Stopped, World

MODULES = 200_000
"""More than the largest that are public: a thousand experts in each of sixty layers, three modules each."""


class Build:
    """A model of shadows; `becomes` gives it other dtypes in place."""

    def __init__(self, cls: Any, config: Any, world: World) -> None:
        """
        Call the constructor. No weight is initialised.

        Raises:
            Stopped: it makes more modules than any model has, or takes longer than the world's time.
        """
        with torch.no_grad(), world, _counted(), _uninitialised():
            self.model: nn.Module = cls(copy.deepcopy(config)).eval()
            if callable(tie := getattr(self.model, "tie_weights", None)):  # left out where nothing is initialised
                tie()
        self.slots = list(_slots(self.model))
        first: dict[int, str] = {}
        for name, _, _, tensor in self.slots:
            first.setdefault(id(tensor), name)
        self.tied = {name: first[id(tensor)] for name, _, _, tensor in self.slots}
        """Every name to the first of the same tensor."""
        self.plain = [(module, dict(module.__dict__), _containers(module)) for module in self.model.modules()]
        """What its modules hold besides: some keep a result there and give it again."""
        self.now: dict[str, torch.dtype] = {}

    @property
    def parameters(self) -> int:
        """Elements of all weights, each once."""
        return sum(one.numel() for one in self.model.parameters())

    def cast(self, dtype: torch.dtype) -> dict[str, torch.dtype]:
        """The dtypes `.to(dtype)` leaves: everything that floats."""
        return {name: dtype for name, _, _, tensor in self.slots if tensor.is_floating_point()}

    def becomes(self, dtypes: Mapping[str, torch.dtype]) -> None:
        """Every tensor in its dtype; what a name is not said of stays as the constructor made it, and what a pass left behind is gone."""
        self.now = dict(dtypes)
        for module, before, containers in self.plain:
            _restored(module, before, containers)
        made: dict[str, Tensor] = {}
        for name, holder, key, tensor in self.slots:
            if not tensor.is_floating_point():
                continue
            owner = self.tied[name]
            if owner not in made:
                made[owner] = _in_dtype(tensor, dtypes.get(owner, tensor.dtype), weight=isinstance(tensor, nn.Parameter))
                made[owner].made = Site(module=owner, dtype=str(made[owner].dtype).removeprefix("torch."))  # type: ignore[attr-defined]
            holder[key] = made[owner]

    def again(self) -> None:
        """As it was before the last pass."""
        self.becomes(self.now)


def _containers(module: nn.Module) -> dict[str, Any]:
    """Copies of its own dictionaries and lists, none of torch's."""
    return {name: value.copy() for name, value in module.__dict__.items() if type(value) in {dict, list} and not name.startswith("_")}


def _restored(module: nn.Module, before: dict[str, Any], containers: dict[str, Any]) -> None:
    """Without the tensors that were put there since."""
    for name in [name for name, value in module.__dict__.items() if isinstance(value, Tensor) and before.get(name) is not value]:
        module.__dict__.pop(name)
        module.__dict__ |= {name: before[name]} if name in before else {}
    for name, was in containers.items():
        if isinstance(was, dict):
            before[name].clear()
            before[name].update(was)
        else:
            before[name][:] = was


def _slots(model: nn.Module) -> Iterator[tuple[str, dict[str, Any], str, Tensor]]:
    """Dotted name, the dictionary that holds it, its key there, the tensor."""
    for path, module in model.named_modules(remove_duplicate=True):
        for holder in (module._parameters, module._buffers):  # noqa: SLF001  # a parameter of another dtype cannot be assigned
            for key, tensor in holder.items():
                if tensor is not None:
                    yield f"{path}.{key}" if path else key, holder, key, tensor


def _in_dtype(tensor: Tensor, dtype: torch.dtype, *, weight: bool) -> Tensor:
    """Small tables keep their numbers."""
    if not weight and not isinstance(tensor, Shadow) and tensor.numel() <= SMALL and tensor.device.type == "cpu":
        return tensor.detach().to(dtype, copy=True)
    made = like(tensor, dtype)
    if weight:
        made._is_param = True  # noqa: SLF001  # what nn.Parameter sets on a subclass
    return made


@contextlib.contextmanager
def _uninitialised() -> Iterator[None]:
    """The loader does not either; in version 4 the switch lies elsewhere."""
    with contextlib.ExitStack() as stack:
        for module in ("transformers.initialization", "transformers.modeling_utils"):
            with contextlib.suppress(ImportError, AttributeError):
                stack.enter_context(import_module(module).no_init_weights())
                break
        yield


@contextlib.contextmanager
def _counted() -> Iterator[None]:
    """Stops a constructor that makes modules without end."""
    left = MODULES

    def hook(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise Stopped(f"it makes more than {MODULES} modules")

    handle = torch.nn.modules.module.register_module_module_registration_hook(hook)
    try:
        yield
    finally:
        handle.remove()
