"""Saying: one module a format; each takes the one Report and gives text."""

from collections.abc import Callable
from dataclasses import dataclass

from ..report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A registered format."""

    name: str
    suffix: str
    """Of a file in this format, with its dot."""
    render: Callable[[Report], str]
    """Pure: the same report gives the same text."""
