"""
What a model's files say by themselves: the configuration, and the headers of the weights.

The standard library alone; no weight is read, nothing is unpickled, and bad input ends in `Unreadable`, soon and without much memory.
"""

from .checkpoint import folder_of, read_checkpoint, tensors
from .config import described, name_of, read_config
from .header import Tensor
from .reading import Nothing, Torn, Unreadable
from .single import is_single, read_single

__all__ = [
    "Nothing",
    "Tensor",
    "Torn",
    "Unreadable",
    "described",
    "folder_of",
    "is_single",
    "name_of",
    "read_checkpoint",
    "read_config",
    "read_single",
    "tensors",
]
