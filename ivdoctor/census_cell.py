"""A model on a target, in a few words: those of the report that `ivdoctor check MODEL --target NAME` gives."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .census_row import Cell
from .checkup import judged
from .collection import ABOUT_A_MODEL, by_place
from .engine import judge
from .evidence import judged as meant
from .facts import Anatomy, Asked, Checkpoint, Model, Packages, Place
from .fates import fate
from .finding import Finding, Severity
from .gate import Answer
from .kernels import OWN_LOADER, engine_row, quantised_as
from .memory import taken_by_itself
from .modelfiles import Nothing, Unreadable, read_config
from .outcome import Outcome, known
from .plugins import Plugins, plugins
from .probe import Probe
from .report import Report
from .targets import target
from .text import say

SIZE = "IVD303"
"""The rule that says whether the weights fit."""

WORDS = {"IVD301": "files missing or torn", "IVD201": "bf16 is emulated"}
"""Of rules whose names would be longer than need be."""

MOST_DEVICES = 64


def probes() -> tuple[Probe, ...]:
    """What `check` looks at for a target but the packages, and needs no torch for; each after those it needs."""
    waiting = [
        one
        for one in plugins().probes
        if one.room == "plain" and one.fact in ABOUT_A_MODEL and one.fact is not Packages and not by_place(one) and not one.unless
    ]
    found: list[Probe] = []
    while waiting:
        ready = [one for one in waiting if not any(need is other.fact for _, need in one.needs for other in waiting)] or waiting[:1]
        found += ready
        waiting = [one for one in waiting if one not in ready]
    return tuple(found)


class Bench:
    """Judges models for the same targets, one by one."""

    def __init__(self, asked: Asked) -> None:
        """Raises LookupError for no such target."""
        self._asked = asked
        self._places = tuple((name, target(name)) for name in asked.targets)
        self._registered = plugins()
        _ = self._registered.machine_rules  # what of them cannot be loaded shows in `broken`
        self._broken = (*self._registered.broken("probes"), *self._registered.broken("rules"))

    def __call__(self, path: str, outcomes: Sequence[Outcome]) -> tuple[Cell, ...]:
        """A cell for each target, in the order in which they were named."""
        try:
            read_config(path)
        except Unreadable as error:  # `check` takes no model without one
            alone = isinstance(error, Nothing) or path.lower().endswith((".gguf", ".safetensors"))
            word = say("unknown (no configuration)") if alone else say("unknown (unreadable)")
            return tuple(Cell(target=name, verdict="undetermined", word=word, reason=str(error)) for name, _ in self._places)
        return tuple(self._cell(name, place, path, (*outcomes, *self._broken)) for name, place in self._places)

    def _cell(self, name: str, place: Place, path: str, outcomes: Sequence[Outcome]) -> Cell:
        asked = replace(self._asked, model=path, targets=(name,))
        report = judged(outcomes, asked, registered=self._registered, targets=(place,))
        facts = {**known(outcomes), Asked: asked, Place: place}
        return Cell(
            target=name,
            verdict=report.verdict.value,
            word=_word(report, place, facts, self._registered),
            reason=report.reason,
            codes=tuple(dict.fromkeys(one.code for one in _errors(report))),
        )


def _errors(report: Report) -> list[Finding]:
    return [one for one in report.findings if one.severity is Severity.ERROR]


def _word(report: Report, place: Place, facts: Mapping[type, Any], registered: Plugins) -> str:
    """The verdict first: a bare word is a yes, `no:` a no, and `unknown (...)` says what is known nevertheless."""
    if report.verdict is Answer.NOT_READY:
        causes = ", ".join(dict.fromkeys(_causes(report, place, facts, registered)))
        more = "" if {"IVD301", "IVD330", SIZE} & {one.code for one in _errors(report)} else f"; {_fit(report, place, facts)}"
        return say("no: {causes}", causes=causes) + more
    known_so_far = ", ".join(filter(None, (_support(place, facts), _fit(report, place, facts))))
    return known_so_far if report.verdict is Answer.READY else say("unknown ({known})", known=known_so_far)


def _causes(report: Report, place: Place, facts: Mapping[type, Any], registered: Plugins) -> Iterator[str]:
    for one in _errors(report):
        yield _too_large(place, facts, registered) if one.code == SIZE else WORDS.get(one.code, one.name.replace("-", " "))


def _too_large(place: Place, facts: Mapping[type, Any], registered: Plugins) -> str:
    """With the least number of such devices, a power of two, that the same rule lets pass."""
    rules = [one for one in registered.machine_rules if one.code == SIZE]
    number = max(2, place.count)
    while number <= MOST_DEVICES and place.backend not in ("cpu", "mps"):
        (verdict,) = judge(rules, {**facts, Place: replace(place, count=number)}, place=place.name)
        if not verdict.error and not any(one.severity is Severity.ERROR for one in verdict.findings):
            return say("does not fit (needs {number})", number=number)
        number *= 2
    return say("does not fit")


def _support(place: Place, facts: Mapping[type, Any]) -> str:
    """How the place computes it: in the engine that was named, or for packed weights in transformers."""
    asked, model, checkpoint = facts[Asked], facts.get(Model), facts.get(Checkpoint)
    dtype = meant(asked, model, checkpoint, facts.get(Packages))
    if model and model.quantization:
        format = quantised_as(model.quantization, checkpoint, model.quantised)
        found = fate(model, checkpoint, place, facts.get(Packages)) if asked.engine in OWN_LOADER else engine_row(asked.engine, format, place)
        return f"{format or model.quantization}: {found.outcome}" if found else say("{format} unknown", format=format or model.quantization)
    if dtype is None:
        return say("dtype unknown")
    row = engine_row(asked.engine, dtype, place) if asked.engine else None
    other = taken_by_itself(asked.engine, model.model_type if model else "", dtype, place) if asked.engine and asked.dtype == "auto" else dtype
    if other != dtype:
        return say("{dtype}: cast to {other}", dtype=dtype, other=other)
    outcome = row.outcome if row else place.dtypes.of(dtype)
    return outcome if outcome == "native" else f"{dtype}: {outcome}"


def _fit(report: Report, place: Place, facts: Mapping[type, Any]) -> str:
    """By the rule about size alone; where it had nothing to go by, nobody says."""
    checkpoint, anatomy = facts.get(Checkpoint), facts.get(Anatomy)
    sized = (checkpoint and (checkpoint.stored or (checkpoint.format == "pickle" and checkpoint.bytes))) or (anatomy and anatomy.stored)
    found = [one for one in report.findings if one.code == SIZE]
    if found:
        return say("fits over {number}", number=place.count) if place.count > 1 else say("fits barely")
    if not sized or not place.memory_mib or not any(one.code == SIZE for one in report.rules.silent):
        return say("fit unknown")
    return say("fits")
