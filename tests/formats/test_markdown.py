"""What a maintainer reads in an issue, and that no text can do more there than be read."""

import re
from dataclasses import replace
from typing import Any

import pytest

from ivdoctor.finding import Finding, Fix, Severity, Tried
from ivdoctor.formats import _markdown
from ivdoctor.formats.markdown import END, HEAD_LINES, LIMIT, markdown
from ivdoctor.gate import Answer
from ivdoctor.report import Line, Report

md = pytest.importorskip("markdown_it")
PARSER = md.MarkdownIt("commonmark").enable("table")

DANGEROUS = [
    "@torvalds",
    "thanks @torvalds, see org/repo#12",
    "#1",
    "GH-123",
    "CVE-2024-3094 in a4b03df0123",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "https://example.org/?a=1",
    "www.example.org",
    "someone@example.org",
    "<img src=x onerror=alert(1)>",
    "<!-- hidden -->",
    "</details></summary><script>alert(1)</script>",
    "![pixel](https://example.org/p.png)",
    "[text](javascript:alert(1))",
    "[a]: https://example.org",
    "`code` and ``more`` and `",
    "``` fence",
    "a | b || c \\| d \\",
    "**bold** _em_ ~~gone~~ $x^2$",
    "# heading",
    "- item",
    "+ item",
    "1. item",
    "123) item",
    "> quote",
    "=====",
    "---",
    "&lt;b&gt; &amp; &#64;octocat",
    "\\@octocat \\`",
    ":smile: :+1: :100:",
    "(x_y), (z`w) and f(a_b)(c_d);",
    "two  spaces\nand a line",
]


def _flat(text: str) -> list[Any]:
    """Every token, those inside a line included."""
    return [inner for token in PARSER.parse(text) for inner in (token, *(token.children or ()))]


def _read(text: str) -> str:
    """What a reader sees of a line of Markdown."""
    return "".join({"softbreak": "\n"}.get(token.type, token.content) for token in _flat(text) if token.type != "inline")


@pytest.mark.parametrize("text", DANGEROUS)
def test_text_is_only_read(text: str) -> None:
    """A dangerous text comes out as one paragraph of words and code, with nothing in the words for GitHub to find."""
    tokens = _flat(_markdown.prose(text))
    assert {token.type for token in tokens} <= {"paragraph_open", "paragraph_close", "inline", "text", "code_inline"}
    plain = " ".join(token.content for token in tokens if token.type == "text")
    assert not re.search(r"[@#<>$~`*_|\\\[\]&]|://|www\.|:\w+:|[A-Z]+-\d|\b[0-9a-f]{7,}\b", plain)


@pytest.mark.parametrize("text", [one for one in DANGEROUS if not one.startswith("`code`")])
def test_text_is_read_whole(text: str) -> None:
    """What is read is what was said, white space apart."""
    assert _read(_markdown.prose(text)).split() == text.split()


def test_authors_own_code_stays_code() -> None:
    """Words that a rule's author put in backticks are code without their backticks."""
    assert _markdown.prose("The package (`pynvml`), and `no kernel` of `x`.") == "The package (`pynvml`), and `no kernel` of `x`."


def test_plain_sentences_stay_plain() -> None:
    """torch's own message needs no code, and reads as torch said it."""
    said = "Input type (c10::BFloat16) and bias type (c10::Half) should be the same on cuda:0: stop!"
    assert _markdown.prose(said) == said


def test_punctuation_stays_outside_code() -> None:
    """Brackets and commas around a name are the sentence's."""
    assert _markdown.prose("see (no_name), then f(x_y); or (g_h") == "see (`no_name`), then `f(x_y)`; or (`g_h`"


@pytest.mark.parametrize("text", [*DANGEROUS, "-"])
def test_a_cell_stays_a_cell(text: str) -> None:
    """Whatever a cell holds, its table keeps two columns and two rows, and the cell is read whole."""
    drawn = _markdown.table(("a", "b"), [(_markdown.cell(text), "end"), ("start", _markdown.cell(text))])
    kinds = [token.type for token in PARSER.parse(drawn)]
    assert (kinds.count("th_open"), kinds.count("tr_open"), kinds.count("td_open")) == (2, 3, 4)
    cells = [token for token in PARSER.parse(drawn) if token.type == "inline"]
    read = "".join(inner.content for inner in cells[2].children)
    assert read.replace("`", "").split() == text.replace("`", "").split()


@pytest.mark.parametrize("text", ["x = 1", "```\nescaped\n```", "````` and ~~~", "\tindented\n\n    more", "</details>\n\n<b>", "# no heading"])
@pytest.mark.parametrize("indent", ["", "  "])
def test_code_never_leaves_its_block(text: str, indent: str) -> None:
    """A block of code gives back its text, and nothing stands outside it."""
    (block,) = [token for token in PARSER.parse("- item\n" * bool(indent) + _markdown.fence(text, "python", indent=indent)) if token.type == "fence"]
    assert block.content == text + "\n"


def test_titles_of_folded_parts_are_html() -> None:
    """Between HTML tags Markdown's escapes would not work, so there dangerous words are HTML code, escaped."""
    assert _markdown.summary_html("see <b> & @octocat now") == "see <code>&lt;b&gt; &amp; @octocat</code> now"


def test_head_is_ten_lines(report: Report) -> None:
    """The verdict with its reason, the versions, and the leading finding's fix come before anything else, in ten lines."""
    head = markdown.render(report).partition("\n\n###")[0].splitlines()
    assert len(head) <= HEAD_LINES
    assert head[2].startswith("- **Why:** ")
    assert f"ivdoctor {report.tool.version}" in head[3]
    assert ("- **Fix** (" in "\n".join(head)) == bool(report.findings and report.findings[0].fixes)


def test_head_says_what_maintainers_ask(clash: Report) -> None:
    """torch, driver, GPU, CPU and Python stand in the versions; the fix stands there as code."""
    head = markdown.render(clash).partition("\n\n###")[0]
    for said in ("torch 2.6.0+cu124", "driver NVIDIA 550.54.15, CUDA 12.4", "Tesla T4", "AMD EPYC 7763", "CPython 3.11.7"):
        assert said in head
    assert "```python\n  pixel_values = pixel_values.to(next(model.parameters()).dtype)\n  ```" in head


def test_head_names_the_first_finding_of_a_ready_machine(clash: Report) -> None:
    """Where the reason is another than the first finding, the finding is named too."""
    ready = replace(clash, verdict=Answer.READY, reason="nothing at or above never")
    assert "- **First finding:** error IVD401 on cuda:0: patch-convolution-dtype-differs: a fp16 model" in markdown.render(ready)


def test_long_code_is_left_to_its_finding(clash: Report) -> None:
    """Code that does not fit in ten lines stands with its finding only."""
    fix = Fix(title="Rewrite", code="\n".join(f"line_{number}" for number in range(9)), trial=Tried(status="not-tried", reason="long"))
    text = markdown.render(replace(clash, findings=(replace(clash.findings[0], fixes=(fix,)),)))
    assert len(text.partition("\n\n###")[0].splitlines()) <= HEAD_LINES
    assert text.count("line_8") == 1


def _many(report: Report, count: int, length: int) -> Report:
    findings = tuple(
        Finding(
            code=f"IVD{number:03d}",
            name="x",
            title="x",
            severity=Severity.ERROR,
            confidence="certain",
            message=f"{number} " + "long_ " * length,
        )
        for number in range(count)
    )
    return replace(report, findings=findings)


def last(text: str) -> str:
    """The last line that a reader sees."""
    *lines, end = text.removesuffix("\n").split("\n")
    assert end == END.strip()
    return next(line for line in reversed(lines) if line)


@pytest.mark.parametrize(("count", "length"), [(100, 300), (1000, 300), (3, 10), (5000, 1)])
def test_never_longer_than_an_issue_may_be(clash: Report, count: int, length: int) -> None:
    """Whole sections are left out from the end, until the rest fits, and those left out are named."""
    text = markdown.render(_many(clash, count, length))
    assert len(text) <= LIMIT
    assert text.count("<details>") == text.count("</details>")
    kept = [int(number) for number in re.findall(r"^#### error IVD(\d+)", text, re.MULTILINE)]
    assert kept == list(range(len(kept)))
    cut = len(kept) < count
    assert cut == ("Cut to stay below 60,000 characters. Left out:" in text)
    if cut:
        assert f"error IVD{len(kept):03d}" in last(text)
        assert re.search(r"and \d+ more\.$", last(text))


def test_a_crowd_of_facts_is_cut_before_the_findings(clash: Report) -> None:
    """Facts that fill the issue are left out; the findings stay."""
    text = markdown.render(replace(clash, summary=tuple(Line(label=f"l{number}", text="fact " * 300) for number in range(60))))
    assert "#### error IVD401" in text
    assert "<summary>Machine</summary>" not in text
    assert "Machine, Number formats (cuda:0), in full, Model dtype by pixel dtype (cuda:0), in full, Remedies" in last(text)


def test_loaders_are_code(clash: Report) -> None:
    """Folded, each with its reason and as it was written."""
    text = markdown.render(clash)
    first = text.partition("<summary>Load in fp16 (cuda:0)</summary>\n\n")[2].partition("\n\n</details>")[0]
    assert first.startswith("It has `float16` only; the cast was tried here.\n\n```python\nimport torch\n")
    assert first.endswith('.all():\n    raise SystemExit("not finite: load in float32")\n```')
    assert "<summary>Load in fp32 (cpu)</summary>\n\n```python\nimport torch\n" in text
