"""The one place where facts become JSON and JSON becomes facts."""

import dataclasses
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")


class Malformed(ValueError):
    """JSON that is not what it claims to be; the text says where."""


def dump(value: object) -> bytes:
    """Compact JSON."""
    import msgspec

    return msgspec.json.encode(value)


def plain(value: object) -> Any:
    """The same as dictionaries, lists and scalars, without fields that hold nothing: the contract has no null."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if inner is not None}
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        import msgspec

        return msgspec.to_builtins(value)  # a plugin's fact may hold a date
    held = ((name, getattr(value, name)) for name in _names(type(value)))
    return {name: plain(inner) for name, inner in held if inner is not None}


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def load(text: bytes | str) -> Any:
    """
    JSON as dictionaries, lists and scalars.

    Raises:
        Malformed: it is not JSON.
    """
    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from error


def build(value: object, kind: type[T]) -> T:
    """
    A fact from what `plain` or `load` gave.

    Raises:
        Malformed: a field is missing, of another type, or nested too deep.
    """
    import msgspec

    try:
        return msgspec.convert(value, kind, strict=True)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Malformed(str(error)) from error


def find(reference: str) -> Any:
    """The object at `package.module:name`."""
    module, _, name = reference.partition(":")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def reference(kind: type) -> str:
    """The opposite of `find`, for a class."""
    return f"{kind.__module__}:{kind.__qualname__}"
