"""Running probes: in the order their needs demand, in their rooms, machine first and then place by place."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from . import codec
from .facts import Adapter, Anatomy, Asked, Checkpoint, Flow, Miniature, Model, Native, Packages, Place
from .outcome import Outcome, subject_of
from .places import places
from .probe import ROOMS, Probe
from .progress import Slow, named, patient, unheard
from .rooms import Answer, Job, Rooms
from .text import say

ABOUT_A_MODEL = (Adapter, Model, Checkpoint, Anatomy, Packages, Native)
"""What is looked at where hardware that is not here is asked about: this machine is not judged, and nothing runs on it."""

SHADOWS = (Flow, Miniature)
"""What is looked at besides where all is to be looked at: of the model alone, and on no device but the CPU."""


@dataclass(slots=True)
class Collection:
    """What is known so far."""

    rooms: Rooms
    slow: Slow = unheard
    place: str = ""
    facts: dict[type, Any] = field(default_factory=dict)
    missing: dict[type, str] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self, probes: Iterable[Probe]) -> None:
        """Every probe once, each as soon as what it needs is known."""
        waiting = list(probes)
        while waiting:
            coming: list[type] = [probe.fact for probe in waiting]
            ready = [probe for probe in waiting if not any(need in coming for _, need in probe.needs)]
            if not ready:
                for probe in waiting:
                    self._note(probe, Answer(status="failed", reason=say("probes need each other's facts in a circle")))
                return
            room = min((probe.room for probe in ready), key=_order)
            batch = [probe for probe in ready if probe.room == room]
            waiting = [probe for probe in waiting if probe not in batch]
            self._visit(room, batch)

    def _visit(self, room: str, batch: list[Probe]) -> None:
        able: list[Probe] = []
        for probe in batch:
            lacking = [need for _, need in probe.needs if need not in self.facts]
            if lacking:
                reasons = [f"{subject_of(need)}: {self.missing.get(need) or say('no probe gives it')}" for need in lacking]
                self._note(probe, Answer(status="absent", reason="; ".join(reasons)))
            else:
                able.append(probe)
        if not able:
            return
        jobs = [Job(probe=probe, given={name: self.facts[need] for name, need in probe.needs}) for probe in able]
        name = f"{room}:{self.place}" if self.place else room
        waited = [named(probe.subject, self.place) for probe in able]
        for probe, answer in zip(able, patient(self.rooms.visit(name, jobs), waited, self.slow), strict=True):
            self._note(probe, answer)

    def _note(self, probe: Probe, answer: Answer) -> None:
        fact: Any = None
        status, reason = answer.status, answer.reason
        if status == "ok" and isinstance(answer.fact, probe.fact):
            fact = answer.fact  # from this process
        elif status == "ok":
            try:
                fact = codec.build(answer.fact, probe.fact)
            except codec.Malformed as error:
                status, reason = "failed", str(error)
        if fact is None:
            self.missing[probe.fact] = reason
        else:
            self.facts[probe.fact] = fact
        first = next((one for one in self.outcomes if probe.unless and one.subject == probe.subject and not one.place), None)
        if first:  # the second way says why the first was not enough, and is the outcome
            self.outcomes.remove(first)
            reason = "; ".join(filter(None, (first.reason, reason)))
        self.outcomes.append(
            Outcome(
                subject=probe.subject,
                status=status,
                place=self.place,
                reason=reason,
                fact=fact,
                seconds=round(answer.seconds, 4),
                builtin=probe.reference.startswith("ivdoctor."),
            )
        )


def collect(
    probes: Iterable[Probe],
    asked: Asked | None = None,
    *,
    told: Callable[[str], None] = lambda _place: None,
    slow: Slow = unheard,
) -> list[Outcome]:
    """
    Look at everything.

    Args:
        asked: names a model or none, and targets or none; probes that are for another case are left out.
        told: called with each place's name before it is looked at, so that a person sees it is alive.
        slow: called with what is looked at and for how many seconds, while that takes its time.
    """
    asked = asked or Asked()
    every = [probe for probe in probes if probe.wants != ("no-model" if asked.model else "model")]
    if asked.targets:
        about = (*ABOUT_A_MODEL, *SHADOWS) if asked.thorough else ABOUT_A_MODEL
        every = [probe for probe in every if asked.model and probe.fact in about]
    local = [probe for probe in every if by_place(probe)]
    with Rooms(here=bool(asked.targets)) as rooms:
        machine = Collection(rooms=rooms, slow=slow, facts={Asked: asked})
        machine.run(probe for probe in every if probe not in local and not probe.unless)
        machine.run(probe for probe in every if probe.unless and not any(one in machine.facts for one in probe.unless))
        outcomes = machine.outcomes
        for place in () if asked.targets else places(machine.facts):
            told(place.name)
            here = Collection(rooms=rooms, slow=slow, place=place.name, facts={**machine.facts, Place: place}, missing=dict(machine.missing))
            here.run(local)
            outcomes += here.outcomes
    return outcomes


def by_place(probe: Probe) -> bool:
    """Whether a probe looks at one place rather than the machine."""
    return any(need is Place for _, need in probe.needs)


def _order(room: str) -> int:
    return ROOMS.index(room.partition(":")[0])
