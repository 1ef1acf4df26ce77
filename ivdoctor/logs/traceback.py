"""Frames out of the lines before a message: Python's own traceback, IPython's, and what a paste leaves of them."""

import re
from collections.abc import Sequence

from ..facts import Frame
from .patterns import Lazy

FILE = Lazy(r"^\s{0,40}(?:\|\s{0,8})?File \"(?P<file>[^\"\n]{1,400})\", line (?P<line>\d{1,7})(?:, in (?P<function>[^\n]{1,120}))?")
TORN = Lazy(r"^(?P<file>[^\s\"]{1,400}\.py)\", line (?P<line>\d{1,7})(?:, in (?P<function>[^\n]{1,120}))?")
"""The beginning of the line is cut off."""
CELL = Lazy(
    r"^\s{0,8}(?:File )?(?P<file>(?:Cell In ?\[\d{1,5}\]|<ipython-input-[\w-]{1,40}>|(?:[A-Za-z]:)?[^\s:()]{1,300}\.py)),? ?"
    r"(?:(?:line (?P<line>\d{1,7})|:(?P<at>\d{1,7})(?=,|:? in))(?:[,:]? in (?P<called>[\w<>.]{1,80}))?|in (?P<name>[\w<>.]{1,80})\()"
)
ARROW = Lazy(r"^\s{0,8}-{1,6}> ?(?P<line>\d{1,7}) ?(?P<code>[^\n]{0,300})")
HEADER = Lazy(r"Traceback \(most recent call last\)|^-{60,}$")
FINAL = Lazy(r"^(?:[A-Za-z_][\w.]{0,120}\.)?(?P<error>[A-Z]\w{0,60}(?:Error|Exception|Warning|Interrupt|Exit|NansException))(?::|$)")
"""The last line of a traceback."""
CARET = Lazy(r"^[\s~^]*$")

MOST = 12
"""Frames that are kept: the innermost, and the user's own nearest one beyond them."""
FARTHEST = 400
"""Lines that are looked back."""

PACKAGES = Lazy(r"[/\\](?:site|dist)-packages[/\\]([\w-]{1,60})")
STANDARD = Lazy(
    r"[/\\]lib(?:64)?[/\\]python3\.\d{1,2}[/\\]|[/\\](?:Python3\d{1,2}|(?:ana|mini)conda3|envs[/\\][\w.-]{1,60})[/\\]lib[/\\]|^<frozen |^<string>$",
    re.IGNORECASE,
)
REMOTE = Lazy(r"[/\\]transformers_modules[/\\]")
CHECKOUT = Lazy(
    r"[/\\](torch|transformers|vllm|sglang|deepspeed|accelerate|diffusers|peft|trl|bitsandbytes|flash_attn|xformers|triton|unsloth|lightning|comfy|lmdeploy|optimum)[/\\]"
)
"""A library that runs from its own checkout."""

REMOTE_CODE = "remote code"
"""Stands for a model repository's own modules."""


def library(path: str) -> str:
    """The package a file belongs to; empty for the user's own code."""
    if REMOTE.search(path):
        return REMOTE_CODE
    if found := PACKAGES.search(path):
        return found[1]
    if STANDARD.search(path):
        return "python"
    found = CHECKOUT.search(path)
    return found[1] if found else ""


def frames(before: Sequence[str]) -> tuple[Frame, ...]:
    """
    The frames that lead to the line after these, the innermost last.

    Args:
        before: lines of the same speaker, without labels, the nearest last.
    """
    found: list[Frame] = []
    code = ""
    for line in reversed(before[-FARTHEST:]):
        if HEADER.search(line):
            break
        if FINAL.match(line):
            break  # an exception before this one: its frames are not ours
        frame = _frame(line, code)
        if frame:
            found.append(frame)
            code = ""
            if len(found) >= MOST and any(not one.library for one in found):
                break
        elif arrow := ARROW.match(line):
            code = f"{arrow['line']}\0{arrow['code'].strip()}"
        elif not CARET.match(line) and not code.partition("\0")[1]:
            code = line.strip().removeprefix("| ").strip().replace("\0", "")  # which parts a number from its line above
    own = [one for one in found[MOST:] if not one.library]  # libraries may lie deep upon the user's own line
    return tuple(reversed(found[:MOST] + own))


def _frame(line: str, code: str) -> Frame | None:
    found = FILE.match(line) or TORN.match(line) or CELL.match(line)
    if found is None:
        return None
    groups = found.groupdict()
    number, _, shown = code.rpartition("\0")
    path = groups["file"]
    return Frame(
        file=path,
        line=int(groups["line"] or groups.get("at") or number or 0),
        function=(groups.get("function") or groups.get("called") or groups.get("name") or "").strip(),
        code=shown[:200],
        library=library(path),
    )


def error(line: str) -> str:
    """The exception's type that a line names before its message: `RuntimeError`; empty where it names none."""
    found = re.search(r"(?<![\w.])(?:[a-z_][\w]{0,40}\.){0,6}(_?[A-Z]\w{0,60}(?:Error|Exception|Warning))(?=:)", line)
    return found[1] if found else ""
