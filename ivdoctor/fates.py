"""What becomes of quantised weights with transformers: by the method, and on a place by the engines' table; and what the method wants installed. Pure."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from .facts import Checkpoint, Model, Packages, Place, release
from .kernels import engine_row, quantised_as
from .tables import table
from .text import say

REQUIREMENT = re.compile(r"([a-z0-9-]+)(?:>=([0-9.]+))?(?:,<([0-9.]+))?")

Outcome = Literal["native", "weight-only", "dequantised", "emulated", "refused", "unread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What transformers makes of the weights on a place."""

    outcome: Outcome
    """As in `engines.csv`; `unread`: it does not know the method, and loads what is stored as if it were weights."""
    note: str
    message: str
    source: str
    shared: bool = False
    """Whether `engines.csv` says it, and so the rule about the engine that was asked for."""

    @property
    def lines(self) -> tuple[str, ...]:
        """For the evidence."""
        return tuple(filter(None, (self.message, self.note, self.source)))


def row_of(model: Model) -> dict[str, str] | None:
    """The method's row; None where the tables do not know it."""
    return next((row for row in table("quantisations") if row["method"] == model.quantization), None)


def told(row: dict[str, str], column: str = "source") -> str:
    """Where a row is from: what transformers does, or what vLLM does (`vllm_source`)."""
    return f"{row[column]} ({row['date']})"


def format_of(model: Model, checkpoint: Checkpoint | None) -> str:
    """The engines' word for the weights; empty where nothing tells."""
    return quantised_as(model.quantization, checkpoint, model.quantised)


def fate(model: Model, checkpoint: Checkpoint | None, place: Place, packages: Packages | None) -> Fate | None:
    """What transformers 5.23 does with the weights there; None where nobody knows."""
    row = row_of(model)
    if row is None or row["knows"] == "no":
        return _unread(model, row)
    if row["devices"] and not place.backend:
        return None
    if row["devices"] and _outside(row, place):
        return _by(row, row["otherwise"], place, row["message"])
    if row["outcome"]:
        return _by(row, row["outcome"], place, "")
    engine = engine_row("transformers", format_of(model, checkpoint), place)
    if engine is None:
        return None
    found = Fate(outcome=engine.outcome, note=engine.note, message=engine.message, source=engine.source, shared=True)
    return _unserved(found, row, place, packages)


def _unread(model: Model, row: dict[str, str] | None) -> Fate:
    if row is None:
        note = say("the quantisation is skipped: the stored numbers are taken as weights and their scales are left out")
        source = "transformers 5.23.0, quantizers/auto.py supports_quant_method (2026-11-23)"
        return Fate(outcome="unread", note=note, message=f"Unknown quantization type, got {model.quantization}", source=source)
    outcome: Outcome = "refused" if model.quantization == "unknown" else "unread"
    return Fate(outcome=outcome, note=row["note"], message=row["message"], source=told(row))


def _outside(row: dict[str, str], place: Place) -> bool:
    """Whether the method wants another device: of NVIDIA's capabilities it names the least."""
    least = release(row["capability"])
    return place.backend not in row["devices"].split(";") or bool(least and place.backend == "cuda" and (place.compute_capability or ()) < least)


def _by(row: dict[str, str], outcome: str, place: Place, message: str) -> Fate:
    major, minor = place.compute_capability or (0, 0)
    return Fate(
        outcome=outcome,  # type: ignore[arg-type]  # the suite checks the words
        note=row["note"],
        message=message.replace("{capability}", f"{major}.{minor}"),
        source=told(row),
    )


def _unserved(found: Fate, row: dict[str, str], place: Place, packages: Packages | None) -> Fate:
    """Packed weights whose kernels are not installed are expanded; of a target nobody knows what is installed."""
    lacking = lacks(row["wants"], packages) if packages and place.kind != "target" else ()
    if found.outcome != "weight-only" or not lacking:
        return found
    return replace(found, outcome="dequantised", shared=False, note=say("its kernels want {names}, and without them", names=", ".join(lacking)))


def lacks(needed: str, packages: Packages) -> tuple[str, ...]:
    """Those of `name>=1.2,<2;...` that are not installed, or in no version that will do."""
    return tuple(one for one in filter(None, needed.split(";")) if not _met(one, packages))


def _met(requirement: str, packages: Packages) -> bool:
    found = REQUIREMENT.fullmatch(requirement)
    installed = packages.version(found[1]) if found else None
    if not found or installed is None:
        return False
    version = release(installed)
    return version >= release(found[2] or "0") and not (found[3] and version >= release(found[3]))
