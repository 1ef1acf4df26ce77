"""
How often `ivdoctor explain` is right about public error lines, and how far two readers agree on what right is.

`python benchmarks/corpus.py` prints the figures of `tests/logs/cases.csv` (error lines of public threads; the readers turned each thread's
cure into actions) and of `tests/logs/messages.csv` (messages that PyTorch raised on a CPU; the readers said what each is about). The
recognisers were written with these lines at hand: the figures say that they are known, not how many others are.
"""

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ivdoctor.explanation import explain, read
from ivdoctor.finding import Finding

LOGS = Path(__file__).parent.parent / "tests" / "logs"
Row = dict[str, str]

PRECISION = frozenset({"cast-input", "cast-model", "cast-module", "load-dtype", "fp16", "bf16", "fp32", "autocast"})
"""Actions that change a dtype."""

ABOUT_DTYPES = frozenset({"neg-integer-dtype", "neg-missing-dtype"})
"""Negatives of the survey whose messages name a dtype."""

UNKNOWN_IS_RIGHT = "neg-other"
"""What nobody can tell from the text: saying so is the right answer."""

CASES, ACTIONS, MESSAGES = 0.97, 0.90, 0.98
"""The bounds: categories of cases, actions of confirmed cases, categories of messages."""


def rows(name: str) -> list[Row]:
    """One of the two tables."""
    with (LOGS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def found(text: str) -> Sequence[Finding]:
    """What a text is told, the gravest first, no hardware known but what it names itself."""
    return explain(read(io.BytesIO(text.encode()))).findings


def category(text: str) -> str:
    """Of the first finding; empty where nothing is known."""
    return next((one.category for one in found(text)), "")


def labelled(case: Row) -> set[str]:
    """The actions that either reader took from the thread's cure."""
    return {*case["actions_a"].split(), *case["actions_b"].split()}


def wrong_cases(cases: Iterable[Row]) -> Iterator[tuple[str, str, str]]:
    """Identifier, label and answer of each case whose category is missed."""
    for case in cases:
        said = category(case["error_text"])
        if said != case["category"]:
            yield case["id"], case["category"], said


def confirmed(cases: Iterable[Row]) -> list[Row]:
    """Cases whose cure the thread confirms, or a maintainer or a commenter names; the others are the collector's judgement."""
    return [case for case in cases if case["evidence"] != "inferred"]


def missed_cures(cases: Iterable[Row], fixes: int = 2) -> Iterator[str]:
    """Identifiers of cases where none of the first few fixes is an action of either reader."""
    for case in cases:
        first = next(iter(found(case["error_text"])), None)
        if not first or not labelled(case) & {fix.action for fix in first.fixes[:fixes]}:
            yield case["id"]


def tempted(cases: Iterable[Row]) -> dict[str, list[str]]:
    """By identifier, the actions on a dtype that any finding offers for what is no matter of precision."""
    offered = {
        case["id"]: [fix.action for one in found(case["error_text"]) for fix in one.fixes if fix.action in PRECISION]
        for case in cases
        if case["is_precision"] == "no"
    }
    return {identifier: actions for identifier, actions in offered.items() if actions}


def _line(message: Row) -> str:
    return f"{message['type']}: {message['message']}"


def wrong_messages(messages: Iterable[Row]) -> Iterator[tuple[str, str, str]]:
    """Text, label and answer of each message whose category is missed."""
    for message in messages:
        said = category(_line(message))
        if said != message["category"] and (said or message["category"] != UNKNOWN_IS_RIGHT):
            yield message["message"], message["category"], said


def false_alarms(messages: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Text and answer of each message that names no dtype and is given a category about one."""
    for message in messages:
        said = category(_line(message))
        if message["dtype"] == "no" and said and (not said.startswith("neg-") or said in ABOUT_DTYPES):
            yield message["message"], said


def kappa(pairs: Sequence[tuple[str, str]]) -> float:
    """Cohen's: the agreement of two readers beyond that of chance, 1 for a full one."""
    total = len(pairs)
    agreed = sum(one == other for one, other in pairs) / total
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    chance = sum(first[label] * second[label] for label in first) / total**2
    return 1.0 if chance == 1 else (agreed - chance) / (1 - chance)


def agreement(pairs: Sequence[tuple[str, str]]) -> str:
    """As a sentence's end."""
    same = sum(one == other for one, other in pairs)
    return f"{_share(same, len(pairs))}, Cohen's kappa {kappa(pairs):.3f}"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.1f} %)"


def main() -> int:
    """The exit code is 1 where a bound is missed."""
    cases, messages = rows("cases"), rows("messages")
    sure = confirmed(cases)
    wrong, missed, unlike = list(wrong_cases(cases)), list(missed_cures(sure)), list(wrong_messages(messages))
    negatives = [case for case in cases if case["is_precision"] == "no"]
    offered, alarms = tempted(cases), list(false_alarms(messages))
    print(f"cases: category right in {_share(len(cases) - len(wrong), len(cases))}, bound {CASES:.0%}")
    for identifier, label, said in wrong:
        print(f"  {identifier}: {label}, told {said or 'nothing'}")
    print(f"confirmed cases: a reader's action among the first two fixes in {_share(len(sure) - len(missed), len(sure))}, bound {ACTIONS:.0%}")
    print(f"  not in {', '.join(missed) or 'none'}; the first fix alone has one in {_share(len(sure) - len(list(missed_cures(sure, 1))), len(sure))}")
    rest = [case for case in cases if case["evidence"] == "inferred"]
    print(f"  the other cases, whose cures are inferred: {_share(len(rest) - len(list(missed_cures(rest))), len(rest))}")
    print(f"negatives: an action on a dtype offered in {_share(len(offered), len(negatives))}: {', '.join(offered) or 'none'}")
    print(f"readers of the cases: same first action in {agreement([(case['first_a'], case['first_b']) for case in cases])}")
    same = sum(set(case["actions_a"].split()) == set(case["actions_b"].split()) for case in cases)
    print(f"  same set of actions in {_share(same, len(cases))}")
    print(f"messages: category right in {_share(len(messages) - len(unlike), len(messages))}, bound {MESSAGES:.0%}")
    for text, label, said in unlike:
        print(f"  {label}, told {said or 'nothing'}: {text[:100]}")
    silent = sum(message["dtype"] == "no" for message in messages)
    print(f"messages without a dtype that get a category about one: {_share(len(alarms), silent)}")
    print(f"readers of the messages: same category in {agreement([(one['category_a'], one['category_b']) for one in messages])}")
    print(f"  same answer on whether a dtype is named in {agreement([(one['dtype_a'], one['dtype_b']) for one in messages])}")
    changed = sum(one["category"] not in (one["category_a"], one["category_b"]) for one in messages)
    print(f"  {changed} labels are neither reader's, for the reason in the column `why`, mostly a slug that the readers were not offered")
    for reader in "ab":
        alone = len(list(wrong_messages({**one, "category": one[f"category_{reader}"]} for one in messages)))
        print(f"  category right by the labels of reader {reader} alone in {_share(len(messages) - alone, len(messages))}")
    kept = len(wrong) <= (1 - CASES) * len(cases) and len(missed) <= (1 - ACTIONS) * len(sure) and len(unlike) <= (1 - MESSAGES) * len(messages)
    return 0 if kept and not alarms else 1


if __name__ == "__main__":
    sys.exit(main())
