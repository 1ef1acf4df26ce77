"""The one place where facts become JSON and JSON becomes facts."""

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
    """The same as dictionaries, lists and scalars, without fields that hold nothing."""
    import msgspec

    return _pruned(msgspec.to_builtins(value))


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


def _pruned(value: Any) -> Any:
    """Absent optional fields are left out: the contract has no null."""
    if isinstance(value, dict):
        return {key: _pruned(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_pruned(inner) for inner in value]
    return value
