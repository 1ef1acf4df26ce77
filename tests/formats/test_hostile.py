"""Whatever stands in a fact, every format stays what it is."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from itertools import cycle
from typing import Any, Literal, get_args, get_origin, get_type_hints
from xml.etree import ElementTree as ET

import click
import jsonschema  # type: ignore[import-untyped]  # it ships no types
import junitparser
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ivdoctor.facts import Site
from ivdoctor.finding import Fix
from ivdoctor.formats._words import clean
from ivdoctor.formats.github import github
from ivdoctor.formats.html import html
from ivdoctor.formats.json import json as json_format
from ivdoctor.formats.junit import junit
from ivdoctor.formats.markdown import LIMIT, markdown
from ivdoctor.formats.terminal import terminal
from ivdoctor.report import Loader, Report
from ivdoctor.schema import schema

PIECES = [
    "<script>alert(1)</script>",
    "</pre></code></details><b onclick=x>",
    "<!--",
    "]]>",
    "&amp;&#64;",
    "{{ 7*7 }}{% raw %}",
    "`",
    "```\n",
    "|",
    "\\",
    "\\|",
    "@octocat",
    "#1",
    "https://example.org",
    "![x](y)",
    "[x]: y",
    "\n",
    "\r\n",
    "\n\n",
    "\n# ",
    "\n- ",
    "\n| - | - |\n",
    "\n::error::forged\n",
    "##[error]",
    "%0A",
    "\x1b[31m",
    "\x1b]0;x\x07",
    "\x1b",
    "\x00",
    "\x08",
    "\x85",
    "\u2028",
    "\u202e",
    "\ud800",
    "\udcff",
    "\ufffe",
    "\U0001f600",
    "日本語",
    "x",
    " ",
    "\t",
    "-",
    "1.",
    "'",
    '"',
]
HOSTILE = st.lists(st.sampled_from(PIECES) | st.text(st.characters(), max_size=5), min_size=1, max_size=12).map("".join) | st.builds(
    lambda piece, count: "x" + piece * count, st.sampled_from(PIECES), st.integers(20, 50)
)
VALIDATOR = jsonschema.Draft202012Validator(schema())
EXAMPLES = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def poisoned(value: Any, texts: Iterator[str]) -> Any:
    """The same with another text wherever any text may stand; the contract's own words, such as a severity, and codes stay."""
    if type(value) is str:
        return next(texts) if value else value
    if isinstance(value, (tuple, list)):
        return type(value)(poisoned(one, texts) for one in value)
    if isinstance(value, dict):
        return {key: poisoned(one, texts) for key, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        hints = get_type_hints(type(value))
        kept = set() if isinstance(value, (Fix, Loader, Site)) else {"code"}
        kept |= {name for name, hint in hints.items() if any(get_origin(one) is Literal for one in (hint, *get_args(hint)))}
        return replace(value, **{one.name: poisoned(getattr(value, one.name), texts) for one in fields(value) if one.name not in kept})
    return value


@pytest.fixture
def shown(clash: Report, sick: Report) -> Report:
    """One report with something in every field."""
    return replace(
        clash,
        subjects={**clash.subjects, **{name: one for name, one in sick.subjects.items() if name not in clash.subjects}},
        rules=replace(clash.rules, errors=sick.rules.errors),
    )


def _made(report: Report, texts: list[str]) -> Report:
    """
    No field is empty, and no two are equal, whatever the texts: which parts a page has depends on both.

    What may stand at a text's very beginning has tests of its own.
    """
    numbered = (f"x{number} {_one(text)}" for number, text in enumerate(cycle(texts)))
    made: Report = poisoned(report, numbered)
    return made


def _one(text: str) -> str:
    """Without the mark between an error's name and its message, which a line break or a colour can hide."""
    return text.replace(":", ";") if ": " in clean(text) else text


class Tags(HTMLParser):
    """Every tag and attribute, code and labels apart: those follow the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[object] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "code":
            self.tags.append((tag, [(name, value) for name, value in attrs if name != "aria-label"]))

    def handle_endtag(self, tag: str) -> None:
        if tag != "code":
            self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.tags.append(("declaration", decl))

    def unknown_decl(self, data: str) -> None:
        self.tags.append(("unknown", data))

    def handle_pi(self, data: str) -> None:
        self.tags.append(("instruction", data))


TEXTS = st.lists(HOSTILE, min_size=1, max_size=7)


@EXAMPLES
@given(texts=TEXTS)
def test_html_keeps_its_tags(shown: Report, texts: list[str]) -> None:
    """No tag, comment or attribute comes from a text, and no control character is in the page."""
    text = html.render(_made(shown, texts))
    assert Tags(text).tags == Tags(html.render(_made(shown, [""]))).tags
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)


@EXAMPLES
@given(texts=TEXTS)
def test_xml_keeps_its_cases(shown: Report, texts: list[str]) -> None:
    """The XML parses, with the cases and the results it would have with harmless texts."""
    text = junit.render(_made(shown, texts))
    plain = ET.fromstring(junit.render(_made(shown, [""])))
    assert sorted(
        element.tag for element in ET.fromstring(text.encode()).iter() if element.tag not in ("testsuite", "properties", "property")
    ) == sorted(element.tag for element in plain.iter() if element.tag not in ("testsuite", "properties", "property"))
    assert sum(suite.tests for suite in junitparser.JUnitXml.fromstring(text.encode())) == int(plain.get("tests", ""))


@EXAMPLES
@given(texts=TEXTS)
def test_json_keeps_to_the_contract(shown: Report, texts: list[str]) -> None:
    """The JSON as it is written to a file parses, validates, and has every text that can be written."""
    report = _made(shown, texts)
    raw = json.loads(json_format.render(report).encode(errors="replace"))
    VALIDATOR.validate(raw)
    assert raw["reason"] == report.reason.encode(errors="replace").decode()


@EXAMPLES
@given(texts=TEXTS)
def test_terminal_keeps_its_lines(shown: Report, texts: list[str]) -> None:
    """No line begins with what a text brought, and no control character is left when ivdoctor's own colours are gone."""
    text = click.unstyle(terminal.render(_made(shown, texts)))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)
    assert text.splitlines()[-1].startswith("NOT READY: x")
    assert sum(line.startswith(("error ", "warning ", "note ")) for line in text.splitlines()) == len(shown.findings)


@EXAMPLES
@given(texts=TEXTS)
def test_github_keeps_its_commands(shown: Report, texts: list[str]) -> None:
    """One command a finding, and one last line that is none."""
    lines = github.render(_made(shown, texts)).split("\n")
    assert [bool(re.match(r"::(?:error|warning|notice) title=[^:,]*::[^:]", line)) for line in lines] == [True] * len(shown.findings) + [False, False]
    assert lines[-2].startswith("NOT READY: x")
    assert "##[" not in lines[-2]
    assert lines[-1] == ""


@EXAMPLES
@given(texts=TEXTS)
def test_markdown_keeps_its_blocks(shown: Report, texts: list[str]) -> None:
    """Blocks, tables and folded parts are those of harmless texts; no text becomes HTML, a link or a mention."""
    parser = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    text = markdown.render(_made(shown, texts))
    assert len(text) <= LIMIT
    tokens = parser.parse(text)
    inner = [child for token in tokens for child in token.children or ()]
    kinds = {"text", "code_inline", "strong_open", "strong_close", "em_open", "em_close", "softbreak"}
    assert {child.type for child in inner} <= kinds
    plain = " ".join(child.content for child in inner if child.type == "text")
    assert not re.search(r"[@#<>`|\\\[\]&$*~]|://", plain)
    assert all(
        re.fullmatch(r"(</?details>|<summary>([^<>]|</?code>)*</summary>|<!-- end of ivdoctor report -->|\n)*", token.content)
        for token in tokens
        if token.type == "html_block"
    )
    if "Cut to stay below" not in text:
        expected = markdown.render(_made(shown, [""]))
        bodies = [one[one.index("\n### Findings\n") :] for one in (text, expected)]  # whether code fits in the head is the text's own matter
        of_text, of_harmless = ([token.type for token in parser.parse(body)] for body in bodies)
        assert of_text == of_harmless


@pytest.mark.parametrize("text", [*PIECES, "", "x" * 20_000, "@" * 20_000, "`" * 20_000, "| " * 10_000, "\n" * 20_000])
def test_texts_of_one_kind(shown: Report, text: str) -> None:
    """Every format takes each text alone in every field, at any length, the empty one too."""
    report: Report = poisoned(shown, cycle([text]))
    assert len(markdown.render(report)) <= LIMIT
    ET.fromstring(junit.render(report).encode())
    Tags(html.render(report))
    json.loads(json_format.render(report).encode(errors="replace"))
    assert terminal.render(report)
    assert github.render(report).count("\n") == len(shown.findings) + 1
