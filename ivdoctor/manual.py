"""The manual: a page a rule from its docstring, and the index of all."""

import difflib
from collections.abc import Iterable, Sequence

from .outcome import subject_of
from .rule import Rule


def page(rule: Rule) -> str:
    """A rule's page, as Markdown."""
    needs = ", ".join(subject_of(need) + (" (optional)" if name in rule.optional else "") for name, need in rule.needs)
    facts = [
        ("severity", rule.severity.value),
        ("confidence", rule.confidence),
        ("category", rule.category or "-"),
        ("needs", needs),
        ("since", rule.since),
        ("status", rule.status),
    ]
    listed = "\n".join(f"- {name}: {value}" for name, value in facts)
    return f"# {rule.code} {rule.name}\n\n{rule.manual}\n\n## Facts\n{listed}\n"


def index(rules: Iterable[Rule]) -> str:
    """One line a rule."""
    return "".join(f"{rule.code}  {rule.severity.value:<7}  {rule.name}: {rule.title}\n" for rule in rules)


def markdown_table(rules: Iterable[Rule]) -> str:
    """The index as the README shows it."""
    rows = "".join(f"| {rule.code} | {rule.severity.value} | {rule.name} | {rule.title} |\n" for rule in rules)
    return f"| code | severity | name | what it finds |\n|---|---|---|---|\n{rows}"


def suggest(code: str, rules: Sequence[Rule]) -> list[str]:
    """The three codes nearest to what was typed."""
    names = {name: rule.code for rule in rules for name in (rule.code, rule.name)}
    near = difflib.get_close_matches(code.upper(), names, n=3, cutoff=0) + difflib.get_close_matches(code.lower(), names, n=3, cutoff=0.6)
    return list(dict.fromkeys(names[name] for name in near))[:3]
