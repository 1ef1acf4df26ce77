"""The weights that a configuration describes, counted without any file of them."""

from dataclasses import dataclass
from typing import Literal

from .checkpoint import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """What a checkpoint of this configuration holds, each weight once however many modules share it."""

    how: Literal["arithmetic", "meta", "published"]
    """From the sizes in the configuration; from the architecture built without data; from what its makers say."""
    stored: tuple[Stored, ...]
    """As its files would hold them, quantised where the configuration says so; largest share first."""
    source: str = ""
    """Of a published figure."""

    @property
    def parameters(self) -> int:
        """Weights, without scales and zero points."""
        return sum(one.parameters for one in self.stored if one.role != "scales")
