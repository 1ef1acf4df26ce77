"""A model's stored weights, by the headers of their files."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["weights", "packed", "scales"]
"""What tensors are to the model: weights as they are; several weights packed in one number; scales, zero points and shapes of packed ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """All tensors of one dtype and role."""

    dtype: str
    """torch's name: `bfloat16`; of GGUF its own: `Q4_K`."""
    tensors: int
    parameters: int
    """Weights: an int32 that holds eight of four bits counts eight. Of scales, their own number."""
    bytes: int
    role: Role = "weights"


def order(one: Stored) -> tuple[bool, int, str, str]:
    """Of the shares in a checkpoint."""
    return one.role == "scales", -one.parameters, one.dtype, one.role


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Read from headers alone; no weight is touched and nothing is unpickled."""

    format: Literal["safetensors", "pickle", "gguf", "other"]
    files: int
    bytes: int
    """Of all files that are there."""
    stored: tuple[Stored, ...] = ()
    """Largest share first, scales last; empty where the files do not say."""
    missing: tuple[str, ...] = ()
    """Files that the index names and that are not there."""
    torn: tuple[str, ...] = ()
    """`FILE: reason` for files that nobody could read, and for names in the index that are no files of the folder."""
    foreign: tuple[str, ...] = ()
    """Globals that pickled weights name and torch.save does not write for tensors, `os.system`: loading may call them."""

    @property
    def parameters(self) -> int:
        """Of every dtype together, without scales and zero points."""
        return sum(one.parameters for one in self.stored if one.role != "scales")

    @property
    def dtype(self) -> str:
        """Torch's name of the dtype most parameters are stored in; empty where unknown."""
        return self.stored[0].dtype if self.stored else ""
