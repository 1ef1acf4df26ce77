"""Probes, rules and formats come in by entry points; ivdoctor's own take the same door."""

import re
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from types import ModuleType
from typing import TypeVar

from . import facts
from .entrypoints import GROUP, Point, points
from .facts import Failure
from .formats import Format
from .outcome import Outcome, subject_of
from .probe import Probe
from .rule import Rule

T = TypeVar("T")

OWN = "ivdoctor."
"""How the values of ivdoctor's own entry points begin."""

TEXTS = re.compile(r"ivd[0-9][5-9]x")
"""The names of its modules of rules about texts."""


ABOUT_A_MODEL = frozenset({"adapter", "anatomy", "built", "checkpoint", "model", "native", "packages"})
"""The names of its probes of a model's files, and of what is installed."""


class NotInstalled(RuntimeError):
    """ivdoctor's own entry points are missing: nothing would be looked at, and nothing judged."""


class Plugins:
    """
    Everything registered in this environment; each group is loaded when first asked for.

    What cannot be loaded, or holds something else than its group says, is a failed outcome in `broken`.
    """

    def __init__(self, points: tuple[Point, ...]) -> None:
        """Of all groups; only ivdoctor's are looked at."""
        kinds = ("probes", "rules", "formats")
        ordered = sorted(points, key=lambda one: (one.name, one.value))
        self._points = {kind: [point for point in ordered if point.group == GROUP + kind] for kind in kinds}
        if not all(any(point.value.startswith(OWN) for point in group) for group in self._points.values()):
            raise NotInstalled("ivdoctor's own entry points are missing: install it with `pip install .`")
        self._broken: dict[str, list[Outcome]] = {}

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """Our own first, then by subject."""
        found = self._load("probes", Probe)
        return tuple(sorted(found, key=lambda one: (not one.reference.startswith(OWN), one.subject)))

    @cached_property
    def model_probes(self) -> tuple[Probe, ...]:
        """Ivdoctor's own that look at nothing but a model's files and what is installed; no other module is loaded."""
        wanted = [point for point in self._points["probes"] if point.value.startswith(OWN) and point.name in ABOUT_A_MODEL]
        return tuple(sorted(self._load("probes", Probe, wanted, told=True), key=lambda one: one.subject))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """By code; a code belongs to the first that has it, ivdoctor's own before any other."""
        return self._kept(self._load("rules", Rule), frozenset())

    @cached_property
    def machine_rules(self) -> tuple[Rule, ...]:
        """Those that are not about a failure in a text; ivdoctor's own modules of the others are not loaded, and their codes stay theirs."""
        texts = [point for point in self._points["rules"] if point.value.startswith(OWN) and TEXTS.fullmatch(point.name)]
        wanted = [point for point in self._points["rules"] if point not in texts]
        kept = self._kept(self._load("rules", Rule, wanted, told=True), frozenset(point.name for point in texts))
        return tuple(one for one in kept if not one.asks_for(Failure))

    def _kept(self, found: Iterable[Rule], reserved: frozenset[str]) -> tuple[Rule, ...]:
        kept: dict[str, Rule] = {}
        for one in sorted(found, key=lambda one: not one.builtin):
            taken = not one.builtin and f"{one.code[:5].lower()}x" in reserved
            if taken or kept.setdefault(one.code, one) is not one:
                self._broken["rules"].append(_failed(f"{one.check.__module__}: the code {one.code} is taken", builtin=one.builtin))
        return tuple(kept[code] for code in sorted(kept))

    @cached_property
    def text_rules(self) -> tuple[Rule, ...]:
        """Those about a failure in a text, whose codes begin at x50; ivdoctor's own other modules (`ivd4xx`, `ivd21x`) are not loaded for it."""
        wanted = [point for point in self._points["rules"] if not (point.value.startswith(OWN) and not TEXTS.fullmatch(point.name))]
        found = sorted(self._load("rules", Rule, wanted, told=True), key=lambda one: not one.builtin)
        return tuple(sorted({one.code: one for one in reversed(found) if one.asks_for(Failure)}.values(), key=lambda one: one.code))

    @cached_property
    def formats(self) -> tuple[Format, ...]:
        """By name."""
        return tuple(sorted(self._load("formats", Format), key=lambda one: one.name))

    @property
    def format_names(self) -> tuple[str, ...]:
        """Without loading any."""
        return tuple(sorted({point.name for point in self._points["formats"]}))

    def is_own_format(self, name: str) -> bool:
        """Whether ivdoctor itself brought the format of this name."""
        return any(point.name == name and point.value.startswith(OWN) for point in self._points["formats"])

    def format(self, name: str) -> Format:
        """
        The format of this name, loaded alone.

        Raises:
            LookupError: there is none, or its entry point holds something else.
        """
        for point in self._points["formats"]:
            if point.name == name:
                found = point.load()
                if isinstance(found, Format):
                    return found
        raise LookupError(name)

    def facts(self) -> dict[str, type]:
        """Subject names and their fact types; only plugins' probes are loaded for it."""
        own = {subject_of(kind): kind for name in facts.__all__ if isinstance(kind := getattr(facts, name), type)}
        others = [point for point in self._points["probes"] if not point.value.startswith(OWN)]
        return {probe.subject: probe.fact for probe in self._load("probes", Probe, others)} | own

    def broken(self, kind: str) -> tuple[Outcome, ...]:
        """What went wrong in loading `probes`, `rules` or `formats`."""
        if kind not in self._broken:
            getattr(self, kind)
        return tuple(self._broken[kind])

    def _load(self, kind: str, of: type[T], points: Iterable[Point] | None = None, *, told: bool = False) -> list[T]:
        """All points of a group, or some; what breaks is told where it is all, or where it is asked for."""
        broken: list[Outcome] = []
        if points is None or told:
            self._broken[kind] = broken
        found: list[T] = []
        for point in self._points[kind] if points is None else points:
            try:
                held = list(_held(point.load(), of))
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin that breaks is an outcome of the plugin
                broken.append(_failed(f"{point.name}: {type(error).__name__}: {error}", builtin=point.value.startswith(OWN)))
                continue
            if not held:
                broken.append(_failed(f"{point.name}: {point.value} holds no {of.__name__}", builtin=point.value.startswith(OWN)))
            found += held
        return found


@cache
def plugins() -> Plugins:
    """
    Scan once.

    Raises:
        NotInstalled: ivdoctor runs from files that were never installed.
    """
    return Plugins(points())


def _held(loaded: object, of: type[T]) -> Iterator[T]:
    """The thing itself, or every one in a module."""
    if isinstance(loaded, ModuleType):
        yield from (value for value in vars(loaded).values() if isinstance(value, of))
    elif isinstance(loaded, of):
        yield loaded


def _failed(reason: str, *, builtin: bool) -> Outcome:
    return Outcome(subject="plugin", status="failed", reason=reason, builtin=builtin)
