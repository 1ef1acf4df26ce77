"""Tells whether a model will run in this environment at this precision, and what to change if not."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["Asked", "Report", "Snapshot", "__version__", "check", "collect"]

if TYPE_CHECKING:
    from .checkup import check, collect
    from .facts import Asked
    from .report import Report
    from .snapshot import Snapshot

_HOME = {
    "Asked": "facts",
    "Report": "report",
    "Snapshot": "snapshot",
    "check": "checkup",
    "collect": "checkup",
}


def __getattr__(name: str) -> Any:
    """Import the Python API on first use: `ivdoctor --help` must not pay for it."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOME[name]}", __name__), name)
