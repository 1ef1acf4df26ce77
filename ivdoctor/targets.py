"""The place that `--target` asks for: a product, an architecture, a part of a device, or a processor, by whatever name tools print."""

import re
from functools import cache

from .facts import Place
from .processors import processor, processors
from .tables import architecture, capabilities, capability, derived, newest, table
from .text import say
from .titles import BRAND, LEFT_OUT, LONGEST, SIZE, Accelerator, exact, fitting, known, names, of_architecture, parted

__all__ = ["LONGEST", "SIZE", "Accelerator", "AmbiguousTarget", "UnknownTarget", "known", "target"]

LONGEST_LINE = 600
"""A line of lspci or of torch's properties is longer than a title."""

LONGEST_NAME = 40
"""No product's words alone are longer."""

LIKELY = 40
"""So many names with the most letters in common are compared in full, which takes long."""


class UnknownTarget(LookupError):
    """A name that neither a product, nor an architecture, nor a processor has."""

    def __init__(self, name: str) -> None:
        self.nearest = _nearest(name)
        super().__init__(say("there is no accelerator {name}; the nearest: {nearest}", name=repr(name[:LONGEST]), nearest=", ".join(self.nearest)))


class AmbiguousTarget(LookupError):
    """A name that fits products whose formats differ."""

    def __init__(self, name: str, choices: tuple[str, ...]) -> None:
        self.choices = choices
        super().__init__(say("{name} may be any of these, whose formats differ: {choices}", name=repr(name[:LONGEST]), choices=", ".join(choices)))


@cache
def target(name: str) -> Place:
    """
    The place that a name means, with `8x` before it for a count.

    A product, also without memory and form, or with its memory behind it (`A100-80`); an architecture (`sm_75`, `7.5`, `gfx942`), also one newer than the tables; a MIG slice or a
    vGPU; a line of lspci, nvidia-smi -L or rocm-smi; a processor's microarchitecture (`zen3`, `zen3-64GB`). Of several products with equal formats it
    is the one with the least memory, and the note names the others. Raises UnknownTarget or AmbiguousTarget.
    """
    if len(name) > LONGEST_LINE:
        raise UnknownTarget(name)
    counted = re.fullmatch(r"\s*([1-9][0-9]{0,2})\s*[xX]\s*(\S.*)", name)
    count, title = (int(counted[1]), counted[2]) if counted else (1, name)
    found = _found(title)
    if found:
        return _place(*found, count)
    if place := processor(title, count) if len(title) <= LONGEST else None:
        return place
    raise UnknownTarget(name)


def _place(one: Accelerator, note: str, count: int) -> Place:
    return Place(
        name=one.product,
        kind="target",
        title=one.product,
        vendor=one.vendor,
        note=note,
        count=count,
        memory_mib=round(one.memory_gib * 1024),
        architecture=one.architecture,
        compute_capability=capability(one.id),
        gfx=one.id if one.vendor == "AMD" else None,
        reachable=False,
        dtypes=one.row,
    )


def _found(name: str) -> tuple[Accelerator, str] | None:
    """The accelerator of a name, and how the name was understood; the reading that leaves least open comes first."""
    if one := known(name):
        return one, "" if exact(name) else _beside(one, fitting(name))
    if found := _architecture(name) or _least(name, fitting(name)) or _sized(name) or _slice(name) or _virtual(name) or _entry(name):
        return found
    from . import printed  # patterns for what tools print; a plain name does not pay for them

    bare = printed.title(name)
    if bare != name and (found := _found(bare)):
        return found
    named = printed.told(name)
    return _architecture(named) if named else None


def _architecture(name: str) -> tuple[Accelerator, str] | None:
    """By identifier, compute capability, or chip; a capability between those of the tables is taken for a typing error."""
    name = " ".join(name.lower().split()).removeprefix("nvidia ").removesuffix(" (nvgpu)")
    number = re.fullmatch(r"(?:sm|compute|cc)[ _-]?([0-9]{2,3})[af]?|(?:cc |compute capability )?([0-9]{1,2})\.([0-9])", name)
    identifier = "sm_" + "".join(number.groups("")) if number else re.sub(r":(?:sramecc|xnack)[+-]", "", name)
    row = next((row for row in table("architectures") if row["id"] == identifier), None) or _by_chip(name) or _by_number(name)
    if row:
        return of_architecture(row), _sharing(row)
    row, asked = architecture(identifier) if number else None, capability(identifier)
    if row and asked and derived(row) and asked > capabilities()[-1]:
        note = say("newer than the tables of {date}: judged by its compute capability, as {nearest}", date=newest(), nearest=_newest())
        return of_architecture(row), note
    return None


def _by_chip(name: str) -> dict[str, str] | None:
    """By a chip's whole name; not Vega's, for a Radeon Vega 10 is another chip's graphics."""
    rows = (row for row in table("architectures") if name in row["chips"].lower().split(";"))
    return next(rows, None) if name and not name.startswith("vega") else None


def _by_number(name: str) -> dict[str, str] | None:
    """By the device's number, which Intel's driver prints where it knows no title: `Intel(R) Graphics [0xe20b]`."""
    return architecture("", name) if re.fullmatch(r"intel(?:\(r\))? graphics \[0x[0-9a-f]{4}\]", name) else None


def _newest() -> str:
    return "sm_%d%d" % capabilities()[-1]


def _sharing(row: dict[str, str]) -> str:
    """What the other devices lack that report the same, where there are some."""
    lesser = next((one for one in table("architectures") if one["id"] == row["id"] and one["match"] and not row["match"]), None)
    if not lesser:
        return ""
    titles = [one["product"] for one in table("accelerators") if one["id"] == row["id"] and architecture(row["id"], one["product"]) == lesser]
    told = ", ".join(titles[:3])
    return say(
        "{architecture} devices report {id} too ({titles}, ...), and differ: {note}",
        architecture=lesser["architecture"],
        id=row["id"],
        titles=told,
        note=lesser["note"],
    )


def _least(name: str, fits: tuple[Accelerator, ...]) -> tuple[Accelerator, str] | None:
    """The product of least memory among those that the name fits; the choice is nobody's where their formats differ."""
    if len({one.row for one in fits}) > 1:
        raise AmbiguousTarget(name, tuple(one.product for one in fits))
    least = min(fits, key=lambda one: one.memory_gib, default=None)
    return (least, _beside(least, fits)) if least else None


def _beside(one: Accelerator, fits: tuple[Accelerator, ...]) -> str:
    """The others that the name fits as well, with the same formats."""
    beside = [other for other in fits if other != one and other.row == one.row]
    others = ", ".join(other.product for other in beside)
    if not others:
        return ""
    if any(other.memory_gib > one.memory_gib for other in beside):
        return say("taken for the one with the least memory; also {others}", others=others)
    return say("taken for the first of this name; also {others}", others=others)


def _sized(name: str) -> tuple[Accelerator, str] | None:
    """`A100-80`: the product of that name with that memory, else one whose name only begins so (`H100-94` is the NVL)."""
    given = re.fullmatch(r"(.*[a-z0-9])[ _]?-[ _]?([1-9][0-9]{0,2})", name.strip().lower()) if len(name) <= LONGEST else None
    words, loose = parted(given[1], LEFT_OUT) if given else ((), frozenset())
    if not given or not words:
        return None
    of_size = [(one, core) for one, core, _, most in names(LEFT_OUT) if one.memory_gib == int(given[2]) and loose <= most]
    exactly = [one for one, core in of_size if core == words]
    longer = [one for one, core in of_size if core[: len(words)] == words and core[len(words) :][0].isalpha()] if not exactly else []
    return _least(name, tuple(dict.fromkeys(exactly or longer)))


def _slice(name: str) -> tuple[Accelerator, str] | None:
    """A MIG instance has its board's formats, and the memory that its profile says."""
    from . import printed

    part = printed.MIG.fullmatch(name.strip()) if len(name) <= LONGEST else None
    fits = fitting(part[1]) if part else ()
    whole = known(part[1]) if part else None
    found = (whole, "") if whole else _least(name, fits)
    if not part or not found or float(part[3]) > found[0].memory_gib:
        return None
    profile, board = part[2].lower(), found[0].product
    note = say("a slice of {board}, with its formats", board=board)
    return _part(found[0], f"{board} MIG {profile}", float(part[3])), note


def _virtual(name: str) -> tuple[Accelerator, str] | None:
    """A vGPU has its board's formats; letters behind the board's number tell its form, and where they are no product's they are dropped."""
    from . import printed

    part = printed.VGPU.fullmatch(" ".join(name.split())) if len(name) <= LONGEST else None
    if not part:
        return None
    board = re.sub(r"^(rtx)(?=a?[0-9])", r"\1 ", part[2].lower()).replace("-", " ")
    fits = fitting(board) or fitting(re.sub(r"(?<=[0-9])[dxls]+$", "", board))
    found = _least(name, tuple(one for one in fits if one.memory_gib >= float(part[3])))
    if not found:
        return None
    note = say("a virtual part of a board, with the formats of {architecture}", architecture=found[0].architecture)
    return _part(found[0], re.sub(r"^(?:(?:NVIDIA|GRID) )*", "", part[0], flags=re.IGNORECASE), float(part[3])), note


def _part(whole: Accelerator, product: str, memory_gib: float) -> Accelerator:
    return Accelerator(
        vendor=whole.vendor,
        product=product,
        id=whole.id,
        architecture=whole.architecture,
        memory_gib=memory_gib,
        row=whole.row,
        source=whole.source,
    )


def _entry(name: str) -> tuple[Accelerator, str] | None:
    """A line of lspci: a product of its chip's, or the chip's architecture where the tables have none of its products."""
    from . import printed

    entry = printed.entry(name)
    if not entry:
        return None
    chip = _chip(entry.chip)
    fits = dict.fromkeys(one for spellings in entry.titles for one in _spelled(spellings, chip))
    if fits:
        return _least(name, tuple(fits))
    note = say("by its chip, {chip}; which product it is and its memory are not known", chip=entry.chip)
    return (of_architecture(chip), note) if chip else None


def _spelled(spellings: tuple[str, ...], chip: dict[str, str] | None) -> tuple[Accelerator, ...]:
    """The products of the first spelling that is one; that a variant is the bare product's equal only its chip proves."""
    for spelling in spellings[: None if chip else max(1, len(spellings) - 1)]:
        one = known(spelling)
        if one and (not chip or one.id == chip["id"]):
            return (one,) if exact(spelling) else tuple(other for other in fitting(spelling) if other == one or other.row == one.row)
    return ()


def _chip(text: str) -> dict[str, str] | None:
    """The architecture of a chip: lspci adds letters to NVIDIA's (`TU104GL`), and words to others (`Aldebaran/MI200`)."""
    text = text.lower()
    rows = [(row, chip) for row in table("architectures") for chip in row["chips"].lower().split(";") if chip]
    return next((row for row, chip in rows if re.match(rf"{re.escape(chip)}[a-z]{{0,3}}(?![a-z0-9])", text)), None)


def _nearest(name: str) -> tuple[str, ...]:
    from difflib import SequenceMatcher, get_close_matches  # only an unknown name needs it

    key, (accelerators, cpus) = "".join(parted(name[:LONGEST], BRAND)[0])[:LONGEST_NAME], _spelt()
    common = SequenceMatcher(b=key)

    def shared(one: str) -> float:
        common.set_seq1(one)
        return common.quick_ratio()

    likely = sorted(accelerators, key=shared, reverse=True)[:LIKELY]
    near = [cpus[one] for one in get_close_matches(key, cpus, cutoff=0.8)]
    return (*near, *(accelerators[one] for one in get_close_matches(key, likely, cutoff=0.0)))[:3]


@cache
def _spelt() -> tuple[dict[str, str], dict[str, str]]:
    """Every name of the tables and of archspec by its words alone."""
    tables = [row[column] for file, column in (("architectures", "id"), ("accelerators", "product")) for row in table(file)]
    accelerators, cpus = ({"".join(parted(one, BRAND)[0]): one for one in names} for names in (tables, processors()))
    return accelerators, cpus
