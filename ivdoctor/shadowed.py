"""A model that was not run, for its weights are not here: whether its dtype flow and its miniature stand in for a run, or the tables do. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from .engine import Unknown
from .evidence_flow import Meant, carried, meant, outcome, replayed
from .evidence_flow import Outcome as Found
from .facts import Anatomy, Asked, Checkpoint, Flow, Miniature, Model, Native, Packages, Place, Replay
from .foretold import seen, unmeasured
from .kernels import OWN_LOADER
from .outcome import Outcome
from .text import say

SHADOWS = frozenset({"flow", "miniature", "replay"})
"""Subjects that stand in for a run of the model itself."""


def without_a_run(outcomes: Iterable[Outcome], place: Place, shared: Mapping[type, Any], reason: str) -> Iterator[str]:
    """
    Why a yes would be a guess; nothing where flow, miniature and replay carry the judged cell, or the tables have a run of the family.

    Args:
        reason: why the model itself was not run.
    """
    outcomes = tuple(outcomes)
    how = stands_in(outcomes, place, shared)
    if not how:
        why = _why(outcomes, place, shared)
        told = say("{reason}; {why}", reason=reason, why=why) if why else reason
        yield say("the model was not run on {place}: {reason}", place=place.name, reason=told)
        return
    asked, model, checkpoint, anatomy, packages = (_or_none(shared, kind) for kind in (Asked, Model, Checkpoint, Anatomy, Packages))
    wanted = meant(asked, model, checkpoint, packages)
    dtype = wanted.dtype if wanted else None
    yield from unmeasured(place, asked, dtype, model=model, checkpoint=checkpoint, anatomy=anatomy, packages=packages)


def stands_in(outcomes: Iterable[Outcome], place: Place, shared: Mapping[type, Any]) -> Literal["flow", "tables", ""]:
    """
    What shows that the model runs in the judged cell without its weights: nothing where there are weights, for then they are to be run.

    Quantised layers, another engine's and the user's own inputs are none of a flow's.
    """
    asked, model, checkpoint, packages = (_or_none(shared, kind) for kind in (Asked, Model, Checkpoint, Packages))
    wanted = meant(asked, model, checkpoint, packages) if model else None
    if wanted is None or checkpoint or model.quantization or asked.inputs or asked.engine not in OWN_LOADER:
        return ""
    flow = _or_none(shared, Flow)
    if isinstance(flow, Flow) and _carries(flow, tuple(outcomes), place, shared, wanted):
        return "flow"
    native = _or_none(shared, Native)
    if isinstance(flow, Flow) and (flow.misfit or _raised(flow, _or_none(shared, Miniature), wanted)):
        return ""  # what was seen here outranks the tables
    return "tables" if native and native.known and not model.remote_code and seen(model, wanted.dtype, asked, packages) else ""


def _carries(flow: Flow, outcomes: tuple[Outcome, ...], place: Place, shared: Mapping[type, Any], wanted: Meant) -> bool:
    miniature = _or_none(shared, Miniature)
    return carried(flow, miniature, wanted) is not None and replayed(_replay(outcomes, place), place, wanted.dtype)


def _raised(flow: Flow, miniature: Miniature | None, wanted: Meant) -> bool:
    return outcome(flow, miniature, "loaded", wanted.dtype, wanted.input).raised is not None


def _replay(outcomes: Iterable[Outcome], place: Place) -> Replay | None:
    return next((one.fact for one in outcomes if one.place == place.name and isinstance(one.fact, Replay)), None)


def _why(outcomes: tuple[Outcome, ...], place: Place, shared: Mapping[type, Any]) -> str:
    """What flow, miniature and replay lack; empty where none was looked for, or the weights are there."""
    by_subject = {one.subject: one for one in outcomes if one.place in ("", place.name)}
    asked, model, checkpoint, packages, flow = (_or_none(shared, kind) for kind in (Asked, Model, Checkpoint, Packages, Flow))
    wanted = meant(asked, model, checkpoint, packages) if model else None
    if checkpoint or "flow" not in by_subject:
        return ""
    if wanted is None:
        return say("nobody can say in which format the model would be loaded: name one with --dtype")
    if not isinstance(flow, Flow):
        return say("its dtype flow: {reason}", reason=by_subject["flow"].reason)
    miniature = _or_none(shared, Miniature)
    lacking = _lacking(flow, outcome(flow, miniature, "loaded", wanted.dtype, wanted.input), wanted)
    if not lacking and carried(flow, miniature, wanted) is None:
        lost = by_subject.get("miniature")
        told = lost.reason if lost and lost.fact is None else say("it was not run in {dtype}", dtype=wanted.dtype)
        lacking = say("its dtype flow runs, its miniature: {reason}", reason=told)
    if not lacking and not replayed(_replay(outcomes, place), place, wanted.dtype):
        lacking = say("its dtype flow and its miniature run on the CPU, and not every operator was seen to run on {place}", place=place.name)
    return lacking


def _lacking(flow: Flow, found: Found, wanted: Meant) -> str:
    """Of the flow itself; empty where it ran."""
    if flow.misfit or found.flowed is None or found.flowed.status == "unknown":
        reason = flow.misfit or (found.flowed.message if found.flowed else say("it has no such cell"))
        return say("its dtype flow is unknown: {reason}", reason=reason)
    if flow.unrun:
        return say("its dtype flow did not reach {parts}", parts=", ".join(flow.unrun[:3]))
    return say("its dtype flow raises in {dtype}", dtype=wanted.dtype) if found.flowed.status == "raised" else ""


def _or_none(shared: Mapping[type, Any], kind: type) -> Any:
    found = shared.get(kind)
    return None if isinstance(found, Unknown) else found
