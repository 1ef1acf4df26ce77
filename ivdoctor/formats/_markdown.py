"""
Text as GitHub's Markdown, in which it can do nothing but be read.

Escapes do not do for that: GitHub looks for @names, #123, commit hashes and addresses after it has made the HTML, when a
backslash is gone. Inside code it looks for nothing, so words with anything but plain characters in them become code.
"""

import html
import re
from collections.abc import Callable, Iterable, Sequence

from ._words import clean

PLAIN = re.compile(r"""[A-Za-z0-9,.;:()'"/%?!=+\u0080-\U0010ffff-]+""")
LINKED = re.compile(r"(?i)://|www\.|\b[a-z]{2,}-\d|\b[0-9a-f]{7,40}\b|:[\w+-]*[a-z+-][\w+-]*:|:\d{3,4}:")
"""Addresses, `GH-123`, commits, and emoji."""
OPENING = re.compile(r"[-+=]+|\d{1,9}[.)]")
"""What would begin a list, or underline a heading, at the start of a line."""
TICKS = re.compile("`+")

WORD = re.compile(r"[('\"]?`[^`]+`[)'\",.;:!?]*(?!\S)|\S+")
"""A word, or words that their author made code."""
QUOTED = re.compile(r"([('\"]?)`([^`]*[^`\s][^`]*)`([)'\",.;:!?]*)")

LONG = 2000
"""Characters of one text, so that none can crowd out the others."""
LONG_CODE = 8000


def prose(text: str, *, longest: int = LONG) -> str:
    """A sentence: plain words as they are, all others as code."""
    return _words(text, longest, _ticked)


def cell(text: str) -> str:
    """The same in a table, where nothing can begin a list."""
    return _words(text, LONG, _ticked, opens=False)


def summary_html(text: str) -> str:
    """The same where Markdown is not read: between HTML tags."""
    return _words(text, LONG, lambda words: f"<code>{html.escape(words)}</code>")


def code(text: str) -> str:
    """A text as code, in a line."""
    text = _clipped(clean(text), LONG)
    return _ticked(text) if text else ""


def fence(text: str, language: str = "", *, indent: str = "") -> str:
    """A block of code, its fence longer than any in the text."""
    text = _clipped(clean(text, lines=True), LONG_CODE)
    ticks = "`" * max(3, _longest_run(text) + 1)
    return "\n".join(f"{indent}{line}".rstrip() for line in (ticks + language, *text.split("\n"), ticks))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of Markdown already safe; tabulate would pad every row to the longest text, and so swell what has a limit."""
    lines = [_row(columns), _row(["---"] * len(columns)), *map(_row, rows)]
    return "\n".join(lines)


def details(title: str, body: str) -> str:
    """A part that is folded until asked for; the title is HTML already safe."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def _row(cells: Sequence[str]) -> str:
    """GitHub splits a row before it looks for code, and takes the backslash out of code again."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _words(text: str, longest: int, as_code: Callable[[str], str], *, opens: bool = True) -> str:
    """Args: opens: whether the text may stand where a line or a list item begins."""
    parts: list[tuple[str, str, str]] = []
    for number, match in enumerate(WORD.finditer(_clipped(clean(text), longest))):
        word = match[0]
        if quoted := QUOTED.fullmatch(word):
            parts.append((quoted[1], quoted[2], quoted[3]))
        elif PLAIN.fullmatch(word) and not LINKED.search(word) and not (opens and number == 0 and OPENING.fullmatch(word)):
            parts.append((word, "", ""))
        else:
            before, core, after = _peeled(word)
            joins = parts and parts[-1][1] and not parts[-1][2] and not before
            start, said, _ = parts.pop() if joins else (before, "", "")
            parts.append((start, f"{said} {core}".lstrip(" "), after))
    return " ".join(f"{before}{as_code(core)}{after}" if core else before for before, core, after in parts)


def _peeled(word: str) -> tuple[str, str, str]:
    """A word without the sentence's own punctuation around it: `(x_y),` is `x_y` in brackets and a comma."""
    core = word.rstrip(",.;:!?") or word
    before = after = ""
    if core.startswith("(") and len(core) > 1 and core.count("(") > core.count(")"):
        before, core = "(", core[1:]
    elif core.startswith("(") and core.endswith(")") and len(core) > 2:  # noqa: PLR2004  # something is between them
        before, core, after = "(", core[1:-1], ")"
    elif core.endswith(")") and len(core) > 1 and core.count(")") > core.count("("):
        core, after = core[:-1], ")"
    return before, core, after + word[len(before + core + after) :]


def _ticked(text: str) -> str:
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _longest_run(text: str) -> int:
    return max(map(len, TICKS.findall(text)), default=0)


def _clipped(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest].rstrip()} …"
