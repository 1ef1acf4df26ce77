"""The pipeline: look, judge place by place, report. The command line and the Python API both call it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from . import __version__, codec
from .engine import Unknown, Verdict, judge
from .evidence import judged as meant
from .facts import Asked, Cast, Checkpoint, Failure, Mismatch, Model, Packages, Place, Precision, Torch
from .finding import Finding, Severity
from .gate import Answer, FailOn, answer, exit_code
from .loader import loaders
from .outcome import BROKEN, Outcome, known, subject_of
from .places import places
from .plugins import Plugins, plugins
from .redact import Identity, Redactor
from .report import Broken, Line, Passed, PlaceVerdict, Report, Rules, Skipped, Subject, Tool
from .rule import Rule
from .snapshot import Snapshot
from .tables import newest
from .text import count, say
from .views import charts, grids, summary
from .views_cast import survival


def collect(asked: Asked | None = None, *, told: Callable[[str], None] = lambda _place: None) -> Snapshot:
    """
    Look at this machine, and at the model that is asked about; nothing personal or secret stays in what comes back.

    Raises:
        Unreadable: there is no such model, or its configuration is none.
    """
    from datetime import datetime, timezone

    from .collection import collect as look

    if asked and asked.model:
        from .modelfiles import read_config

        read_config(asked.model)
    registered = plugins()
    redactor = Redactor(Identity.here())
    outcomes = [*look(registered.probes, asked, told=told), *registered.broken("probes")]
    return Snapshot(collected=datetime.now(tz=timezone.utc).date().isoformat(), outcomes=tuple(map(redactor.outcome, outcomes)))


def check(
    asked: Asked | None = None,
    *,
    snapshot: Snapshot | None = None,
    fail_on: FailOn = FailOn.ERROR,
    told: Callable[[str], None] = lambda _place: None,
) -> Report:
    """
    Whether this machine, or the one in the snapshot, is ready.

    Args:
        asked: the precision in question; without one, none in particular.
        told: called with each place's name before it is looked at.
    """
    origin = say("{origin}, {day}", origin=snapshot.origin, day=snapshot.collected) if snapshot else ""
    snapshot = snapshot or collect(asked, told=told)
    registered = plugins()
    broken = registered.broken("rules")
    outcomes = [*snapshot.outcomes, *map(Redactor(Identity.here()).outcome, broken)] if broken else snapshot.outcomes
    return judged(outcomes, asked or Asked(), registered=registered, fail_on=fail_on, origin=origin)


def judged(outcomes: Iterable[Outcome], asked: Asked, *, registered: Plugins, fail_on: FailOn = FailOn.ERROR, origin: str = "") -> Report:
    """
    Outcomes in, report out: pure but for the tables.

    Args:
        origin: of a snapshot, to be shown: one made by hand must never pass for a machine that was looked at.
    """
    outcomes = tuple(sorted(outcomes, key=lambda one: (one.subject, one.place, one.reason)))
    unnamed = {} if asked.model else dict.fromkeys((Model, Checkpoint), Unknown(reason=say("no model was named")))
    shared: dict[type, Any] = {Asked: asked, **unnamed, **_unknown(outcomes, registered), **known(outcomes)}
    found = places(shared)
    local = {Place} | {type(one.fact) for one in outcomes if one.place and one.fact is not None}
    local |= {kind for kind in registered.facts().values() if any(one.place and one.subject == subject_of(kind) for one in outcomes)}
    rules = [rule for rule in registered.rules if not rule.asks_for(Failure)]  # a text's failures are `explain`'s
    everywhere = [rule for rule in rules if not _is_local(rule, local)]
    verdicts = [*judge(everywhere, shared)]
    for place in found:
        here = shared | _unknown(outcomes, registered, place.name) | dict(known(outcomes, place.name)) | {Place: place}
        verdicts += judge([rule for rule in rules if _is_local(rule, local)], here, place=place.name)
    return _report(outcomes, verdicts, found, shared, fail_on=fail_on, origin=origin)


def _is_local(rule: Rule, local: set[type]) -> bool:
    return any(need in local for _, need in rule.needs)


def _unknown(outcomes: Iterable[Outcome], registered: Plugins, place: str = "") -> dict[type, Unknown]:
    """A reason for every fact that was looked for and not found."""
    kinds = registered.facts()
    return {
        kinds[one.subject]: Unknown(reason=one.reason or one.status)
        for one in outcomes
        if one.fact is None and one.place == place and one.subject in kinds
    }


def _report(
    outcomes: tuple[Outcome, ...],
    verdicts: list[Verdict],
    found: tuple[Place, ...],
    shared: Mapping[type, Any],
    *,
    fail_on: FailOn,
    origin: str,
) -> Report:
    redactor = Redactor(Identity.here() if any(one.error for one in verdicts) else None)
    judged_there = [finding for verdict in verdicts for finding in verdict.findings]
    findings = sorted(_weighed(judged_there, found), key=lambda one: (one.severity.rank, one.code, one.place, one.message))
    errors = tuple(
        Broken(code=one.rule.code, error=redactor.text(one.error), place=one.place, builtin=one.rule.builtin) for one in verdicts if one.error
    )
    gaps = _gaps(outcomes, shared, found) + [say("{code} broke: {error}", code=one.code, error=one.error) for one in errors]
    verdict = answer(findings, fail_on=fail_on, gaps=bool(gaps))
    broken = any(one.builtin for one in errors) or any(one.subject == "plugin" and one.builtin for one in outcomes)
    return Report(
        tool=Tool(version=__version__, tables=newest()),
        command="check",
        verdict=verdict,
        exit_code=exit_code(verdict, broken=broken),
        reason=_reason(verdict, findings, gaps, fail_on, outcomes, shared[Asked].limits.relative_l2),
        fail_on=fail_on.value,
        places=tuple(_place_verdict(place, judged_there, outcomes, shared, fail_on) for place in found),
        summary=(*([Line(label="snapshot", text=origin)] if origin else []), *summary(outcomes)),
        subjects=subjects(outcomes),
        findings=tuple(findings),
        grids=tuple(grids(outcomes, found, ran=not origin or origin.startswith("recorded"))),
        charts=tuple(charts(outcomes, found, shared[Asked].limits)),
        loaders=loaders(outcomes, found, shared, shared[Asked]),
        rules=Rules(
            passed=sum(1 for one in verdicts if not (one.findings or one.skipped or one.error)),
            failed=sum(1 for one in verdicts if one.findings),
            skipped=tuple(Skipped(code=one.rule.code, reason=one.skipped, place=one.place) for one in verdicts if one.skipped),
            errors=errors,
            silent=tuple(
                Passed(code=one.rule.code, title=one.rule.title, place=one.place)
                for one in verdicts
                if not (one.findings or one.skipped or one.error)
            ),
        ),
    )


def _weighed(findings: list[Finding], found: tuple[Place, ...]) -> list[Finding]:
    """
    Beside an accelerator that torch reaches, what is found at the CPU is a note: the model is not meant to run there.

    The CPU's own verdict, in the list of places, keeps the full weight.
    """
    if not any(place.kind != "cpu" and place.reachable for place in found):
        return findings
    return [replace(one, severity=Severity.NOTE) if one.place == "cpu" else one for one in findings]


def _gaps(outcomes: Iterable[Outcome], shared: Mapping[type, Any], found: Iterable[Place]) -> list[str]:
    """What keeps a yes from being certain: looking that went wrong, a device torch cannot reach, and torch, without which nothing runs."""
    gaps = [
        say(
            "{subject} {status}: {reason}", subject=f"{one.subject} ({one.place})" if one.place else one.subject, status=one.status, reason=one.reason
        )
        for one in outcomes
        if one.status in BROKEN
    ]
    gaps += [say("{title} was not looked at: torch cannot reach it", title=place.title) for place in found if not place.reachable]
    torch = shared.get(Torch)
    if isinstance(torch, Torch):
        gaps += [say("nothing was run on {place}", place=place.name) for place in found if place.reachable and not _ran(outcomes, place)]
    beside = any(place.kind != "cpu" and place.reachable for place in found)
    gaps += [gap for place in found if place.reachable and not (beside and place.kind == "cpu") for gap in _unrun(outcomes, place, shared)]
    if not isinstance(torch, Torch) and not any(gap.startswith("torch ") for gap in gaps):
        reason = torch.reason if isinstance(torch, Unknown) else say("it was not looked at")
        gaps.insert(0, say("torch absent: {reason}", reason=reason))
    return gaps


def _unrun(outcomes: Iterable[Outcome], place: Place, shared: Mapping[type, Any]) -> Iterator[str]:
    """A model that was named must have been run, and in the format that is judged."""
    asked, model, checkpoint, packages = (_or_none(shared, kind) for kind in (Asked, Model, Checkpoint, Packages))
    if not model and not asked.model:
        return
    outcome = next((one for one in outcomes if one.subject == "cast" and one.place == place.name), None)
    if outcome is None or (outcome.fact is None and outcome.status not in BROKEN):
        yield say("the model was not run on {place}: {reason}", place=place.name, reason=outcome.reason if outcome else say("no probe did"))
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


def _reason(  # noqa: PLR0917  # private, called once
    verdict: Answer, findings: list[Finding], gaps: list[str], fail_on: FailOn, outcomes: tuple[Outcome, ...], limit: float
) -> str:
    """One sentence for the last line."""
    if verdict is Answer.NOT_READY:
        caught = [one for one in findings if fail_on.catches(one)]
        first = caught[0]
        more = say(" (and {count} more)", count=len(caught) - 1) if len(caught) > 1 else ""
        return f"{first.code} {first.message}{more}"
    if gaps:
        more = say(" (and {count} more)", count=len(gaps) - 1) if len(gaps) > 1 else ""
        return gaps[0] + more
    survived = "; ".join(f"{one.place}: {told}" for one in outcomes if isinstance(one.fact, Cast) and (told := survival(one.fact, limit)))
    numbers = Counter(one.severity for one in findings)
    counts = [
        count("{number} error", "{number} errors", numbers[Severity.ERROR]),
        count("{number} warning", "{number} warnings", numbers[Severity.WARNING]),
        count("{number} note", "{number} notes", numbers[Severity.NOTE]),
    ]
    told = ", ".join(text for text in counts if not text.startswith("0 ")) or say("no findings")
    quiet = say("nothing at or above {level}; {counts}", level=fail_on.value, counts=told)
    return f"{survived}; {quiet}" if survived else quiet


def _ran(outcomes: Iterable[Outcome], place: Place) -> bool:
    """Whether anything was really run there; a probe that came back with nothing ran nothing."""
    facts = [one.fact for one in outcomes if one.place == place.name and one.fact is not None]
    return any(not isinstance(fact, Precision) or fact.operations for fact in facts if not (isinstance(fact, Mismatch) and not fact.cells))


def _place_verdict(place: Place, findings: list[Finding], outcomes: tuple[Outcome, ...], shared: Mapping[type, Any], fail_on: FailOn) -> PlaceVerdict:
    """A place where nothing was run is never ready, nor one where the model that was named was not."""
    mine = [one for one in findings if one.place in ("", place.name)]
    unsure = not _ran(outcomes, place) or any(one.status in BROKEN and one.place in ("", place.name) for one in outcomes)
    unsure = unsure or any(_unrun(outcomes, place, shared))
    return PlaceVerdict(
        name=place.name,
        kind=place.kind,
        title=place.title,
        architecture=place.architecture,
        count=place.count,
        verdict=answer(mine, fail_on=fail_on, gaps=unsure),
    )


def subjects(outcomes: Iterable[Outcome]) -> dict[str, Subject | list[Subject]]:
    """Outcomes by subject; one looked at per place is a list."""
    subjects: dict[str, Subject | list[Subject]] = {}
    for one in sorted(outcomes, key=lambda one: one.subject):
        fact = codec.plain(one.fact) if one.fact is not None else {}
        subject = Subject(status=one.status, reason=one.reason, place=one.place, fact=fact)
        if one.place or one.subject == "plugin":
            several = subjects.setdefault(one.subject, [])
            assert isinstance(several, list)
            several.append(subject)
        else:
            subjects[one.subject] = subject
    return subjects
