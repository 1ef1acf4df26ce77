"""What is publicly known of single models and of how they are served, from the tables. Pure."""

import re
from dataclasses import dataclass

from .facts import Model, Place
from .tables import table


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One published model, where its files do not say it all. Empty and 0: not known."""

    parameters: int
    bytes: int
    stored: str
    """torch's name of the dtype on disk."""
    loads: str
    """torch's name of the dtype that its own code loads everything in."""
    backends: tuple[str, ...]
    """The only ones its own code runs on, where it names one."""
    pins: tuple[str, ...]
    """Requirements of its own repository: `torch==2.3.1`."""
    unknown: str
    note: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Hardware on which a model is documented to be served by an engine."""

    engine: str
    count: int
    """Devices it takes at least."""
    packages: tuple[str, ...]
    arguments: str
    note: str
    source: str


def system_of(model: Model) -> System | None:
    """By the type and the name; None for the many models whose files say it all."""
    return system_named(model.model_type, model.name)


def system_named(model_type: str, name: str) -> System | None:
    """The same, before there is a fact of it."""
    for row in table("systems"):
        if row["model_type"] in ("", model_type) and re.fullmatch(row["name"], name, re.IGNORECASE):
            return System(
                parameters=int(row["parameters"] or 0),
                bytes=int(row["bytes"] or 0),
                stored=row["stored"],
                loads=row["loads"],
                backends=_several(row["backends"]),
                pins=_several(row["pins"]),
                unknown=row["unknown"],
                note=row["note"],
                source=f"{row['source']} ({row['date']})",
            )
    return None


def recipe_of(model: Model, engine: str, place: Place) -> Recipe | None:
    """The recipe that takes in this place: its devices and their count, or its memory and compute capability."""
    format = model.quantised.format if model.quantised else ""
    for row in table("recipes"):
        if (row["model_type"], row["format"], row["engine"]) == (model.model_type, format, engine) and _takes_in(row, place):
            return Recipe(
                engine=engine,
                count=int(row["count"]),
                packages=_several(row["packages"]),
                arguments=row["arguments"],
                note=row["note"],
                source=f"{row['source']} ({row['date']})",
            )
    return None


def recipes_of(model: Model) -> tuple[dict[str, str], ...]:
    """Every row for this type and format, whatever the hardware."""
    format = model.quantised.format if model.quantised else ""
    return tuple(row for row in table("recipes") if (row["model_type"], row["format"]) == (model.model_type, format))


def _takes_in(row: dict[str, str], place: Place) -> bool:
    """A recipe that names devices is about these alone; one that names memory and capability about all that have both."""
    if place.count < int(row["count"]):
        return False
    if row["device"]:
        return re.search(rf"\b(?:{row['device']})\b", place.title) is not None
    capability = tuple(map(int, row["capability"].split(".")))
    enough = place.memory_mib * place.count >= int(row["memory_gib"]) * 1024
    return enough and place.compute_capability is not None and place.compute_capability >= capability


def _several(cell: str) -> tuple[str, ...]:
    return tuple(filter(None, cell.split(";")))
