"""What a configuration says of a size, whatever it calls it and in whichever of its parts it says it."""

from collections.abc import Iterator
from typing import Any


def parts(config: Any) -> Iterator[Any]:
    """The configuration and those inside it, outermost first."""
    yield config
    for value in vars(config).values():
        if hasattr(value, "model_type") and hasattr(value, "to_dict"):
            yield from parts(value)


def first_of(config: Any, *names: str) -> Any:
    """The first of these names that any part gives a value."""
    for name in names:
        for part in parts(config):
            value = getattr(part, name, None)
            if value is not None and value is not False:
                return value
    return None


def number(value: Any, default: int) -> int:
    """Of a size that may be a pair or a table."""
    if isinstance(value, dict):
        value = value.get("height") or value.get("shortest_edge")
    if isinstance(value, (list, tuple)):
        value = value[0] if value else None
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default


def size(config: Any, default: int, *names: str) -> int:
    """The number that the first of these names gives."""
    return number(first_of(config, *names), default)
