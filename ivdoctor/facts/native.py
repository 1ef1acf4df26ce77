"""What the installed transformers knows of the model's architecture."""

from dataclasses import dataclass

from .version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """Read from its source files; nothing of it is imported."""

    version: Version
    model_type: str
    known: bool
    """Whether it has a configuration for this `model_type`."""
    nearest: tuple[str, ...] = ()
    """Of an unknown one: those it has whose names are most alike."""
