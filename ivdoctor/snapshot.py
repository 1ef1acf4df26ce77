"""The snapshot: everything that was looked at on one machine, to be judged here or elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import __version__, codec
from .facts import Mismatch, Precision
from .outcome import Outcome
from .redact import Redactor
from .text import say

SCHEMA = "ivdoctor.snapshot/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The file format of `ivdoctor collect`."""

    schema: str = SCHEMA
    version: str = __version__
    """Of the ivdoctor that looked."""
    collected: str
    """The day, ISO 8601."""
    origin: str = "recorded"
    """`recorded` on a real machine, or `made by hand`, with what it was made from."""
    outcomes: tuple[Outcome, ...]

    def dump(self) -> str:
        """As JSON, for people to read too."""
        import json

        return json.dumps(codec.plain(self), indent=1, ensure_ascii=False) + "\n"


def load(text: bytes | str, facts: Mapping[str, type]) -> Snapshot:
    """
    A snapshot from its JSON; what shows itself as personal or secret is scrubbed again.

    Args:
        facts: fact types by subject; a subject that is not among them keeps its outcome and loses its fact.

    Raises:
        Malformed: not a snapshot, a torn one, or one of another version.
    """
    raw = codec.load(text)
    if not isinstance(raw, dict) or "schema" not in raw:
        raise codec.Malformed(say("this is not an ivdoctor snapshot"))
    if raw["schema"] != SCHEMA:
        raise codec.Malformed(say("its schema is {found!r}; this ivdoctor reads {known!r}", found=str(raw["schema"])[:60], known=SCHEMA))
    snapshot = codec.build(raw, Snapshot)
    redactor = Redactor()
    outcomes = tuple(redactor.outcome(_typed(one, facts)) for one in snapshot.outcomes)
    seen = [(one.subject, one.place) for one in outcomes if one.subject != "plugin"]
    if len(set(seen)) < len(seen):
        raise codec.Malformed(say("a subject stands in it twice"))
    if any(not one.place for one in outcomes if isinstance(one.fact, (Mismatch, Precision))):
        raise codec.Malformed(say("what was run on a device must say on which"))
    return Snapshot(
        version=redactor.text(snapshot.version),
        collected=redactor.text(snapshot.collected),
        origin=redactor.text(snapshot.origin),
        outcomes=outcomes,
    )


def _typed(outcome: Outcome, facts: Mapping[str, type]) -> Outcome:
    from dataclasses import replace

    if outcome.fact is None:
        if outcome.status == "ok":
            raise codec.Malformed(say("{subject}: status ok without a fact", subject=outcome.subject))
        return outcome
    if outcome.subject not in facts:
        return replace(outcome, status="absent", fact=None, reason=say("no installed probe knows this subject"))
    try:
        fact: Any = codec.build(outcome.fact, facts[outcome.subject])
    except codec.Malformed as error:
        raise codec.Malformed(f"{outcome.subject}: {error}") from error
    return replace(outcome, fact=fact)
