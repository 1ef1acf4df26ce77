"""What keeps a yes from being certain: looking that went wrong, a device out of reach, a model nobody ran, a format no table knows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from .builds import BUILT_FOR, carried
from .engine import Unknown
from .evidence import judged as meant
from .facts import HALVES, Anatomy, Asked, Cast, Checkpoint, Mismatch, Model, Native, Packages, Place, Precision, Torch
from .foretold import undecided
from .kernels import engine_rows, quantised_as
from .outcome import BROKEN, Outcome
from .shadowed import SHADOWS, without_a_run
from .text import say


def gaps_in(outcomes: Iterable[Outcome], shared: Mapping[type, Any], found: Iterable[Place]) -> list[str]:
    """One sentence each; for a target only what the tables leave open."""
    outcomes, found = tuple(outcomes), tuple(found)
    beside = any(place.kind != "cpu" and place.reachable for place in found)
    meant_for = [place for place in found if place.reachable and not (beside and place.kind == "cpu")]
    gaps = [
        say(
            "{subject} {status}: {reason}", subject=f"{one.subject} ({one.place})" if one.place else one.subject, status=one.status, reason=one.reason
        )
        for one in outcomes
        if one.status in BROKEN and not needless(one, outcomes, shared, meant_for)
    ]
    gaps += [gap for place in found if place.kind == "target" for gap in untold(place, shared)]
    if found and all(place.kind == "target" for place in found):
        return gaps
    gaps += [say("{title} was not looked at: torch cannot reach it", title=place.title) for place in found if not place.reachable]
    torch = shared.get(Torch)
    if isinstance(torch, Torch):
        gaps += [say("nothing was run on {place}", place=place.name) for place in found if place.reachable and not ran(outcomes, place)]
    gaps += [gap for place in meant_for for gap in (*unrun(outcomes, place, shared), *unlisted(place, shared))]
    if not isinstance(torch, Torch) and not any(gap.startswith("torch ") for gap in gaps):
        reason = torch.reason if isinstance(torch, Unknown) else say("it was not looked at")
        gaps.insert(0, say("torch absent: {reason}", reason=reason))
    return gaps


def needless(one: Outcome, outcomes: Iterable[Outcome], shared: Mapping[type, Any], places: Iterable[Place]) -> bool:
    """Whether what went wrong was to stand in for a run of the model, and is not missed: the model was run wherever it is judged, or the tables know it."""
    if one.subject not in SHADOWS:
        return False
    outcomes, places = tuple(outcomes), tuple(places)
    return bool(places) and not any(gap for place in places for gap in unrun(outcomes, place, shared))


def untold(place: Place, shared: Mapping[type, Any]) -> Iterator[str]:
    """What the tables leave open of a target, each once; of a model where no engine is named transformers is asked about."""
    asked, model = _or_none(shared, Asked), _or_none(shared, Model)
    supposed = {**shared, Asked: replace(asked, engine="transformers")} if model and not asked.engine else shared
    yield from dict.fromkeys((*_untold(place, shared), *unlisted(place, supposed), *_unbuilt(place, asked)))


def _untold(place: Place, shared: Mapping[type, Any]) -> Iterator[str]:
    asked, model, checkpoint, packages = (_or_none(shared, kind) for kind in (Asked, Model, Checkpoint, Packages))
    dtype = meant(asked, model, checkpoint, packages)
    if model or asked.model:
        anatomy, native = (_or_none(shared, kind) for kind in (Anatomy, Native))
        yield from undecided(place, asked, dtype, model=model, checkpoint=checkpoint, anatomy=anatomy, packages=packages, native=native)
    if place.backend in ("cuda", "rocm") and not asked.torch and not carried(place):
        yield say("no published build of torch is known to have code for {title}", title=place.title)
    if not place.backend:
        yield say("{title} is driven by a plug-in of torch's, of which the tables know nothing", title=place.title)
    for one in dict.fromkeys(filter(None, (dtype, asked.input_dtype))):
        if place.dtypes.of(one) == "unknown":
            yield say("whether {title} computes {dtype} natively is not known: {note}", title=place.title, dtype=one, note=place.dtypes.note)


def _unbuilt(place: Place, asked: Asked) -> Iterator[str]:
    if asked.torch and place.backend not in BUILT_FOR and not (place.backend == "mps" and "+" not in asked.torch):
        yield say("whether torch {version} is built for {title} is not known", version=asked.torch, title=place.title)


def unlisted(place: Place, shared: Mapping[type, Any]) -> Iterator[str]:
    """What the tables do not know of the engine that was named there, be the place here or not."""
    asked, model, checkpoint, packages = (_or_none(shared, kind) for kind in (Asked, Model, Checkpoint, Packages))
    if not asked.engine:
        return
    dtype, rows = meant(asked, model, checkpoint, packages), engine_rows(asked.engine, place)
    formats = {one.format for one in rows}
    if model and model.quantization and rows and quantised_as(model.quantization, checkpoint, model.quantised) not in formats:
        yield say("what {engine} does with {method} on {title} is not known", engine=asked.engine, method=model.quantization, title=place.title)
    if dtype and rows and dtype not in formats:
        yield say("whether {engine} takes {dtype} on {title} is not known", engine=asked.engine, dtype=dtype, title=place.title)
    elif not formats.intersection(HALVES) and all(one.outcome == "refused" for one in rows):
        yield say("what {engine} takes on {title} is not known", engine=asked.engine, title=place.title)


def unrun(outcomes: Iterable[Outcome], place: Place, shared: Mapping[type, Any]) -> Iterator[str]:
    """A model that was named must have been run, and in the format that is judged."""
    asked, model, checkpoint, packages = (_or_none(shared, kind) for kind in (Asked, Model, Checkpoint, Packages))
    if not model and not asked.model:
        return
    outcome = next((one for one in outcomes if one.subject == "cast" and one.place == place.name), None)
    if outcome is None or (outcome.fact is None and outcome.status not in BROKEN):
        yield from without_a_run(outcomes, place, shared, outcome.reason if outcome else say("no probe did"))
    if outcome is None or not isinstance(outcome.fact, Cast):
        return
    if outcome.fact.how != "real-run":
        yield say("the model was not run on {place}: {reason}", place=place.name, reason=say("the miniature was"))
        return
    cast = outcome.fact
    if cast.unrun:
        yield say("{parts} of the model was not reached by its inputs on {place}", parts=", ".join(cast.unrun[:3]), place=place.name)
    dtype = meant(asked, model, checkpoint, packages)
    if dtype is None:
        yield say("nobody can say in which format the model would be loaded: name one with --dtype")
        return
    run = cast.run(dtype)
    given = asked.input_dtype
    if cast.floats and given and given != dtype and (dtype, given) not in {(one.model, one.input) for one in cast.fed}:
        yield say("the model in {dtype} was not run with inputs in {given} on {place}", dtype=dtype, given=given, place=place.name)
    if run is not None and run.status == "skipped":
        yield say("the model was not run in {dtype} on {place}: {reason}", dtype=dtype, place=place.name, reason=run.message)
    elif run is None and dtype != cast.baseline:
        yield say("the model was not run in {dtype} on {place}: {reason}", dtype=dtype, place=place.name, reason=cast.baseline_reason)


def _or_none(shared: Mapping[type, Any], kind: type) -> Any:
    found = shared.get(kind)
    return None if isinstance(found, Unknown) else found


def ran(outcomes: Iterable[Outcome], place: Place) -> bool:
    """Whether anything was really run there; a probe that came back with nothing ran nothing."""
    facts = [one.fact for one in outcomes if one.place == place.name and one.fact is not None]
    return any(not isinstance(fact, Precision) or fact.operations for fact in facts if not (isinstance(fact, Mismatch) and not fact.cells))
