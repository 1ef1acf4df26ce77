"""A version number as its publisher wrote it."""

from typing import NewType

Version = NewType("Version", str)
"""Typed, because the redactor must let `9.1.0.70` (a cuDNN) pass and stop `9.1.0.70` (an address)."""


def release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, for comparisons: `2.13.0+cpu` is (2, 13, 0)."""
    numbers: list[int] = []
    for part in version.split("+", 1)[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
