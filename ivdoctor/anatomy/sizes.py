"""The sizes of a configuration, each with what its family takes where it is missing."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from ..modelfiles.reading import shown
from ..tables import table
from ..text import say
from .weight import Unknown

LARGEST = 2**40
"""No size of a model is above it."""

MOST_LAYERS = 10_000
"""Of one tower: the deepest in public have about a hundred and fifty."""


class Sizes:
    """One part of a configuration. Every method raises `Unknown` for a value that is none or that nobody says."""

    __slots__ = ("config", "defaults", "model_type", "names", "parts")

    def __init__(self, config: Mapping[str, Any], model_type: str) -> None:
        self.config, self.model_type = config, model_type
        row = _rows().get(model_type)
        if row is None:
            raise Unknown(say("how {model_type} counts its weights is not known to ivdoctor", model_type=shown(model_type) or "''"))
        self.defaults, self.names, self.parts = row

    def get(self, name: str) -> Any:
        """As it is written, by another name that the family takes for it (which wins) or its own; else the family's own; None where there is none."""
        for other in (*self.names.get(name, ()), name):
            if other in self.config:
                return self.config[other]
        return self.defaults.get(name)

    def maybe(self, name: str) -> int | None:
        """A number from 0 on; None where it is not said or null."""
        value = self.get(name)
        if value is None:
            return None
        if type(value) is not int or not 0 <= value < LARGEST:
            raise Unknown(say("its configuration's {field} is no size", field=name))
        return value

    def number(self, name: str) -> int:
        """From 0 on."""
        value = self.maybe(name)
        if value is None:
            raise Unknown(say("its configuration does not say {field}", field=name))
        return value

    def size(self, name: str) -> int:
        """From 1 on."""
        value = self.number(name)
        if not value:
            raise Unknown(say("its configuration's {field} is no size", field=name))
        return value

    def layers(self, name: str = "num_hidden_layers") -> int:
        """How many there are; a few thousand at most."""
        value = self.number(name)
        if value > MOST_LAYERS:
            raise Unknown(say("its configuration says {count} layers, and the limit is {limit}", count=value, limit=MOST_LAYERS))
        return value

    def flag(self, name: str) -> bool:
        """Yes or no; what is not said is no."""
        value = self.get(name)
        if value is None or type(value) is bool:
            return bool(value)
        raise Unknown(say("its configuration's {field} is neither true nor false", field=name))

    def ratio(self, name: str) -> float:
        """A number above 0, whole or not."""
        value = self.get(name)
        if type(value) not in (int, float) or not 0 < value < LARGEST:
            raise Unknown(say("its configuration's {field} is no number", field=name))
        return float(value)

    def chance(self, name: str) -> bool:
        """Whether a probability is above 0."""
        value = self.get(name)
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise Unknown(say("its configuration's {field} is no number", field=name))
        return bool(value)

    def word(self, name: str) -> str:
        """A text; empty where it is not said."""
        value = self.get(name)
        if value is None or isinstance(value, str):
            return value or ""
        raise Unknown(say("its configuration's {field} is no text", field=name))

    def numbers(self, name: str) -> tuple[int, ...]:
        """A short list of sizes; a single one is a list too."""
        value = self.get(name)
        values = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        if len(values) > MOST_LAYERS or not all(type(one) is int and 0 <= one < LARGEST for one in values):
            raise Unknown(say("its configuration's {field} is no list of sizes", field=name))
        return tuple(values)

    def square(self, name: str) -> tuple[int, int]:
        """Height and width; one number stands for both."""
        values = self.numbers(name)
        if len(values) not in (1, 2) or not all(values):
            raise Unknown(say("its configuration's {field} is no size", field=name))
        return values[0], values[-1]

    def part(self, key: str, *, flat: bool = False, merged: bool = False) -> "Sizes":
        """
        The part of this name; where it is missing, as this family has it by itself.

        Args:
            flat: where it is missing, its fields stand beside the whole's, as older configurations have them.
            merged: what the family gives it by itself also fills the gaps of one that is there.
        """
        model_type, own, chosen = self.parts[key]
        value = self.config.get(key)
        if value is None:
            return Sizes({**own, **self.config} if flat else own, model_type)
        if not isinstance(value, Mapping):
            raise Unknown(say("its configuration's {field} is no part", field=key))
        named = value.get("model_type")
        kind = named if chosen and isinstance(named, str) and named else model_type
        return Sizes({**own, **value} if merged else value, kind)


Part = tuple[str, dict[str, Any], bool]
"""Its `model_type`, what the family gives it by itself, and whether the configuration may name another `model_type`."""

Row = tuple[dict[str, Any], dict[str, tuple[str, ...]], dict[str, Part]]


@cache
def _rows() -> "_Rows":
    return _Rows()


class _Rows:
    """The table, its rows parsed when they are asked for."""

    def __init__(self) -> None:
        self.raw = {row["model_type"]: row for row in table("config_defaults")}
        self.known: dict[str, Row] = {}

    def get(self, model_type: str) -> Row | None:
        if model_type not in self.known and (row := self.raw.get(model_type)):
            names: dict[str, tuple[str, ...]] = {}
            for word in row["names"].split():
                other, _, name = word.partition("=")
                names[name] = (*names.get(name, ()), other)
            self.known[model_type] = _values(row["defaults"]), names, _parts(row["parts"])
        return self.known.get(model_type)


def _values(words: str) -> dict[str, Any]:
    pairs = (word.partition("=") for word in words.split())
    return {name: json.loads(value) for name, _, value in pairs}


def _parts(words: str) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for word in words.split():
        name, _, value = word.partition("=")
        key, _, field = name.partition(".")
        if field:
            found[key][1][field] = json.loads(value)
        else:
            found[key] = value.rstrip("*"), {}, value.endswith("*")
    return found
