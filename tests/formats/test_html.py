"""The page: whole in itself, in order, and readable by everybody."""

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from ivdoctor.formats.html import html
from ivdoctor.report import Report

CSS = re.compile(r"<style>(.*?)</style>", re.DOTALL)
VOID = {"meta", "link"}


class Page(HTMLParser):
    """Every element in order, with the text inside it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of this name."""
        return [attributes for name, attributes in self.elements if name == tag]


def test_elements_are_nested_and_closed(report: Report) -> None:
    """Every element is closed, in the order it was opened."""
    assert Page(html.render(report)).open == []


def test_needs_nothing_else(report: Report) -> None:
    """No script, no address to fetch from, and a policy that would refuse both."""
    text = html.render(report)
    page = Page(text)
    assert not {"script", "img", "iframe", "object", "a", "form"} & {name for name, _ in page.elements}
    assert [one["href"] for one in page.all("link")] == ["data:,"]
    assert not re.search(r"url\(|@import|https?:", CSS.findall(text)[0])
    assert any("default-src 'none'" in (one.get("content") or "") for one in page.all("meta"))


def test_headings_are_in_order(report: Report) -> None:
    """One h1, which is the verdict, and no level is skipped on the way down."""
    levels = [int(name[1]) for name, _ in Page(html.render(report)).elements if re.fullmatch(r"h[1-6]", name)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_order_is_verdict_findings_machine_tables_details(clash: Report) -> None:
    """What matters most comes first."""
    assert re.findall(r"<h[12]>(.*?)</h[12]>", html.render(clash)) == ["NOT READY", "Findings", "Machine", "Tables", "Details"]


def test_tables_say_what_their_cells_are(report: Report) -> None:
    """Each table has a caption and a box to scroll in; each heading cell says what it heads."""
    page = Page(html.render(report))
    tables = page.all("table")
    assert tables
    assert len(page.all("caption")) == len(tables)
    assert sum(one.get("class") == "scroll" for one in page.all("div")) == len(tables)
    assert {one.get("scope") for one in page.all("th")} == {"col", "row"}


def test_colour_is_never_alone(report: Report) -> None:
    """Whatever is coloured holds a word."""
    text = html.render(report)
    coloured = re.findall(r'class="(?:\w+ )?(?:good|bad|poor|note)">([^<]*)<', text)
    assert coloured
    assert all(re.search(r"\w{2,}", word) for word in coloured if word.strip())


def test_says_its_language_and_width(report: Report) -> None:
    """Readers aloud know the language, phones the width, and both schemes are known."""
    page = Page(html.render(report))
    assert page.all("html") == [{"lang": "en"}]
    names = {one.get("name"): one.get("content") for one in page.all("meta")}
    assert names["viewport"] == "width=device-width, initial-scale=1"
    assert names["color-scheme"] == "light dark"


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_contrast_is_enough(clash: Report, scheme: int) -> None:
    """Every text colour stands off both grounds by WCAG's 4.5 to 1, in each scheme."""
    blocks = re.findall(r":root \{(.*?)\}", CSS.findall(html.render(clash))[0], re.DOTALL)
    assert len(blocks) == 3
    colours = dict(re.findall(r"--(\w+): (#\w{6})", blocks[scheme]))
    assert set(colours) == {"page", "panel", "line", "text", "soft", "good", "bad", "poor", "note"}
    for ground in ("page", "panel"):
        for name in ("text", "soft", "good", "bad", "poor", "note"):
            lighter, darker = sorted((_luminance(colours[ground]), _luminance(colours[name])), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (ground, name)


def test_authors_own_code_is_code(clash: Report) -> None:
    """Words that a rule's author put in backticks are code."""
    assert "as in <code>torch.matmul</code>, may be" in html.render(clash)
