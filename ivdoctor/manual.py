"""The manual: a page a rule from its docstring, and the index of all."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from textwrap import indent

from .facts import Failure
from .outcome import subject_of
from .rule import Rule
from .tables import table


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
    return f"# {rule.code} {rule.name}\n\n{rule.manual}\n\n{_messages(rule)}## Facts\n{listed}\n"


def _messages(rule: Rule) -> str:
    """What texts say when they tell of such a failure: an example of each family."""
    if not (rule.category and rule.asks_for(Failure)):
        return ""
    firsts = {row["family"]: row["text"] for row in reversed(table("message_examples")) if row["category"] == rule.category}
    listed = indent("\n".join(reversed(firsts.values())), "    ")
    return f"## Messages\n{listed}\n\n"


def index(rules: Iterable[Rule], style: str = "simple") -> str:
    """One row a rule; `style` is tabulate's: `simple` for a terminal, `github` for the README."""
    from tabulate import tabulate

    rows = [(rule.code, rule.severity.value, rule.name, rule.title) for rule in rules]
    text: str = tabulate(rows, headers=("code", "severity", "name", "what it finds"), tablefmt=style, disable_numparse=True)
    return f"{text}\n"


def suggest(typed: str, rules: Sequence[Rule]) -> list[str]:
    """The three codes nearest to what was typed, be it a code or a name."""
    codes = {name: rule.code for rule in rules for name in (rule.code.lower(), rule.name)}

    def likeness(name: str) -> float:
        return difflib.SequenceMatcher(a=name, b=typed.lower()).ratio()

    return list(dict.fromkeys(codes[name] for name in sorted(codes, key=likeness, reverse=True)))[:3]


SHOWN = (
    *("T4", "V100", "P40", "RTX 2080 Ti", "A100", "RTX 3090", "RTX 4090", "L40S", "H100", "H20", "B200", "RTX 5090"),
    *("MI250", "MI300X", "RX 7900 XTX", "M1", "M3", "Arc A770", "icelake", "sapphirerapids"),
)
"""The targets of the README's table: what is rented, what stands under desks, and two processors."""


def verdicts(style: str = "github") -> str:
    """A row a target: what its hardware does with each format, and the newest torch that carries code for it."""
    from tabulate import tabulate

    from .builds import carriers, machine_of, usual
    from .targets import target

    rows = []
    for name in SHOWN:
        place = target(name)
        best = usual(carriers(place.compute_capability, place.gfx, machine_of(place)))
        formats = [place.dtypes.of(dtype) for dtype in ("fp16", "bf16", "fp8_e4m3", "int4")]
        rows.append(
            (f"{name} ({place.architecture})" if name != place.architecture else name, *formats, f"{best.torch_last}+{best.build}" if best else "-")
        )
    text: str = tabulate(rows, headers=("target", "fp16", "bf16", "fp8", "int4", "newest torch"), tablefmt=style, disable_numparse=True)
    return text


BEGIN, END = "<!-- generated: {name} -->", "<!-- end -->"


def renewed(readme: str, parts: Mapping[str, str]) -> str:
    """
    The text with what stands between each part's marks replaced.

    Raises:
        ValueError: a mark is missing.
    """
    for name, text in parts.items():
        begin = BEGIN.format(name=name)
        before, found, rest = readme.partition(begin)
        _, closed, after = rest.partition(END)
        if not (found and closed):
            raise ValueError(f"no {begin} ... {END}")
        readme = f"{before}{begin}\n\n{text.strip()}\n\n{END}{after}"
    return readme


def main() -> None:
    """`python -m ivdoctor.manual README.md [--check]`."""
    import sys
    from pathlib import Path

    import click

    from . import systems_page
    from .cli import main as cli
    from .plugins import plugins

    readme = Path(sys.argv[1])
    own = [rule for rule in plugins().rules if rule.builtin]
    parts = {"rules": index([rule for rule in own if not rule.asks_for(Failure)], "github")}
    parts["text rules"] = index([rule for rule in own if rule.asks_for(Failure)], "github")
    parts["targets"] = verdicts()
    parts["systems"] = systems_page.table(readme.parent / "tests" / "systems")
    for name in ("check", "census", "explain", "targets"):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        helped = command.get_help(click.Context(command, info_name=f"ivdoctor {name}", terminal_width=100, max_content_width=100))
        parts[f"{name} --help"] = f"```\n{helped}\n```"
    new = renewed(readme.read_text(encoding="utf-8"), parts)
    if "--check" not in sys.argv:
        readme.write_text(new, encoding="utf-8")
    elif new != readme.read_text(encoding="utf-8"):
        sys.exit(f"{readme} is stale: run `nox -s manual`")


if __name__ == "__main__":
    main()
