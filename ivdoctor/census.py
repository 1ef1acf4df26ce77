"""What is stored in folders and caches: a row a model, from configurations and headers alone."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from .census_row import Cell, Census, Row, State
from .evidence import loads_as
from .facts import Adapter, Anatomy, Asked, Checkpoint, Model, Package, Packages, Stored, Version
from .modelfiles.folder import Found, Search
from .modelfiles.hub import search
from .outcome import BROKEN, Outcome, subject_of
from .probe import Absent, Probe
from .probes.checkpoint import checkpoint
from .probes.model import model
from .redact import Identity, Redactor
from .text import count, say

TRANSFORMERS = re.compile(r"transformers-([0-9][0-9A-Za-z.+!_]{0,99})\.(?:dist|egg)-info")


Judge = Callable[[str, Sequence[Outcome]], tuple[Cell, ...]]
"""A path and what was found there, judged for every target."""


def census(
    paths: Iterable[str],
    asked: Asked | None = None,
    *,
    judged_for: Judge | None = None,
    probes: Sequence[Probe] = (),
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> Census:
    """
    Every model in these folders.

    Args:
        asked: the precision, engine and targets in question.
        judged_for: fills the rows' cells; without one there are none.
        probes: what it needs looked at, in an order in which each comes after those it needs; left out, what the rows themselves need.
        told: called with the number of models read, and of all.

    Raises:
        Nothing: a path is not there.
        Unreadable: the way there is closed.
    """
    found = search(paths)
    redactor = Redactor(Identity.here())
    installed: Packages = redactor.fact(_installed(thoroughly=judged_for is not None))
    rows = []
    for number, one in enumerate(found.found):
        told(number, len(found.found))
        rows.append(_row(one, (asked or Asked(), installed), _with_own(probes, one.kind), redactor, judged_for))
    return Census(
        rows=tuple(rows),
        transformers=installed.version("transformers") or "",
        targets=asked.targets if asked else (),
        cut=found.cut,
        remarks=tuple(_remarks(found)),
    )


def _installed(*, thoroughly: bool) -> Packages:
    """All packages where a target is judged; else transformers alone, by the name of its metadata: importlib.metadata takes as long as all the rest."""
    if thoroughly:
        from .probes.packages import packages

        found = packages()
        assert isinstance(found, Packages)
        return found
    for entry in sys.path:
        with suppress(OSError):
            for match in filter(None, map(TRANSFORMERS.fullmatch, os.listdir(entry or os.curdir))):
                return Packages(installed=(Package(name="transformers", version=Version(match[1])),), shadowed=(), broken=())
    return Packages(installed=(), shadowed=(), broken=())


def ordered(found: Census, sort: str | None) -> Census:
    """By `size`, largest first, or by `name`; None leaves the rows as they were found."""
    rows = found.rows
    if sort:
        rows = tuple(sorted(rows, key=lambda row: (-row.bytes if sort == "size" else 0, row.called)))
    return replace(found, rows=rows)


def _with_own(probes: Sequence[Probe], kind: str) -> Sequence[Probe]:
    """What a row of this kind needs, and what it is judged by."""
    own: tuple[Probe, ...] = (model, checkpoint)
    if kind == "adapter":
        from .probes.adapter import adapter

        own = (adapter,)
    return (*(one for one in own if one not in probes), *probes)


def _remarks(found: Search) -> Iterable[str]:
    if not found.found:
        yield say("there is no model")
    if found.cut:
        yield say("not all was searched, for there is {limit}: name folders further down", limit=found.cut)
    if found.linked:
        yield count(
            "{number} link to a folder was not followed: name the folder itself",
            "{number} links to folders were not followed: name the folders themselves",
            found.linked,
        )
    if found.bare:
        yield count("{number} snapshot holds no model", "{number} snapshots hold no model", found.bare)


def look(path: str, given: tuple[Asked, Packages], probes: Iterable[Probe], redactor: Redactor) -> tuple[Outcome, ...]:
    """What these probes say of one model, in this process: they read a few bounded files each."""
    asked, installed = given
    facts: dict[type, Any] = {Asked: replace(asked, model=path), Packages: installed}
    outcomes = [Outcome(subject="packages", status="ok", fact=installed)]
    for probe in probes:
        lacking = [subject_of(need) for _, need in probe.needs if need not in facts]
        outcome = (
            Outcome(subject=probe.subject, status="absent", reason=say("it needs {facts}", facts=", ".join(lacking)))
            if lacking
            else _tried(probe, facts)
        )
        outcomes.append(redactor.outcome(outcome))
        if outcome.fact is not None:
            facts[probe.fact] = outcome.fact
    return tuple(outcomes)


def _tried(probe: Probe, facts: dict[type, Any]) -> Outcome:
    try:
        return Outcome(subject=probe.subject, status="ok", fact=probe(**{name: facts[need] for name, need in probe.needs}))
    except Absent as absence:
        return Outcome(subject=probe.subject, status="absent", reason=str(absence))
    except Exception as error:  # noqa: BLE001  # one model's files must not take the other rows along
        return Outcome(subject=probe.subject, status="failed", reason=f"{type(error).__name__}: {error}")


def _row(found: Found, given: tuple[Asked, Packages], probes: Iterable[Probe], redactor: Redactor, judged_for: Judge | None) -> Row:
    name, revision = redactor.text(found.name), redactor.text(found.revision)
    if found.problem:
        problem = found.problem if found.unread else ""
        state: State = "unreadable" if found.unread else "not downloaded"
        cells = tuple(Cell(target=one, verdict="undetermined", word=say("unknown"), reason=found.problem) for one in given[0].targets)
        return Row(name=name, revision=revision, kind=found.kind, state=state, unfinished=found.unfinished, problem=problem, cells=cells)
    outcomes = _outcomes(found, given, probes, redactor)
    facts = {type(one.fact): one.fact for one in outcomes if one.fact is not None}
    one: Model | None = facts.get(Model)
    held: Checkpoint | None = facts.get(Checkpoint)
    own: Adapter | None = facts.get(Adapter) if found.kind == "adapter" else None
    problem = "; ".join(_problems(found, outcomes))
    stored, counted = _stored(held, own, facts.get(Anatomy))
    return Row(
        name=name,
        revision=revision,
        kind=found.kind,
        state=_state(problem, held, own, found),
        model_type=one.model_type if one else "",
        architecture=next(iter(one.architectures), "") if one else "",
        stored=stored if counted == "headers" else (),
        quantization=quantised(one) if one else "",
        parameters=sum(each.parameters for each in stored if each.role != "scales"),
        counted=counted,
        bytes=held.bytes if held else sum(each.bytes for each in stored) if own else 0,
        files=held.files if held else 0,
        missing=held.missing if held else (),
        torn=held.torn if held else (),
        unfinished=found.unfinished,
        declared=one.dtype if one else "",
        loads_as=loads_as(one, held, given[1]) if found.kind == "model" else None,
        base=own.base if own else "",
        method=own.method if own else "",
        problem=problem,
        cells=judged_for(found.path, outcomes) if judged_for else (),
    )


def _outcomes(found: Found, given: tuple[Asked, Packages], probes: Iterable[Probe], redactor: Redactor) -> tuple[Outcome, ...]:
    """What the probes say, and in their place what a single file says; of a configuration alone, its count of the weights."""
    outcomes = look(found.path, given, probes, redactor)
    seen = {type(one.fact) for one in outcomes}
    if found.kind == "model" and Model in seen and Checkpoint not in seen and not any(one.subject == "anatomy" for one in outcomes):
        from .probes.anatomy import anatomy

        outcomes += look(found.path, given, (anatomy,), redactor)[1:]
    return outcomes


def _problems(found: Found, outcomes: Iterable[Outcome]) -> Iterable[str]:
    """What could not be read; that there are no weights beside a configuration is none."""
    for one in outcomes:
        if one.subject not in ("model", "checkpoint", "adapter"):
            continue
        needed = one.subject == found.kind or (one.subject == "checkpoint" and found.kind in ("gguf", "weights"))
        if one.status in BROKEN or (one.status == "absent" and needed):
            yield re.sub(r"^(?:Unreadable|Torn|Nothing): ", "", one.reason)


def _state(problem: str, held: Checkpoint | None, own: Adapter | None, found: Found) -> State:
    if problem:
        return "unreadable"
    if held and held.torn:
        return "torn"
    if (held and held.missing) or (found.unfinished and not held):
        return "incomplete"
    if own and not own.stored:
        return "incomplete"
    return "whole" if held or own else "no weights"


def _stored(
    held: Checkpoint | None, own: Adapter | None, anatomy: Anatomy | None
) -> tuple[tuple[Stored, ...], Literal["", "headers", "configuration"]]:
    if own:
        return own.stored, "headers" if own.stored else ""
    if held and held.stored:
        return held.stored, "headers"
    return (anatomy.stored, "configuration") if anatomy and not held else ((), "")


def quantised(one: Model) -> str:
    """`compressed-tensors int4`, `awq`; empty for what is not quantised."""
    format = one.quantised.format or one.quantised.dialect if one.quantised else ""
    return f"{one.quantization} {format}" if one.quantization and format and format != one.quantization else one.quantization
