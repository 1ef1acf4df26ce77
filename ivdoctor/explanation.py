"""From a text to a report: what failed, why, and what to change; the same stages as a checkup, with the text as what is looked at."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from . import __version__
from .engine import Verdict, judge
from .facts import Asked, Failure, Place, Torch
from .finding import Finding, Severity
from .gate import Answer, Exit, FailOn, answer
from .outcome import Outcome, known
from .places import places as machine_places
from .plugins import Plugins, plugins
from .redact import Identity, Redactor
from .report import Broken, Line, Passed, PlaceVerdict, Report, Rules, Skipped, Subject, Tool
from .rule import Rule
from .tables import newest
from .text import count, say
from .views import summary

if TYPE_CHECKING:
    from .logs.scan import Bytes
    from .snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a text tells, with nothing personal or secret left in it."""

    failures: tuple[Failure, ...]
    outcomes: tuple[Outcome, ...]
    """Facts about the machine that the text names."""
    own_reports: int = 0
    """Reports of ivdoctor's own in it: their facts are taken, what they demonstrate is no failure."""


PEEK = 4096
OWN_JSON = re.compile(rb"\s*\{\s*\"schema\": ?\"ivdoctor\.(?:report|snapshot)/")
LARGEST = 1 << 26
"""Bytes of a report or a snapshot of ivdoctor's own."""


def read(stream: "Bytes") -> Told:
    """Read to the end, in bounded memory."""
    from .logs.encoding import Again
    from .logs.reading import read as look

    first = stream.read(PEEK)
    if OWN_JSON.match(first):
        first += stream.read(LARGEST)
        if told := _own(first):
            return told
    reading = look(Again(first, stream))
    redactor = Redactor(Identity.here())
    return Told(
        failures=tuple(map(redactor.fact, reading.failures())),
        outcomes=tuple(replace(redactor.outcome(one), reason="") for one in reading.outcomes()),
        own_reports=reading.own.count,
    )


def _own(text: bytes) -> Told | None:
    """A report or a snapshot as JSON: its facts about the machine, and the failures of an earlier explanation; None where it is torn or more follows."""
    from . import codec

    try:
        raw = codec.load(text)
        subjects = raw.get("subjects") or {}
        listed = raw.get("outcomes") or [{"subject": name, **one} for name, one in subjects.items() if isinstance(one, dict)]
        failures = [codec.build(one["fact"], Failure) for one in subjects.get("failure", []) if isinstance(one, dict)]
        outcomes = [_outcome(one) for one in listed]
    except (codec.Malformed, AttributeError, KeyError, TypeError):
        return None
    redactor = Redactor(Identity.here())
    kept = tuple(redactor.outcome(one) for one in outcomes if one is not None)
    return Told(failures=tuple(map(redactor.fact, failures)), outcomes=kept, own_reports=1)


def _outcome(raw: dict[str, Any]) -> Outcome | None:
    """A fact of the machine; what was run at a place is not asked here, and an old shape is left out."""
    from . import codec

    kind = plugins().facts().get(str(raw.get("subject")))
    if raw.get("status") != "ok" or raw.get("place") or kind is None or kind is Failure:
        return None
    try:
        return Outcome(subject=str(raw["subject"]), status="ok", fact=codec.build(raw["fact"], kind))
    except codec.Malformed:
        return None


def explain(told: Told, *, here: "Snapshot | None" = None, targets: Sequence[Place] = ()) -> Report:
    """
    What failed in a text, why, and what to change.

    Args:
        here: this machine's facts; they stand for those that the text names.
        targets: the hardware to judge for, instead of what the text or this machine has.
    """
    registered = plugins()
    rules = registered.text_rules
    outcomes = here.outcomes if here else told.outcomes
    where = tuple(targets) or tuple(_places(outcomes, every=here is not None))
    asked: list[Verdict] = []
    survived = {id(one) for one in told.failures if _went_on(one, told.failures)}
    judged: dict[str, Place] = {one.name: one for one in where}
    for failure in told.failures:
        for place in where or _named(failure):
            judged |= {place.name: place} if place else {}
            facts: dict[type, Any] = {Asked: Asked(), **known(outcomes, place.name if place and not targets else ""), Failure: failure}
            verdicts = judge(rules, facts | ({Place: place} if place else {}), place=place.name if place else "")
            asked += map(_lighter, verdicts) if id(failure) in survived else verdicts
    return _report(told, outcomes, asked, tuple(judged.values()), registered)


SURVIVED = frozenset({"neg-missing-package", "neg-missing-feature", "neg-driver-runtime", "flash-attn-needs-half", "fp16-overflow"})
"""What programs say while they start and then do without, or go on in spite of."""


def _went_on(failure: Failure, failures: Sequence[Failure]) -> bool:
    """Whether the program outlived it: an optional import, a warning, and another failure behind it."""
    mild = failure.category in SURVIVED and (not failure.error or failure.category.startswith("neg-"))
    return mild and any(one.category and one.category not in SURVIVED and one.line > failure.line for one in failures)


def _lighter(verdict: Verdict) -> Verdict:
    """The same as notes: what ended the program leads."""
    return replace(verdict, findings=tuple(replace(one, severity=Severity.NOTE) for one in verdict.findings))


def _places(outcomes: Iterable[Outcome], *, every: bool) -> Iterator[Place]:
    """The accelerators; the CPU where there is none, and somebody looked or torch says that it has none."""
    facts = known(outcomes)
    found = machine_places(facts)
    accelerators = [one for one in found if one.kind != "cpu"]
    torch = facts.get(Torch)
    if accelerators:
        yield from accelerators
    elif every or (isinstance(torch, Torch) and not torch.cuda and not torch.hip and "+cpu" in torch.version):
        yield found[0]


def _named(failure: Failure) -> tuple[Place | None, ...]:
    """The accelerator that the message itself names."""
    if not failure.device:
        return (None,)
    from .targets import AmbiguousTarget, UnknownTarget, target

    try:
        return (target(failure.device),)
    except (UnknownTarget, AmbiguousTarget):
        return (None,)


def _report(told: Told, outcomes: Sequence[Outcome], asked: Sequence[Verdict], where: Sequence[Place], registered: Plugins) -> Report:
    found = [finding for one in asked for finding in one.findings]
    findings = tuple(sorted(_once(found), key=lambda one: one.severity.rank))  # stable: in the order of the text
    errors = tuple(Broken(code=one.rule.code, error=one.error, place=one.place, builtin=one.rule.builtin) for one in asked if one.error)
    recognised = any(one.category for one in findings)
    broken = registered.broken("rules")
    own = any(one.builtin for one in errors) or any(one.builtin for one in broken)
    return Report(
        tool=Tool(version=__version__, tables=newest()),
        command="explain",
        verdict=Answer.NOT_READY if recognised else Answer.UNDETERMINED,
        exit_code=Exit.BROKEN if own else Exit.READY if recognised else Exit.UNDETERMINED,
        reason=_reason(told, findings, recognised=recognised),
        places=tuple(_place(one, found) for one in where),
        summary=(*_said(told, outcomes), *summary(outcomes)),
        subjects=_subjects(told, outcomes, broken),
        findings=findings,
        rules=_rules(asked, errors),
    )


def _once(findings: Iterable[Finding]) -> list[Finding]:
    """The same advice for two failures that differ in what is not shown stands once."""
    kept: dict[object, Finding] = {}
    for one in findings:
        kept.setdefault((one.code, one.place, one.message, one.evidence), one)
    return list(kept.values())


def _reason(told: Told, findings: Sequence[Finding], *, recognised: bool) -> str:
    first = next((one for one in findings if one.category), None)
    if recognised and first:
        more = say(" (and {count} more)", count=len(findings) - 1) if len(findings) > 1 else ""
        return f"{first.code} {first.message}{more}"
    if told.failures:
        unknown = told.failures[0]
        said = f"{unknown.error}: {unknown.message}" if unknown.error else unknown.message
        return say("the text holds an exception that ivdoctor does not know: {said}", said=said)
    if told.own_reports:
        return say("the text is a report of ivdoctor's own: it holds no failure to explain")
    return say("no failure was found in the text")


def _said(told: Told, outcomes: Sequence[Outcome]) -> Iterator[Line]:
    if told.failures:
        times = sum(one.count for one in told.failures)
        failures = count("{number} failure", "{number} failures", len(told.failures))
        yield Line(label="text", text=f"{failures}, {count('told once', 'told {number} times', times)}")
    else:
        yield Line(label="text", text=say("no failure was found in it"))
    if outcomes and outcomes is told.outcomes:
        yield Line(label="machine", text=say("as the text names it"))


def _place(place: Place, findings: Iterable[Finding]) -> PlaceVerdict:
    mine = [one for one in findings if one.place == place.name]
    return PlaceVerdict(
        name=place.name,
        kind=place.kind,
        title=place.title,
        architecture=place.architecture,
        count=place.count,
        verdict=answer(mine, fail_on=FailOn.ERROR, gaps=True),
    )


def _subjects(told: Told, outcomes: Sequence[Outcome], broken: Sequence[Outcome]) -> dict[str, Subject | list[Subject]]:
    from .checkup import subjects

    every = subjects([*outcomes, *broken])
    if told.failures:
        every["failure"] = [Subject(status="ok", fact=_pruned(asdict(one))) for one in told.failures]
    else:
        every["failure"] = Subject(status="absent", reason=say("no failure was found in the text"))
    return every


def _pruned(value: Any) -> Any:
    """Without fields that hold nothing, as every fact in a report."""
    if isinstance(value, dict):
        return {name: _pruned(inner) for name, inner in value.items() if inner not in ("", (), None)}
    return [_pruned(inner) for inner in value] if isinstance(value, (tuple, list)) else value


def _rules(asked: Sequence[Verdict], errors: tuple[Broken, ...]) -> Rules:
    """Each rule once, however many failures it was asked about."""
    rules: dict[str, Rule] = {one.rule.code: one.rule for one in asked}
    fired = {one.rule.code for one in asked if one.findings}
    wrong = {one.code for one in errors}
    skipped = {one.rule.code: one.skipped for one in asked if one.skipped}
    silent = [rule for code, rule in sorted(rules.items()) if code not in fired | wrong | set(skipped)]
    return Rules(
        passed=len(silent),
        failed=len(fired),
        skipped=tuple(Skipped(code=code, reason=reason) for code, reason in sorted(skipped.items()) if code not in fired),
        errors=errors,
        silent=tuple(Passed(code=rule.code, title=rule.title) for rule in silent),
    )
