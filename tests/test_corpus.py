"""Public error lines and torch's own messages, with the labels of two readers: how often `explain` is right."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ivdoctor.finding import ACTIONS
from ivdoctor.plugins import plugins

if TYPE_CHECKING:
    from benchmarks import corpus
else:  # a folder of scripts, which nobody installs
    spec = spec_from_file_location("ivdoctor_corpus", Path(__file__).parent.parent / "benchmarks" / "corpus.py")
    corpus = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(corpus)

CASES, MESSAGES = corpus.rows("cases"), corpus.rows("messages")

UNDECIDABLE = {"c058": ("c041", "c042", "c043")}
"""Its thread moved a module to the GPU; its one line, `expected scalar type Float but found Half`, is that of cases that need a cast."""

DENIED = {"other-dtype"}
"""A label that no rule has: about a dtype, and none of the kinds."""


def test_the_corpus_is_whole() -> None:
    """166 cases with identifiers of their own, 750 messages, each once for the first release that said so; every label is a category, every action a kind of change."""
    known = {rule.category for rule in plugins().rules}
    assert (len(CASES), len({case["id"] for case in CASES})) == (166, 166)
    assert (len(MESSAGES), len({(one["type"], one["message"], one["first"]) for one in MESSAGES})) == (750, 750)
    assert {case["category"] for case in CASES} <= known
    assert {one["category"] for one in MESSAGES} <= known | DENIED
    assert {action for case in CASES for action in corpus.labelled(case)} <= set(ACTIONS)
    assert all(case[f"first_{reader}"] in case[f"actions_{reader}"].split() for case in CASES for reader in "ab")
    assert {one["dtype"] for one in MESSAGES} == {case["is_precision"] for case in CASES} == {"yes", "no"}


def test_the_category_of_a_public_error_line_is_right() -> None:
    """In 97 of 100, by the first finding."""
    assert len(list(corpus.wrong_cases(CASES))) <= (1 - corpus.CASES) * len(CASES)


def test_the_first_two_fixes_hold_a_cure_that_was_confirmed() -> None:
    """An action that either reader took from the thread, in 9 of 10 cases whose cure is more than the collector's judgement."""
    sure = corpus.confirmed(CASES)
    assert len(sure) >= 60
    assert len(list(corpus.missed_cures(sure))) <= (1 - corpus.ACTIONS) * len(sure)


def test_no_dtype_is_changed_where_no_dtype_is_wrong() -> None:
    """No fix of any finding, but for the one case whose line cannot tell."""
    assert sum(case["is_precision"] == "no" for case in CASES) >= 15
    assert corpus.tempted(CASES).keys() == UNDECIDABLE.keys()


@pytest.mark.parametrize(("case", "twins"), UNDECIDABLE.items())
def test_what_cannot_be_decided_is_word_for_word_another_failure(case: str, twins: tuple[str, ...]) -> None:
    """Whoever answers one of them right answers the other wrong."""
    by_name = {one["id"]: one for one in CASES}
    words = {name: by_name[name]["error_text"].removeprefix("RuntimeError:").strip() for name in (case, *twins)}
    assert set(words.values()) == {"expected scalar type Float but found Half"}
    assert [by_name[name]["is_precision"] for name in (case, *twins)] == ["no", "yes", "yes", "yes"]


def test_the_category_of_a_message_of_torchs_is_right() -> None:
    """In 98 of 100; what nobody can tell may stay unknown."""
    assert len(list(corpus.wrong_messages(MESSAGES))) <= (1 - corpus.MESSAGES) * len(MESSAGES)


def test_no_message_without_a_dtype_is_called_one_about_dtypes() -> None:
    """A missing function, a shape, a NaN."""
    assert sum(one["dtype"] == "no" for one in MESSAGES) >= 50
    assert list(corpus.false_alarms(MESSAGES)) == []


def test_the_readers_agree() -> None:
    """Far beyond chance, or the labels would decide nothing."""
    assert corpus.kappa([(case["first_a"], case["first_b"]) for case in CASES]) > 0.9
    assert corpus.kappa([(one["category_a"], one["category_b"]) for one in MESSAGES]) > 0.9


@pytest.mark.parametrize(
    ("pairs", "value"),
    [
        ([("a", "a"), ("b", "b")], 1.0),
        ([("a", "a"), ("a", "a")], 1.0),
        ([("a", "b"), ("b", "a")], -1.0),
        ([("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")], 0.0),
        ([("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15, 0.4),
    ],
)
def test_kappa_is_cohens(pairs: list[tuple[str, str]], value: float) -> None:
    """The last is the textbook's: 70 % agree, 50 % would by chance."""
    assert corpus.kappa(pairs) == pytest.approx(value)


def test_a_wrong_answer_would_be_counted() -> None:
    """Each count can be other than none."""
    case = {**CASES[0], "category": "neg-oom", "is_precision": "no", "actions_a": "device", "actions_b": "other"}
    assert [one[1:] for one in corpus.wrong_cases([case])] == [("neg-oom", CASES[0]["category"])]
    assert list(corpus.missed_cures([case])) == list(corpus.tempted([case])) == [case["id"]]
    message = {**MESSAGES[0], "category": "neg-oom", "dtype": "no"}
    assert len(list(corpus.wrong_messages([message]))) == len(list(corpus.false_alarms([message]))) == 1
    unknown = {"type": "AcmeError", "message": "nothing that anybody knows", "category": "neg-other", "dtype": "no"}
    assert list(corpus.wrong_messages([unknown])) == []
    assert len(list(corpus.wrong_messages([{**unknown, "category": "neg-oom"}]))) == 1
