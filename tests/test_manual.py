"""The manual: every page and the indexes, from the rules themselves."""

import re

import pytest

from ivdoctor.facts import Failure
from ivdoctor.manual import index, page, suggest
from ivdoctor.plugins import plugins
from ivdoctor.rule import Rule
from ivdoctor.tables import table

RULES = plugins().rules


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_page_has_the_rules_text_and_its_facts(rule: Rule) -> None:
    """Heading, the docstring whole, and what `rule` knows of it."""
    text = page(rule)
    assert text.startswith(f"# {rule.code} {rule.name}\n\n{rule.title}")
    assert rule.manual in text
    assert f"- severity: {rule.severity.value}\n" in text
    assert f"- since: {rule.since}\n" in text
    assert text.endswith("\n")
    told = ["Messages"] if rule.asks_for(Failure) and rule.category else []
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Fix", *told, "Facts"]


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.asks_for(Failure) and rule.category], ids=lambda rule: rule.code)
def test_a_page_about_a_text_shows_what_such_texts_say(rule: Rule) -> None:
    """One message of each family that this very rule explains."""
    shown = " ".join(page(rule).partition("## Messages\n")[2].partition("\n\n")[0].split())
    rows = [row for row in table("message_examples") if row["category"] == rule.category]
    for family in {row["family"] for row in rows}:
        assert any(" ".join(row["text"].split()) in shown for row in rows if row["family"] == family), family


def test_a_page_says_which_facts_the_rule_can_do_without() -> None:
    """So that a reader knows what a skip would mean."""
    (one,) = [rule for rule in RULES if rule.code == "IVD404"]
    (needs,) = [line for line in page(one).splitlines() if line.startswith("- needs: ")]
    assert needs.endswith(", driver (optional), gpu (optional), precision (optional), cast (optional), model (optional)")
    assert "mismatch, place, asked" in needs


def test_a_page_of_a_rule_about_no_failure_has_a_dash_for_its_category() -> None:
    """An empty field would look forgotten."""
    (one,) = [rule for rule in RULES if rule.code == "IVD206"]
    assert "- category: -\n" in page(one)


def test_the_index_has_one_row_a_rule_in_the_order_of_codes() -> None:
    """Code, severity, name and title, each column under its heading."""
    heading, _, *rows = index(RULES).splitlines()
    assert [row.split()[0] for row in rows] == sorted(rule.code for rule in RULES)
    starts = [heading.index(word) for word in ("code", "severity", "name", "what it finds")]
    for rule, row in zip(RULES, rows, strict=True):
        assert [
            row[start:].startswith(text) for start, text in zip(starts, (rule.code, rule.severity.value, rule.name, rule.title), strict=True)
        ] == [True] * 4


def test_the_readmes_index_is_a_markdown_table() -> None:
    """A title with a bar in it would break it."""
    heading, _, *rows = index(RULES, "github").splitlines()
    assert len(rows) == len(RULES)
    assert {row.count("|") for row in (heading, *rows)} == {5}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("IVD102", "IVD102"), ("ivd102", "IVD102"), ("IVD1O2", "IVD102")],
)
def test_a_mistyped_code_or_name_finds_the_nearest(typed: str, meant: str) -> None:
    """Three suggestions at most, the one meant among them."""
    found = suggest(typed, RULES)
    assert meant in found
    assert len(found) <= 3


@pytest.mark.parametrize(("typed", "meant"), [("driver-older-than", "IVD102"), ("projector-dtype", "IVD403"), ("bf16-flag-mislead", "IVD202")])
def test_a_mistyped_name_finds_the_nearest(typed: str, meant: str) -> None:
    """Names are what people remember; the nearest comes first."""
    assert suggest(typed, RULES)[0] == meant


def test_nonsense_still_gets_suggestions() -> None:
    """The error message always has something to point to."""
    assert suggest("???", RULES)
