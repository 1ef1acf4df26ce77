"""
How many weights a model has, of which shapes, by its configuration alone: arithmetic, without torch.

The shapes are those of the classes of transformers 5.23; the suite builds every family there without data and compares.
"""

from collections.abc import Mapping
from typing import Any

from .families import weights
from .packing import laid_out, stored
from .weight import Unknown, Weight, total

__all__ = ["Unknown", "Weight", "laid_out", "stored", "total", "weights", "weights_of"]


def weights_of(config: Mapping[str, Any]) -> tuple[Weight, ...] | None:
    """Every weight, each once however many modules share it; None where the architecture is not known (`weights` says why)."""
    try:
        return weights(config)
    except Unknown:
        return None
