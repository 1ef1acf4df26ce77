"""Judging: a rule is a function; its parameters' types are the facts it needs; its docstring is its manual page."""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from .finding import Confidence, Problem, Severity

Check = Callable[..., Iterator[Problem]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A registered rule."""

    code: str
    name: str
    """The function's name in kebab case: it names what is found."""
    title: str
    """The docstring's first line."""
    manual: str
    severity: Severity
    confidence: Confidence
    category: str
    """The slug of the failure it is about, empty when it is about none."""
    since: str
    status: Literal["stable", "deprecated"]
    needs: tuple[tuple[str, type], ...]
    optional: frozenset[str]
    """Parameters annotated `Fact | None`: the rule is asked without them too."""
    check: Check
    builtin: bool

    @property
    def family(self) -> str:
        """`IVD4xx` of `IVD401`."""
        return self.code[:-2] + "xx"

    def asks_for(self, fact: type) -> bool:
        """Whether this fact is among what it needs."""
        return any(need is fact for _, need in self.needs)


def rule(
    code: str,
    *,
    severity: Severity,
    confidence: Confidence = "certain",
    category: str = "",
    since: str = "0.1.0",
    status: Literal["stable", "deprecated"] = "stable",
) -> Callable[[Check], Rule]:
    """
    Register a rule by its annotations and docstring.

    Raises:
        TypeError: a code that is none, a parameter without a type, or no manual page; names file and line.
    """

    def register(check: Check) -> Rule:
        where = f"{check.__code__.co_filename}:{check.__code__.co_firstlineno}"
        hints = _hints(check)
        parameters = list(check.__code__.co_varnames[: check.__code__.co_argcount + check.__code__.co_kwonlyargcount])
        untyped = [name for name in parameters if name not in hints]
        if not re.fullmatch(r"[A-Z]{3,8}\d{3}", code):
            raise TypeError(f"{where}: {code!r} is not a rule code: capital letters and three digits")
        if untyped or not parameters:
            raise TypeError(f"{where}: {code} must ask for at least one fact, each parameter by its type")
        manual = inspect.cleandoc(check.__doc__ or "")
        if not manual:
            raise TypeError(f"{where}: {code} has no docstring, which is its manual page")
        needs = tuple((name, _fact(hints[name])) for name in parameters)
        return Rule(
            code=code,
            name=check.__name__.replace("_", "-"),
            title=manual.splitlines()[0].rstrip("."),
            manual=manual,
            severity=severity,
            confidence=confidence,
            category=category,
            since=since,
            status=status,
            needs=needs,
            optional=frozenset(name for name in parameters if hints[name] is not _fact(hints[name])),
            check=check,
            builtin=check.__module__.partition(".")[0] == "ivdoctor",
        )

    return register


def _hints(check: Check) -> dict[str, Any]:
    """The annotations but for the result's; where they are types already, and not their names, nothing has to be evaluated."""
    hints: dict[str, Any] = dict(check.__annotations__)
    if any(isinstance(hint, str) for hint in hints.values()):
        hints = get_type_hints(check)
    hints.pop("return", None)
    return hints


def _fact(hint: Any) -> type:
    """`Fact` of `Fact | None`."""
    fact: type = next((one for one in get_args(hint) if one is not type(None)), hint)
    return fact
