"""The environment that people paste beside a traceback, read into facts."""

import re
from dataclasses import replace
from functools import cache

from ..outcome import Outcome, subject_of
from ..tables import table
from ..text import printable, say
from . import surroundings_parse as parse
from .patterns import Lazy
from .surroundings_facts import Notes, facts

LONGEST = 1024
"""No line of an environment is longer; what is longer costs nothing."""

MOST = 64
"""Devices of one machine."""

DIGITS = frozenset("0123456789")

HEAD = Lazy(r"Package\s+Version\b|(?:# )?Name\s+Version\s+Build\b")
"""Of the tables of pip, conda and mamba; conda's has no dashes below it."""

KEYS = {
    "pytorch version": "torch",
    "pytorch version (gpu?)": "torch",
    "pytorch version (accelerator?)": "torch",
    "torch version": "torch",
    "torch_version": "torch",
    "cuda used to build pytorch": "cuda",
    "torch cuda version": "cuda",
    "rocm used to build pytorch": "hip",
    "torch hip version": "hip",
    "is cuda available": "available",
    "cudnn version": "cudnn",
    "nvidia driver version": "driver",
    "python platform": "platform",
    "platform": "platform",
    "python version": "python",
    "gpu models and configuration": "card",
    "gpu type": "card",
    "gpu": "card",
    "gpu name": "card",
    "cuda device": "card",
    "cuda devices": "card",
    "accelerator": "card",
    "deepspeed info": "deepspeed",
}
"""What stands before the colon, in lower case, and what it tells."""


@cache
def _names() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Packages and variables that matter, and four letters with which any line that matters can begin."""
    packages = frozenset(row["name"] for row in table("packages"))
    variables = frozenset(row["name"] for row in table("environ"))
    words = {*KEYS, *packages, *variables, "gpu 0", "gpu:", "export", "[pip", "[conda]", "nvidia-smi", "driver version", "package", "# name", "name"}
    return packages, variables, frozenset(word[:4].lower() for word in words)


class Surroundings:
    """What a text says of the machine it was written on; lines in, facts out. Memory is bounded however long the text."""

    def __init__(self) -> None:
        self._packages, self._variables, self._starts = _names()
        self._notes = Notes()
        self._closed: set[str] = set()
        """Lists that began a second time: those are another paste's."""
        self._open = ""
        """What the next line may continue: a `head` or the `rows` of a package list, a `card`, or a `device` of nvidia-smi's table."""
        self._conda = False
        """Whether the open list is conda's."""
        self._last = 0
        """The device whose memory the next line may tell."""

    def feed(self, line: str) -> None:
        """One line, already without terminal sequences, log prefixes and its line break; at most 64 KiB."""
        if len(line) > LONGEST:
            self._open = ""
            return
        text = line.lstrip(parse.MARKS)
        if text[:4].lower() in self._starts or self._open or (text[:1] in DIGITS and "  " in text[:4]):
            was, self._open = self._open, ""
            before = line[: len(line) - len(text)]
            if not (was and self._continues(was, line, text.rstrip())) and not before.endswith(("-", "*")):  # `-torch==2.1` is a difference
                self._line(text.rstrip())

    def outcomes(self) -> tuple[Outcome, ...]:
        """One for each fact that was found; none when nothing was found."""
        reason = say("read from the text")
        return tuple(Outcome(subject=subject_of(type(fact)), status="ok", fact=fact, reason=reason) for fact in facts(self._notes))

    def _continues(self, was: str, line: str, text: str) -> bool:
        """Whether the line belongs to what the last one began."""
        words = text.split()
        if was == "head" and line.strip() and set(line) <= set(" \t\r->|\u2500"):
            self._open = "rows"
        elif was == "rows" and len(words) > 1 and words[1][0].isdigit():
            self._open = "rows"
            self._package(words[0], words[1], conda=self._conda)
        elif was == "card" and text.endswith(" MiB") and parse.card(text):
            self._card("named", len(self._notes.cards.get("named", ())), parse.card(text))
            self._open = "card"
        elif was == "device" and text.count("|") > 1 and parse.table_memory(text.split("|")):
            self._remember(parse.table_memory(text.split("|")))
        else:
            return False
        return True

    def _line(self, text: str) -> None:
        """A line that begins like one that matters."""
        if text[:1].isdigit():
            self._table(text)
        elif text.startswith(("NVIDIA-SMI ", "Driver Version:")):
            self._header(text)
        elif text.startswith(("[pip] ", "[pip3] ", "[conda] ")):
            kind, *words = text.split()
            conda = kind == "[conda]"
            self._package(*(words[:2] if conda and len(words) > 1 else words[0].split("==", 1) if len(words) == 1 else ()), conda=conda)
        elif HEAD.match(text):
            self._open, self._conda = "rows" if text.startswith("#") else "head", not text.startswith("Package")
        elif "=" in text and self._assignment(text):
            return
        elif " ..." in text:  # DeepSpeed fills the space with dots
            key, _, value = text.partition(" ..")
            self._pair(key, value.lstrip(". "))
        else:
            key, colon, value = text.partition(":")
            if colon:
                self._pair(key, value.strip())

    def _assignment(self, text: str) -> bool:
        """`name==version`, and `NAME=value`."""
        name, _, value = text.removeprefix("export ").lstrip().partition("=")
        if name in self._variables:
            given = parse.assigned(value)
            if given is not None:
                self._notes.variables.setdefault(name, printable(given))
            return True
        if value.startswith("="):
            self._package(name, value[1:].rstrip("`"))
        return value.startswith("=")

    def _package(self, name: str = "", version: str = "", *, conda: bool = False) -> None:
        """A package of a list; conda calls torch `pytorch`, which on PyPI is an empty package."""
        name = "torch" if conda and name == "pytorch" else parse.normal(name)
        if name in self._packages and parse.is_version(version):
            self._notes.installed.setdefault(name, version)
            if name == "torch":
                self._say("torch", version)

    def _pair(self, key: str, value: str) -> None:
        """`key: value`."""
        key = key.replace("`", "").rstrip(" *").lower()
        slot = KEYS.get(key)
        if slot == "card":
            found = parse.card(value)
            self._open = "card" if found else ""
            self._card("named", 0, found)
            if value.startswith("GPU "):
                self._pair(*value.partition(":")[::2])
        elif slot:
            self._say(slot, value)
        elif key.endswith(" version") and parse.normal(key[:-8]) in self._packages:
            if parse.version(value):
                self._notes.installed.setdefault(parse.normal(key[:-8]), parse.version(value))
        elif re.fullmatch(r"gpu \d{1,2}(?:,\d{1,2}){0,63}", key):
            for index in key[4:].split(","):
                self._card("listed", int(index), parse.card(value))

    def _say(self, slot: str, value: str) -> None:
        """The first stands, also where it says that there is nothing; a torch version may be told again with its tag."""
        if slot == "torch":
            version, available = parse.version(value), parse.remark(value)
            first = self._notes.said.setdefault("torch", version) if version else ""
            if version and version.startswith(f"{first}+"):
                self._notes.said["torch"] = version
            if version and available in parse.YES_NO:
                self._notes.said.setdefault("available", available)
        elif slot == "deepspeed":
            self._package("deepspeed", value.partition(",")[0])
        elif slot == "python":
            if parse.version(value):
                self._notes.said.setdefault(slot, parse.version(value))
        elif (slot != "platform" or parse.platform(value)) and (slot != "available" or value.lower() in parse.YES_NO):
            self._notes.said.setdefault(slot, value)

    def _header(self, text: str) -> None:
        """The driver and its CUDA, in the first line of nvidia-smi's table; one without the other says too little."""
        driver = re.search(r"Driver Version:\s{0,40}(\d{1,5}(?:\.\d{1,5}){1,3})\b", text)
        cuda = re.search(r"CUDA Version:\s{0,40}(\d{1,3}\.\d{1,2})\b", text)
        version = driver[1] if driver else parse.version(self._notes.said.get("driver", ""))
        if cuda and version and "smi cuda" not in self._notes.said:
            self._notes.said |= {"smi cuda": cuda[1], "smi driver": version}

    def _table(self, text: str) -> None:
        """The first line of a device; nvidia-smi writes its memory in the next."""
        found = parse.table_row(text.split("|")) if "|" in text else None
        if found and self._card("table", *found):
            self._open, self._last = "device", found[0]

    def _remember(self, memory: int) -> None:
        cards = self._notes.cards["table"]
        cards[self._last] = replace(cards[self._last], memory_mib=memory)

    def _card(self, source: str, index: int, card: parse.Card | None) -> bool:
        """Whether it is a device of the first list of its kind."""
        if card is None or source in self._closed:
            return False
        cards = self._notes.cards.setdefault(source, {})
        if index in cards or len(cards) >= MOST:
            self._closed.add(source)
            return False
        cards[index] = card
        return True
