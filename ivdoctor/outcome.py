"""What came of looking: absence is data, with a reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["ok", "absent", "failed", "timeout", "crashed"]

BROKEN: frozenset[Status] = frozenset({"failed", "timeout", "crashed"})
"""Someone looked, and the looking went wrong; `absent` is an answer, these are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One subject, looked at once, at one place or for the whole machine."""

    subject: str
    """The fact's name in lower case: `gpu`, `mismatch`."""
    status: Status
    place: str = ""
    """Empty for the machine's own subjects."""
    reason: str = ""
    """Why there is no fact; beside a fact, what was odd about getting it."""
    fact: Any = None
    seconds: float = 0.0
    """Wall time; kept in snapshots only, so that reports of one snapshot are equal to the byte."""
    builtin: bool = True
    """False for a plugin's probe: what breaks there is not ivdoctor's failure."""


def known(outcomes: Iterable[Outcome], place: str = "") -> Mapping[type, Any]:
    """Facts by type: the machine's, and those of one place."""
    return {type(one.fact): one.fact for one in outcomes if one.fact is not None and one.place in ("", place)}


def subject_of(fact: type) -> str:
    """The subject's name of a fact type."""
    return fact.__name__.lower()
