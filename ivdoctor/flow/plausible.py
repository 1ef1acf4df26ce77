"""What a shadow says where the model needs numbers, and tensors without data for torch's meta kernels."""

from typing import Any

import torch
from torch import Tensor

from .shadow import PLAUSIBLE, Shadow

FALSE = frozenset({"isnan", "isinf", "isneginf", "isposinf", "lt", "le", "eq", "signbit", "logical_not", "any"})
"""Of comparisons of shadows: nothing is infinite, and a value is above its bound."""

ORDER = frozenset({"topk", "sort", "argsort", "kthvalue", "mode", "median"})
"""Their indices are those of a row that is in order already."""

AFFORD = 1 << 22
"""Elements of a tensor that may be made for real to see what an operator gives."""


def number(base: str, args: Any) -> Any:
    """What `.item()` of a shadow gives."""
    if base == "equal":
        return True
    tensor = args[0]
    if not isinstance(tensor, Shadow):
        return tensor.item()
    if tensor.dtype == torch.bool:
        return False
    return float(PLAUSIBLE) if tensor.is_floating_point() else complex(PLAUSIBLE) if tensor.is_complex() else PLAUSIBLE


def integers(base: str, size: tuple[int, ...], dtype: torch.dtype, position: int, args: Any) -> Tensor:
    """What whole numbers and masks that come of shadows are."""
    if dtype == torch.bool:
        return torch.zeros(size, dtype=dtype) if base in FALSE else torch.ones(size, dtype=dtype)
    if base in ORDER and position == 1 and size:
        dim = _dim(base, args) % len(size)
        shape = [1] * len(size)
        shape[dim] = size[dim]
        return torch.arange(size[dim], dtype=dtype).reshape(shape).expand(size).contiguous()
    if base == "nonzero" and len(size) == 2:  # noqa: PLR2004  # rows x dimensions
        return torch.ones(args[0].shape).nonzero()
    if base in {"_to_copy", "round", "ceil", "sum", "clamp", "add", "mul"}:
        return torch.ones(size, dtype=dtype)
    return torch.zeros(size, dtype=dtype)


def _dim(base: str, args: Any) -> int:
    place = {"topk": 2, "kthvalue": 2}.get(base, 1)
    found = [one for one in args[place:] if type(one) is int]
    return found[0] if found else -1


def positions(indices: Any) -> list[Any]:
    """Masks as the positions they choose; a mask without numbers chooses all."""
    found: list[Any] = []
    for one in indices:
        if isinstance(one, Tensor) and one.dtype in {torch.bool, torch.uint8}:
            real = torch.ones(one.shape, dtype=torch.bool) if isinstance(one, Shadow) else one
            found += list(real.nonzero(as_tuple=True)) if one.dim() else [one]
        elif isinstance(one, Shadow):
            found.append(torch.zeros(one.shape, dtype=torch.long) if not one.is_floating_point() else one)
        else:
            found.append(one)
    return found


def hollow(tensor: Tensor) -> Tensor:
    """A real tensor of its shape and dtype in one element's memory."""
    return torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)


def on_meta(tree: Any, control: torch.dtype | None) -> Any:
    """The same on the meta device; its floating tensors in the control's dtype."""
    if isinstance(tree, Tensor):
        dtype = control if control is not None and tree.is_floating_point() else tree.dtype
        return torch.empty_strided(tree.shape, tree.stride(), dtype=dtype, device="meta")
    if isinstance(tree, (list, tuple)):
        return type(tree)(on_meta(one, control) for one in tree)
    return tree


def named_on_meta(kwargs: dict[str, Any], control: torch.dtype | None) -> dict[str, Any]:
    """Keyword arguments, their device the meta device."""
    return {name: torch.device("meta") if name == "device" else on_meta(one, control) for name, one in kwargs.items()} | _device(kwargs)


def _device(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"device": torch.device("meta")} if "device" in kwargs else {}


def really(func: Any, args: Any, kwargs: Any) -> Any:
    """
    Run on ones of the real sizes, for operators whose shapes hang on numbers and those without a meta kernel.

    Raises:
        MemoryError: they are too large for that.
    """

    def ones(tree: Any) -> Any:
        if isinstance(tree, Shadow):
            if tree.numel() > AFFORD:
                raise MemoryError(f"{tree.numel()} elements")
            return torch.ones(tree.shape, dtype=tree.dtype)
        if isinstance(tree, (list, tuple)):
            return type(tree)(ones(one) for one in tree)
        if isinstance(tree, Tensor):
            return tree.clone()
        return tree

    return func(*ones(args), **{name: ones(one) for name, one in kwargs.items()})
