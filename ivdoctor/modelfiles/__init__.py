"""
What a model's files say by themselves: the configuration, and the headers of the weights.

The standard library alone; no weight is read, nothing is unpickled, and bad input ends in `Unreadable`, soon and without much memory.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .config import described, folder_of, name_of, read_config
from .reading import Nothing, Torn, Unreadable

if TYPE_CHECKING:
    from .checkpoint import read_checkpoint, tensors
    from .header import Tensor
    from .single import read_single

__all__ = [
    "Nothing",
    "Tensor",
    "Torn",
    "Unreadable",
    "described",
    "folder_of",
    "name_of",
    "read_checkpoint",
    "read_config",
    "read_single",
    "tensors",
]

LATER = {
    "Tensor": "header",
    "read_checkpoint": "checkpoint",
    "read_single": "single",
    "tensors": "checkpoint",
}
"""What a configuration by itself does not need, and its modules: they are a third of the time of judging one."""


def __getattr__(name: str) -> Any:
    """Of the module, on first use (PEP 562)."""
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{LATER[name]}", __name__), name)
