"""
Entry points of the ivdoctor groups, found without importlib.metadata: that import is a seventh of a whole judgement's time.

Where the quick way might miss something (a zipped path entry, a distribution that only an import hook knows, ivdoctor's own
not found) the standard library is asked instead.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

GROUP = "ivdoctor."


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """`name = module:attribute` in a group."""

    group: str
    name: str
    value: str

    def load(self) -> Any:
        """What it names."""
        module, _, attribute = self.value.partition(":")
        found: Any = import_module(module.strip())
        for part in filter(None, attribute.strip().split(".")):
            found = getattr(found, part)
        return found


def points() -> tuple[Point, ...]:
    """Each value once: a distribution can stand twice on the path."""
    quick = None if any(os.path.isfile(entry) for entry in sys.path) else list(_scan())
    if not quick or not any(point.value.startswith(GROUP) for point in quick):
        quick = list(_standard())
    return tuple({(point.group, point.value): point for point in quick}.values())


def parse(text: str) -> Iterator[Point]:
    """The ivdoctor groups of an `entry_points.txt`."""
    group = ""
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif group.startswith(GROUP) and "=" in line:
            name, _, value = line.partition("=")
            yield Point(group=group, name=name.strip(), value=value.partition("[")[0].strip())


def _scan() -> Iterator[Point]:
    for entry in sys.path:
        try:
            folders = sorted(name for name in os.listdir(entry or ".") if name.endswith((".dist-info", ".egg-info")))
        except OSError:
            continue
        for folder in folders:
            try:
                with open(os.path.join(entry, folder, "entry_points.txt"), "rb") as file:
                    text = file.read()
            except OSError:
                continue
            if GROUP.encode() in text:
                yield from parse(text.decode("utf-8", errors="replace"))


def _standard() -> Iterator[Point]:
    from importlib.metadata import entry_points

    everything: Any = entry_points()  # two types in the stubs of one Python version
    for group in everything.groups:
        if group.startswith(GROUP):
            for point in everything.select(group=group):
                yield Point(group=group, name=point.name, value=point.value)
