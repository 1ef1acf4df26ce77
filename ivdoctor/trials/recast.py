"""A cast that can be taken back: what `model.to(dtype)` does, while the weights it came from wait."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def recast(model: nn.Module, dtype: torch.dtype | None, device: str) -> Iterator[int]:
    """
    Every floating parameter and buffer in this dtype, all of them on this device; yields the bytes they take.

    The originals stay where they are and come back at the end: one copy more in memory, and never two.

    Args:
        dtype: None to move them only, each in the dtype it was loaded in.
    """
    held = [(tensor, tensor.data) for tensor in (*model.parameters(), *model.buffers())]
    try:
        size = 0
        for tensor, data in held:
            castable = data.is_floating_point() or data.is_complex()  # torch casts these too, and their imaginary part is lost
            tensor.data = data.to(device, dtype if dtype is not None and castable else data.dtype)
            size += tensor.numel() * tensor.element_size()
        yield size
    finally:
        for tensor, data in held:
            tensor.data = data
