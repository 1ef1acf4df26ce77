"""The pipeline: look, judge place by place, report. The command line and the Python API both call it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from . import __version__, codec
from .engine import Unknown, Verdict, judge
from .facts import Asked, Cast, Checkpoint, Flow, Miniature, Model, Place, Replay
from .finding import Finding, Severity
from .gaps import gaps_in, needless, ran, unlisted, unrun, untold
from .gate import Answer, FailOn, answer, exit_code
from .outcome import BROKEN, Outcome, known, subject_of
from .places import places
from .plugins import Plugins, plugins
from .progress import Slow, unheard
from .redact import Identity, Redactor
from .report import Broken, Line, Loader, Passed, PlaceVerdict, Report, Rules, Skipped, Subject, Tool
from .rule import Rule
from .shadowed import stands_in
from .snapshot import Snapshot
from .tables import newest
from .text import count, say
from .views import charts, grids, summary
from .views_cast import survival
from .views_target import targeted


def collect(
    asked: Asked | None = None,
    *,
    told: Callable[[str], None] = lambda _place: None,
    slow: Slow = unheard,
) -> Snapshot:
    """
    Look at this machine, and at the model that is asked about; nothing personal or secret stays in what comes back.

    Args:
        told: called with each place's name before it is looked at.
        slow: called with what is looked at and for how many seconds, from another thread, while that takes its time.

    Raises:
        Unreadable: there is no such model, or its configuration is none.
    """
    from datetime import datetime, timezone

    today = datetime.now(tz=timezone.utc).date().isoformat()
    if asked and asked.targets and not asked.model:
        return Snapshot(collected=today, outcomes=())  # nothing here bears on hardware that is elsewhere

    from .collection import collect as look

    if asked and asked.model:
        from .modelfiles import described

        described(asked.model)
    registered = plugins()
    redactor = Redactor(Identity.here())
    probes = registered.model_probes if asked and asked.targets and not asked.thorough else registered.probes
    outcomes = [*look(probes, asked, told=told, slow=slow), *registered.broken("probes")]
    return Snapshot(collected=today, outcomes=tuple(map(redactor.outcome, outcomes)))


def check(
    asked: Asked | None = None,
    *,
    snapshot: Snapshot | None = None,
    fail_on: FailOn = FailOn.ERROR,
    told: Callable[[str], None] = lambda _place: None,
    slow: Slow = unheard,
) -> Report:
    """
    Whether this machine, or the one in the snapshot, is ready.

    Args:
        asked: the precision in question, and hardware that is not here; without one, none in particular.
        told: called with each place's name before it is looked at.
        slow: called with what is looked at and for how many seconds, from another thread, while that takes its time.

    Raises:
        LookupError: no such target, or no such torch.
        ValueError: a snapshot and targets: the one's machine is not the other's.
    """
    asked = asked or Asked()
    if snapshot and asked.targets:
        raise ValueError(say("a snapshot is judged as it is: it takes no targets"))
    targets, torch = _elsewhere(asked)
    origin = say("{origin}, {day}", origin=snapshot.origin, day=snapshot.collected) if snapshot else ""
    snapshot = snapshot or collect(asked, told=told, slow=slow)
    registered = plugins()
    _ = registered.machine_rules  # what of them cannot be loaded shows in `broken`
    broken = registered.broken("rules")
    outcomes = [*snapshot.outcomes, *map(Redactor(Identity.here()).outcome, broken)] if broken else snapshot.outcomes
    return judged([*outcomes, *torch], asked, registered=registered, fail_on=fail_on, origin=origin, targets=targets)


def _elsewhere(asked: Asked) -> tuple[tuple[Place, ...], tuple[Outcome, ...]]:
    """The targets as places, each once, and the torch that is supposed there."""
    if not asked.targets:
        return (), ()
    from .builds import build_for
    from .targets import target

    found: dict[str, Place] = {}
    for place in map(target, asked.targets):
        name = place.name if found.get(place.name, place) == place else f"{place.count}x {place.name}"
        found[name] = replace(place, name=name)
    if not asked.torch:
        return tuple(found.values()), ()
    torch = build_for(asked.torch, *found.values())
    return tuple(found.values()), (Outcome(subject="torch", status="ok", fact=torch),)


def judged(
    outcomes: Iterable[Outcome],
    asked: Asked,
    *,
    registered: Plugins,
    fail_on: FailOn = FailOn.ERROR,
    origin: str = "",
    targets: tuple[Place, ...] = (),
) -> Report:
    """
    Outcomes in, report out: pure but for the tables.

    Args:
        targets: hardware to judge for instead of the machine that the outcomes are of.
        origin: of a snapshot, to be shown: one made by hand must never pass for a machine that was looked at.
    """
    outcomes = tuple(sorted(outcomes, key=lambda one: (one.subject, one.place, one.reason)))
    unnamed = {} if asked.model else dict.fromkeys((Model, Checkpoint, Flow, Miniature, Replay), Unknown(reason=say("no model was named")))
    if targets:
        elsewhere = Unknown(reason=say("this machine is not judged, but {names}", names=", ".join(one.name for one in targets)))
        unnamed = dict.fromkeys(registered.facts().values(), elsewhere) | unnamed
    shared: dict[type, Any] = {**unnamed, Asked: asked, **_unknown(outcomes, registered), **known(outcomes)}
    found = targets or places(shared)
    local = {Place} | {type(one.fact) for one in outcomes if one.place and one.fact is not None}
    local |= {kind for kind in registered.facts().values() if any(one.place and one.subject == subject_of(kind) for one in outcomes)}
    rules = registered.machine_rules  # a text's failures are `explain`'s
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
    gaps = gaps_in(outcomes, shared, found) + [say("{code} broke: {error}", code=one.code, error=one.error) for one in errors]
    verdict = answer(findings, fail_on=fail_on, gaps=bool(gaps))
    broken = any(one.builtin for one in errors) or any(one.subject == "plugin" and one.builtin for one in outcomes)
    return Report(
        tool=Tool(version=__version__, tables=newest()),
        command="check",
        verdict=verdict,
        exit_code=exit_code(verdict, broken=broken),
        reason=_reason(verdict, findings, gaps, fail_on, outcomes, shared[Asked], without=_without(outcomes, found, shared)),
        fail_on=fail_on.value,
        places=tuple(_place_verdict(place, judged_there, outcomes, shared, fail_on) for place in found),
        summary=(*([Line(label="snapshot", text=origin)] if origin else []), *targeted(found, shared[Asked]), *summary(outcomes)),
        subjects=subjects(outcomes),
        findings=tuple(findings),
        grids=tuple(grids(outcomes, found, shared[Asked], ran=not origin or origin.startswith("recorded"))),
        charts=tuple(charts(outcomes, found, shared[Asked].limits)),
        loaders=_loaders(outcomes, found, shared),
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


def _loaders(outcomes: tuple[Outcome, ...], found: tuple[Place, ...], shared: Mapping[type, Any]) -> tuple[Loader, ...]:
    """Nothing is loaded where torch reaches nothing."""
    if not any(place.reachable for place in found):
        return ()
    from .loader import loaders

    return loaders(outcomes, found, shared, shared[Asked])


def _weighed(findings: list[Finding], found: tuple[Place, ...]) -> list[Finding]:
    """
    Beside an accelerator that torch reaches, what is found at the CPU is a note: the model is not meant to run there.

    The CPU's own verdict, in the list of places, keeps the full weight.
    """
    if not any(place.kind != "cpu" and place.reachable for place in found):
        return findings
    return [replace(one, severity=Severity.NOTE) if one.place == "cpu" else one for one in findings]


def _reason(  # noqa: PLR0917  # private, called once
    verdict: Answer, findings: list[Finding], gaps: list[str], fail_on: FailOn, outcomes: tuple[Outcome, ...], asked: Asked, *, without: str
) -> str:
    """One sentence for the last line."""
    if verdict is Answer.NOT_READY:
        caught = [one for one in findings if fail_on.catches(one)]
        first = caught[0]
        more = say(" (and {count} more)", count=len(caught) - 1) if len(caught) > 1 else ""
        return _foretold(f"{first.code} {first.message}{more}", asked)
    if gaps:
        more = say(" (and {count} more)", count=len(gaps) - 1) if len(gaps) > 1 else ""
        return _foretold(gaps[0] + more, asked)
    survived = "; ".join(
        f"{one.place}: {told}" for one in outcomes if isinstance(one.fact, Cast) and (told := survival(one.fact, asked.limits.relative_l2))
    )
    numbers = Counter(one.severity for one in findings)
    counts = [
        count("{number} error", "{number} errors", numbers[Severity.ERROR]),
        count("{number} warning", "{number} warnings", numbers[Severity.WARNING]),
        count("{number} note", "{number} notes", numbers[Severity.NOTE]),
    ]
    told = ", ".join(text for text in counts if not text.startswith("0 ")) or say("no findings")
    quiet = say("nothing at or above {level}; {counts}", level=fail_on.value, counts=told)
    return _foretold("; ".join(filter(None, (without, survived, quiet))), asked)


def _without(outcomes: tuple[Outcome, ...], found: Iterable[Place], shared: Mapping[type, Any]) -> str:
    """That a yes was given without the weights, and by what; empty where the model was run, or none was named."""
    if any(isinstance(one.fact, Cast) and one.fact.how == "real-run" for one in outcomes):
        return ""
    ways = {stands_in(outcomes, place, shared) for place in found if place.reachable}
    if "flow" in ways:
        return say("the weights are not here: by the model's dtype flow and a miniature of it")
    return say("the weights are not here: by the tables of families") if "tables" in ways else ""


def _foretold(reason: str, asked: Asked) -> str:
    """What is said of hardware that is not here says so."""
    return say("by the tables alone: {reason}", reason=reason) if asked.targets else reason


def _place_verdict(place: Place, findings: list[Finding], outcomes: tuple[Outcome, ...], shared: Mapping[type, Any], fail_on: FailOn) -> PlaceVerdict:
    """A place where nothing was run is never ready, nor one where the model that was named was not."""
    mine = [one for one in findings if one.place in ("", place.name)]
    broken = [one for one in outcomes if one.status in BROKEN and one.place in ("", place.name)]
    unsure = not ran(outcomes, place) or not all(needless(one, outcomes, shared, (place,)) for one in broken)
    unsure = unsure or any(unrun(outcomes, place, shared)) or any(unlisted(place, shared))
    if place.kind == "target":
        unsure = any(untold(place, shared))
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
