"""A cast that can be taken back: what `model.to(dtype)` does, while the weights it came from wait."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def recast(model: nn.Module, dtype: torch.dtype, device: str, *, spared: frozenset[str] = frozenset()) -> Iterator[int]:
    """
    Every floating parameter and buffer in this dtype, all of them on this device; yields the bytes they take.

    The originals stay where they are and come back at the end: one copy more in memory, and never two.

    Args:
        spared: names of those that keep their dtype, as a loader keeps some.
    """
    held = [(tensor, tensor.data, name in spared) for name, tensor in _tensors(model)]
    try:
        size = 0
        for tensor, data, keeps in held:
            castable = data.is_floating_point() or data.is_complex()  # torch casts these too, and their imaginary part is lost
            tensor.data = data.to(device, data.dtype if keeps or not castable else dtype)
            size += tensor.numel() * tensor.element_size()
        yield size
    finally:
        for tensor, data, _ in held:
            tensor.data = data


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Each once, however many names it has."""
    seen: set[int] = set()
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield name, tensor
