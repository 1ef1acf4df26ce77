"""What judging says: a problem as its rule sees it, and a finding as everybody else does."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from .facts import Site, Trial


class Severity(str, Enum):
    """How much it matters; `--fail-on` draws the line."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Severity).index(self)


Confidence = Literal["certain", "likely", "possible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What is known of a fix: a trial that ran, or why none did."""

    status: Literal["passed", "failed", "not-tried"]
    how: Literal["real-run", "miniature", "shadow", "table"] | None = None
    where: str = ""
    before: str = ""
    after: str = ""
    reason: str = ""
    """Why it was not tried."""
    metrics: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, trial: Trial) -> "Tried":
        """The trial, as a finding shows it."""
        return cls(
            status=trial.status,
            how=trial.how,
            where=trial.where,
            before=trial.before,
            after=trial.after,
            metrics=trial.metrics,
        )


ACTIONS = (
    "cast-input",
    "cast-model",
    "cast-module",
    "load-dtype",
    "fp16",
    "bf16",
    "fp32",
    "autocast",
    "attention",
    "version",
    "kernel",
    "device",
    "other",
)
"""Kinds of change, as the fixes of public reports fall into them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A way out. The first of a finding's fixes is the one to take."""

    title: str
    kind: Literal["code", "command", "setting", "hardware"] = "code"
    action: str = ""
    """What kind of change it is, a slug of ACTIONS; empty where nobody has said."""
    code: str = ""
    diff: str = ""
    command: str = ""
    safe: bool = False
    """True only where applying it blindly cannot change results or break something else."""
    trial: Tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a rule yields: only what it alone knows."""

    message: str
    evidence: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()
    avoid: tuple[str, ...] = ()
    """What looks like a way out and is none."""
    look_next: tuple[str, ...] = ()
    """What would decide, where the facts cannot."""
    severity: Severity | None = None
    """Only where the facts make it graver or lighter than the rule says."""
    confidence: Confidence | None = None
    """Only where the facts make it surer or less sure than the rule says."""
    category: str = ""
    """The failure's slug, where it differs from the rule's."""
    location: Site | None = None
    origin: Site | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem with its rule's name on it."""

    code: str
    name: str
    title: str
    severity: Severity
    confidence: Confidence
    message: str
    category: str = ""
    place: str = ""
    """Empty for the machine itself."""
    evidence: tuple[str, ...] = ()
    location: Site | None = None
    origin: Site | None = None
    fixes: tuple[Fix, ...] = ()
    avoid: tuple[str, ...] = ()
    look_next: tuple[str, ...] = ()
