"""Probes, rules and formats come in by entry points; ivdoctor's own take the same door."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, TypeVar

from .formats import Format
from .outcome import Outcome
from .probe import Probe
from .rule import Rule

T = TypeVar("T")


class NotInstalled(RuntimeError):
    """ivdoctor's own entry points are missing: nothing would be looked at, and nothing judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """Everything registered in this environment."""

    probes: tuple[Probe, ...]
    rules: tuple[Rule, ...]
    formats: tuple[Format, ...]
    broken: tuple[Outcome, ...]
    """Entry points that could not be loaded, or hold something else than their group says."""

    def facts(self) -> dict[str, type]:
        """Subject names and the fact types probes give for them."""
        return {probe.subject: probe.fact for probe in self.probes}

    def format(self, name: str) -> Format:
        """The format of this name."""
        return next(one for one in self.formats if one.name == name)


@cache
def plugins() -> Plugins:
    """
    Scan once.

    Raises:
        NotInstalled: the package's own entry points are not there.
    """
    everything = entry_points()
    broken: list[Outcome] = []
    probes = list(_load(everything.select(group="ivdoctor.probes"), Probe, broken))
    rules = sorted(_load(everything.select(group="ivdoctor.rules"), Rule, broken), key=lambda one: one.code)
    formats = sorted(_load(everything.select(group="ivdoctor.formats"), Format, broken), key=lambda one: one.name)
    if not (probes and rules and formats):
        raise NotInstalled("ivdoctor's own entry points are missing: install it with `pip install .`")
    probes.sort(key=lambda one: (not one.reference.startswith("ivdoctor."), one.subject))
    return Plugins(probes=tuple(probes), rules=_unique(rules, broken), formats=tuple(formats), broken=tuple(broken))


def _load(points: Any, kind: type[T], broken: list[Outcome]) -> Iterator[T]:
    seen: set[str] = set()
    for point in sorted(points, key=lambda one: one.name):
        if point.value in seen:
            continue  # the same distribution twice on the path
        seen.add(point.value)
        try:
            found = list(_of(point.load(), kind))
        except Exception as error:  # noqa: BLE001  # a plugin that breaks is a finding about the plugin
            broken.append(_broken(point, f"{type(error).__name__}: {error}"))
            continue
        if not found:
            broken.append(_broken(point, f"{point.value} holds no {kind.__name__}"))
        yield from found


def _of(loaded: object, kind: type[T]) -> Iterator[T]:
    """The thing itself, or every one in a module."""
    if isinstance(loaded, ModuleType):
        yield from (value for value in vars(loaded).values() if isinstance(value, kind))
    elif isinstance(loaded, kind):
        yield loaded


def _unique(rules: list[Rule], broken: list[Outcome]) -> tuple[Rule, ...]:
    """A code belongs to the first that has it, ivdoctor's own before any other."""
    kept: dict[str, Rule] = {}
    for one in sorted(rules, key=lambda one: not one.builtin):
        if kept.setdefault(one.code, one) is not one and kept[one.code].check is not one.check:
            reason = f"{one.check.__module__}: the code {one.code} is taken"
            broken.append(Outcome(subject="plugin", status="failed", reason=reason, builtin=False))
    return tuple(sorted(kept.values(), key=lambda one: one.code))


def _broken(point: EntryPoint, reason: str) -> Outcome:
    return Outcome(subject="plugin", status="failed", reason=f"{point.name}: {reason}", builtin=point.value.startswith("ivdoctor."))
