"""The page: whole in itself, in order, and readable by everybody."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from ivdoctor.formats.html import html
from ivdoctor.report import Report, Series

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
    """No address to fetch from, and a policy that would refuse it; the one link leads into the page itself."""
    text = html.render(report)
    page = Page(text)
    assert not {"img", "iframe", "object", "form", "use", "image"} & {name for name, _ in page.elements}
    assert [one["href"] for one in page.all("link")] == ["data:,"]
    assert [one["href"] for one in page.all("a")] == ["#main"]
    assert not {name for _, attributes in page.elements for name in attributes} & {"src", "srcset", "action", "style", "xlink:href"}
    assert not re.search(r"url\(|@import|https?:", CSS.findall(text)[0])
    assert any("default-src 'none'" in (one.get("content") or "") for one in page.all("meta"))


def test_its_one_script_is_the_one_allowed(report: Report) -> None:
    """The policy names the script by its hash, so that no other runs, and no element has a script of its own."""
    text = html.render(report)
    page = Page(text)
    assert page.all("script") == [{}]
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    expected = b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{expected}';" in text
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_headings_are_in_order(report: Report) -> None:
    """One h1, which is the verdict, and no level is skipped on the way down."""
    levels = [int(name[1]) for name, _ in Page(html.render(report)).elements if re.fullmatch(r"h[1-6]", name)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_order_is_what_matters_most(clash: Report) -> None:
    """The verdict, what to do, what is there, the pictures, and then the rest."""
    assert re.findall(r"<h[12]>(.*?)</h[12]>", html.render(clash)) == [
        "NOT READY",
        "Findings",
        "A loader for this machine",
        "Machine",
        "Tables",
        "Number formats",
        "Charts",
        "Details",
    ]


def test_tables_say_what_their_cells_are(report: Report) -> None:
    """Each table has a caption and a box to scroll in, as each picture has; each heading cell says what it heads."""
    page = Page(html.render(report))
    tables = page.all("table")
    assert tables
    assert len(page.all("caption")) == len(tables)
    assert sum(one.get("class") == "scroll" for one in page.all("div")) == len(tables) + len(page.all("figure"))
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


def _ratio(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_contrast_is_enough(clash: Report, scheme: int) -> None:
    """By WCAG, in each scheme: 4.5 to 1 for every text on its ground, 3 to 1 for every line of a chart."""
    blocks = re.findall(r":root \{(.*?)\}", CSS.findall(html.render(clash))[0], re.DOTALL)
    assert len(blocks) == 3
    colours = dict(re.findall(r"--(\w+): (#\w{6})", blocks[scheme]))
    texts = ("text", "soft", "good", "bad", "poor", "note")
    cells = {"goodfill": "good", "badfill": "bad", "poorfill": "poor", "nonefill": "soft"}
    series = [f"series{number}" for number in range(1, 5)]
    assert set(colours) == {"page", "panel", "line", *texts, *cells, *series}
    for ground, text in [*((ground, text) for ground in ("page", "panel") for text in texts), *cells.items()]:
        assert _ratio(colours[ground], colours[text]) >= 4.5, (ground, text)
    for line in (*series, "bad"):
        assert _ratio(colours["page"], colours[line]) >= 3, line
        assert _ratio(colours["badfill"], colours[line]) >= 3, line


def test_every_block_of_code_can_be_copied(report: Report) -> None:
    """Each has a button of its own, which says what it copies and is not there without the script."""
    text = html.render(report)
    page = Page(text)
    assert len(page.all("button")) == len(page.all("pre")) == sum(bool(one) for fix in _fixes(report) for one in fix) + len(report.loaders)
    assert all(one == {"type": "button", "class": "copy", "hidden": None} for one in page.all("button"))
    said = re.findall(r'<button[^>]*><span>Copy</span><span class="unseen">: (.+?)</span></button>', text)
    assert len(said) == len(page.all("button"))


def _fixes(report: Report) -> list[tuple[str, str, str]]:
    return [(fix.code, fix.command, fix.diff) for finding in report.findings for fix in finding.fixes]


def test_loaders_are_folded(clash: Report) -> None:
    """They are long, and the fixes come first; each has its place, its reason where there is one, and its code as it was written."""
    text = html.render(clash)
    assert re.findall(r'<details class="finding loader"( open|)>\n<summary><h3>(.*?)</h3>', text) == [
        ("", "Load in fp16 (cuda:0)"),
        ("", "Load in fp32 (cpu)"),
    ]
    assert "<p>It has <code>float16</code> only; the cast was tried here.</p>" in text
    assert ".all():\n    raise SystemExit(" in text


def test_a_picture_has_its_words_and_its_numbers(clash: Report) -> None:
    """Each names itself and describes itself, and the table of the same title is folded below it and nowhere else."""
    text = html.render(clash)
    figures = re.findall(r"<figure>(.*?)</figure>", text, re.DOTALL)
    assert len(figures) == 2
    for figure, title in zip(figures, ("Number formats (cuda:0)", "Drift per module (cuda:0)"), strict=True):
        (name,) = re.findall(r'<svg id="([\w-]+)" class="picture \w+" role="img"', figure)
        assert f'aria-labelledby="{name}-title" aria-describedby="{name}-desc"' in figure
        assert f'<title id="{name}-title">{title}</title>' in figure
        assert re.search(f'<desc id="{name}-desc">[^<]{{20,}}</desc>', figure)
        assert re.search(r"<details>.*<table>.*</details>", figure, re.DOTALL)
        assert text.count(f"<caption><span>{title}</span>") == 1
    assert clash.charts[0].alternative in figures[1].rpartition("</svg>")[2]


def test_a_chart_without_steps_is_told(clash: Report) -> None:
    """Where there is nothing to draw there is no picture; the words stay."""
    text = html.render(replace(clash, charts=(replace(clash.charts[0], steps=(), series=()),)))
    assert 'id="chart-1"' not in text
    assert f"<p>{clash.charts[0].alternative}</p>" in text


def test_many_steps_in_a_point_are_told(clash: Report) -> None:
    """A reader knows that a point stands for several steps."""
    steps = tuple(f"layer.{number}" for number in range(1500))
    values = tuple(1e-3 + number * 1e-6 for number in range(1500))
    text = html.render(replace(clash, charts=(replace(clash.charts[0], steps=steps, series=(Series(label="bf16", values=values),)),)))
    assert "Each point is the worst of 3 steps." in text


def test_authors_own_code_is_code(clash: Report) -> None:
    """Words that a rule's author put in backticks are code."""
    assert "as in <code>torch.matmul</code>, may be" in html.render(clash)
