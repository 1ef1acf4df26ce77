"""A shadow: a tensor with dtype, shape and strides, and no numbers."""

from typing import Any

import torch
from torch import Tensor

PLAUSIBLE = 1
"""What a shadow says when it is asked for a number: true as a mask, a duration of one, an index that is there."""


CPU = torch.device("cpu")


class Shadow(Tensor):
    """
    Looks like a tensor on the CPU to whoever asks for its dtype, shape, strides or device.

    Operators on it are answered by the `World` that is entered; a number read from it is plausible and means nothing.
    """

    fed: tuple[str, tuple[str, ...]] | None = None
    """The argument it came in by and the dtypes it has been through, as long as nothing was computed with it."""
    made: Any = None
    """What gave it its dtype, where the world traces."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # noqa: SLF001  # the documented way out of torch functions

    @staticmethod
    def __new__(cls: Any, size: Any, stride: Any, dtype: torch.dtype) -> "Shadow":  # noqa: PYI034  # torch makes it
        """Costs a few microseconds and no memory of the tensor's size."""
        made: Shadow = Tensor._make_wrapper_subclass(cls, size, strides=stride, dtype=dtype, device=CPU)  # noqa: SLF001
        return made

    def __init__(self, *_: Any) -> None:
        """Everything was said to `__new__`."""

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Outside a world only what touches no numbers is answered."""
        if func is torch.ops.aten.detach.default:
            return like(args[0])
        if func is torch.ops.aten._has_compatible_shallow_copy_type.default:  # noqa: SLF001  # asked where `.data` is assigned
            return True
        raise RuntimeError(f"{func} met a shadow outside its world")

    def tolist(self) -> Any:
        """As deep as the shape."""
        value: Any = bool(PLAUSIBLE) if self.dtype == torch.bool else float(PLAUSIBLE) if self.is_floating_point() else PLAUSIBLE
        for size in reversed(self.shape):
            value = [value] * size
        return value

    def numpy(self, *, force: bool = False) -> Any:  # noqa: ARG002  # torch's own signature
        """As an array of ones."""
        return torch.ones(self.shape, dtype=self.dtype).numpy()  # of bfloat16 torch refuses it, here as there

    def __deepcopy__(self, memo: Any) -> "Shadow":
        """Another of the same shape."""
        memo[id(self)] = made = like(self)
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        """For tracebacks and debuggers."""
        return f"Shadow({'x'.join(map(str, self.shape))}, {str(self.dtype).removeprefix('torch.')})"


def like(tensor: Tensor, dtype: torch.dtype | None = None) -> Shadow:
    """The shadow of a tensor, in its dtype or another."""
    return Shadow(tensor.size(), tensor.stride(), dtype or tensor.dtype)
