"""Tells whether a model will run in this environment at this precision, and what to change if not."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["Asked", "Choice", "Report", "Snapshot", "__version__", "check", "choose_dtype", "collect", "pick_dtype"]

if TYPE_CHECKING:
    from .checkup import check, collect
    from .facts import Asked
    from .live import Choice, choose_dtype, pick_dtype
    from .report import Report
    from .snapshot import Snapshot

_HOME = {
    "Asked": "facts",
    "Choice": "live",
    "Report": "report",
    "Snapshot": "snapshot",
    "check": "checkup",
    "choose_dtype": "live",
    "collect": "checkup",
    "pick_dtype": "live",
}


def __getattr__(name: str) -> Any:
    """Import the Python API on first use: `ivdoctor --help` must not pay for it."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    """What is offered, imported or not."""
    return [*globals(), *__all__]
