"""What goes into a room, and what comes out."""

from dataclasses import dataclass
from typing import Any

from ..outcome import Status
from ..probe import Probe

LOADING = 180.0
"""Seconds a room may take to import torch: a cold network disk is slow, a hanging import is for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A probe and the facts it is given."""

    probe: Probe
    given: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a room said about a job, or what became of the room instead."""

    status: Status
    reason: str = ""
    fact: Any = None
    """As plain dictionaries and lists; from this process the fact itself."""
    seconds: float = 0.0
