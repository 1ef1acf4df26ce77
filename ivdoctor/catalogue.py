"""The accelerators of the tables: filtered, in order, as a table for a terminal and as JSON."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from .facts import DtypeRow
from .tables import DTYPES, capability, newest, table
from .text import count, say
from .titles import SIZE, Accelerator, names

WIDTH = 120
"""Columns of a terminal that a line fits into."""

FORMATS = {"fp16": "fp16", "bf16": "bf16", "fp8": "fp8_e4m3", "int8": "int8", "int4": "int4", "fp4": "fp4"}
"""The formats that the list shows, and the dtype column of each."""

LETTERS = {"native": "N", "emulated": "E", "none": "-", "unknown": "?"}

LEGEND = (
    """N computed natively; E emulated: by conversion, or at a crippled rate; - no route in PyTorch or the usual engines; ? not known. fp8 is e4m3."""
)

NAMED = {
    **{dtype: (dtype,) for dtype in ("fp64", "fp32", "tf32", "fp16", "bf16", "int8", "int4", "fp4")},
    "float64": ("fp64",),
    "xf32": ("tf32",),
    "hf32": ("tf32",),
    "fp8": ("fp8_e4m3", "fp8_e5m2"),
    "float8": ("fp8_e4m3", "fp8_e5m2"),
}
"""The columns that a word of a note is about."""

FORMAT = re.compile(rf"\b(?:{'|'.join(NAMED)})(?![0-9])", re.IGNORECASE)

PASSING = re.compile(r"\b(?:converted to|computed in|adds in|pass of|(?:of|twice) the) (?:fp32|bf16)\b")
"""A format that a note names beside the one that it is about."""

NUMBER = re.compile(r"(?:(?:sm|compute|cc)[ _-]?)?([0-9]{1,2})\.?([0-9])[af]?", re.ASCII)


class UnknownChoice(LookupError):
    """A vendor, an architecture or a format that the tables do not have; the message names those they have."""


def accelerators() -> tuple[Accelerator, ...]:
    """Every product of the tables: vendors and architectures in the order of `architectures.csv`, within one by memory."""
    rows = table("architectures")
    order = {(row["id"], row["architecture"]): number for number, row in reversed(list(enumerate(rows)))}
    vendors = {row["vendor"]: number for number, row in reversed(list(enumerate(rows)))}
    every = dict.fromkeys(one for one, *_ in names(SIZE))
    return tuple(sorted(every, key=lambda one: (vendors[one.vendor], order[one.id, one.architecture], one.memory_gib)))


def catalogue(vendor: str | None = None, arch: str | None = None, memory: float | None = None, dtypes: Iterable[str] = ()) -> tuple[Accelerator, ...]:
    """
    The accelerators that fit all of these; raises UnknownChoice.

    Args:
        vendor: in any case.
        arch: an architecture's name or its first words (`Turing`, `Ada`), an identifier (`sm_75`, `7.5`, `gfx942`) or a chip (`GH100`).
        memory: GiB that it has at least; what has no figure does not fit.
        dtypes: formats that it computes natively, as `tables.DTYPES` names them; `fp8` is `fp8_e4m3`.
    """
    found = accelerators()
    if vendor is not None:
        found = _of_vendor(found, vendor)
    if arch is not None:
        able = _architectures(arch)
        found = tuple(one for one in found if (one.id, one.architecture) in able)
    for dtype in map(column, dtypes):
        found = tuple(one for one in found if one.row.of(dtype) == "native")
    return tuple(one for one in found if memory is None or one.memory_gib >= memory)


def column(dtype: str) -> str:
    """The dtype column that a format's name stands for, in any case; raises UnknownChoice."""
    name = FORMATS.get(dtype.lower(), dtype.lower())
    if name not in DTYPES:
        raise UnknownChoice(say("there is no format {name}, only {choices}", name=repr(dtype), choices=", ".join((*DTYPES, "fp8"))))
    return name


def _of_vendor(found: tuple[Accelerator, ...], vendor: str) -> tuple[Accelerator, ...]:
    choices = {one.vendor.lower(): one.vendor for one in found}
    if vendor.lower() not in choices:
        raise UnknownChoice(say("there is no vendor {name}, only {choices}", name=repr(vendor), choices=", ".join(choices.values())))
    return tuple(one for one in found if one.vendor.lower() == vendor.lower())


def _architectures(name: str) -> set[tuple[str, str]]:
    """The rows that a name means, by identifier and architecture: GTX 16xx has Turing's identifier and lacks its tensor cores."""
    words, number = name.lower().split(), NUMBER.fullmatch(name.lower().strip())
    identifiers = {name.lower().strip(), f"sm_{number[1]}{number[2]}" if number else ""}
    rows = [row for row in table("architectures") if row["id"] in identifiers or (words and _called(row, words))]
    if not rows:
        known = ", ".join(dict.fromkeys(row["architecture"] for row in table("architectures")))
        raise UnknownChoice(say("there is no architecture {name}, only {known}; or by identifier: sm_75, 7.5, gfx942", name=repr(name), known=known))
    return {(row["id"], row["architecture"]) for row in rows}


def _called(row: dict[str, str], words: list[str]) -> bool:
    return row["architecture"].lower().split()[: len(words)] == words or " ".join(words) in row["chips"].lower().split(";")


def listing(found: Sequence[Accelerator]) -> str:
    """A line an accelerator, below the letters' meaning and how many there are; empty where there are none."""
    return "\n".join(_listing(found)) + "\n" if found else ""


def _listing(found: Sequence[Accelerator]) -> Iterator[str]:
    number = count("{number} accelerator", "{number} accelerators", len(found))
    largest = say(" Memory of an Apple chip: the most it is sold with.") if any(one.vendor == "Apple" for one in found) else ""
    yield from wrapped(say("{number}, tables of {date}.", number=number, date=newest()) + f" {say(LEGEND)}{largest}", indent="")
    yield ""
    rows = [(one.product, one.vendor, one.architecture, one.id, memory(one.memory_gib) or "?", letters(one.row)) for one in found]
    heads = (say("product"), say("vendor"), say("architecture"), say("id"), "GiB", " ".join(FORMATS))
    widths = [max(map(len, cells)) for cells in zip(heads, *rows, strict=True)]
    widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1))
    for row in (heads, tuple("-" * width for width in widths), *rows):
        cells = [cell.rjust(width) if head == "GiB" else cell.ljust(width) for head, cell, width in zip(heads, row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def letters(row: DtypeRow) -> str:
    """A letter under each format's name."""
    return " ".join(LETTERS[row.of(dtype)].ljust(len(name)) for name, dtype in FORMATS.items())


def memory(gib: float) -> str:
    """`16`, `0.9`; empty where it is not known."""
    return f"{gib:g}" if gib else ""


def wrapped(text: str, indent: str = "  ", first: str | None = None) -> list[str]:
    """In lines of at most WIDTH columns; a longer word, such as a path, stays whole. `first` begins the first of them."""
    from textwrap import wrap

    begin = indent if first is None else first
    return wrap(text, WIDTH, initial_indent=begin, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def document(found: Iterable[Accelerator]) -> str:
    """A JSON list, a line an accelerator."""
    import json

    lines = ",\n".join(json.dumps(_summary(one)) for one in found)
    return f"[\n{lines}\n]\n" if lines else "[]\n"


def _summary(one: Accelerator) -> dict[str, object]:
    return summary(one.row, name=one.product, vendor=one.vendor, architecture=one.architecture, identifier=one.id, gib=one.memory_gib)


def summary(row: DtypeRow, *, name: str, vendor: str, architecture: str, identifier: str, gib: float) -> dict[str, object]:
    """What both kinds of JSON say of an accelerator. `memory_gib` is null where it is not known."""
    number = capability(identifier)
    return {
        "name": name,
        "vendor": vendor,
        "architecture": architecture,
        "id": identifier,
        "compute_capability": "%d.%d" % number if number else None,
        "gfx": identifier if identifier.startswith("gfx") else None,
        "memory_gib": (int(gib) if gib == int(gib) else gib) or None,
        "note": row.note,
        "dtypes": formats(row),
    }


def formats(row: DtypeRow) -> dict[str, dict[str, str]]:
    """Each dtype column's status, with what the row's note says of it and the row's source."""
    told = notes(row.note)
    return {dtype: {"status": row.of(dtype), "note": told[dtype], "source": row.source} for dtype in DTYPES}


@cache
def notes(note: str) -> dict[str, str]:
    """What a row's note says of each dtype column: the parts that name it; all of a note that names no format."""
    told: dict[str, list[str]] = {dtype: [] for dtype in DTYPES}
    for part in note.split("; "):
        for one in FORMAT.finditer(PASSING.sub("", part)):
            for dtype in NAMED[one[0].lower()]:
                told[dtype].append(part)
    whole = "" if any(told.values()) else note
    return {dtype: "; ".join(dict.fromkeys(parts)) or whole for dtype, parts in told.items()}
