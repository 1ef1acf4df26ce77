"""Accelerators by name: the product that a device's title names, and the place that `--target` asks for."""

import re
from dataclasses import dataclass
from functools import cache

from .facts import DtypeRow, Place
from .tables import architecture, dtype_row, table
from .text import say

LONGEST = 120
"""No title is longer: NVML ends one at 96 characters."""

BRANDS = {"NVIDIA": {"nvidia", "geforce", "tesla"}, "AMD": {"amd", "radeon", "instinct"}, "Intel": {"intel"}, "Apple": {"apple"}}
"""What the title of a vendor's product may have or lack; another's may not have it, for a Tesla M4 is no Apple M4."""

SILENT = {"graphics", "gpu", "generation", "edition"}
"""What any title may have or lack, besides the kind of memory."""

WORD = re.compile(r"(?<![a-z0-9])(?P<gb>[0-9]{1,4})[ _-]?gi?b?(?![a-z0-9])|hbm[0-9]?e?|sxm[0-9]?|[a-z]+|[0-9]+|[^\W_]")
"""A size (`80GB`), a form (`SXM4`), or a run of letters or of digits, so that `rtx4090` is `RTX 4090`; of other scripts each letter."""

BRAND = re.compile("|".join(sorted({word for words in BRANDS.values() for word in words})))
SIZE = re.compile(rf"{BRAND.pattern}|[0-9]+gb|sxm[0-9]?|pcie")
"""Words of brand, memory and form, which stand in any order."""

LEFT_OUT = re.compile(rf"{SIZE.pattern}|quadro|ada|blackwell|workstation|server")
"""Words of a product's name that may be left out where a target is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One product of `accelerators.csv`."""

    vendor: str
    product: str
    id: str
    """As in `architectures.csv`: `sm_75`, `gfx942`, `m2`."""
    architecture: str
    memory_gib: float
    """The vendor's figure for one device, the largest for an Apple chip; 0 where there is none."""
    row: DtypeRow
    source: str


class UnknownTarget(LookupError):
    """A name that neither a product nor an architecture has."""

    def __init__(self, name: str) -> None:
        self.nearest = _nearest(name)
        super().__init__(say("there is no accelerator {name}; the nearest: {nearest}", name=repr(name[:LONGEST]), nearest=", ".join(self.nearest)))


class AmbiguousTarget(LookupError):
    """A name that fits products whose formats differ."""

    def __init__(self, name: str, choices: tuple[str, ...]) -> None:
        self.choices = choices
        super().__init__(say("{name} may be any of these, whose formats differ: {choices}", name=repr(name[:LONGEST]), choices=", ".join(choices)))


def known(title: str) -> Accelerator | None:
    """
    The product that a device's own title names, as NVML, torch, ROCm or nvidia-smi print it; None where any word of it is not the product's.

    A title that leaves the memory out, as an RTX 3060's does, stands for the size in the table.
    """
    words, sizes = _parted(title, SIZE)
    fits = [(len(least), one) for one, core, least, most in _names(SIZE) if core == words and least <= sizes <= most]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def target(name: str) -> Place:
    """
    The place that `--target` asks for: a product, also without memory and form, or an architecture (`sm_75`, `7.5`, `gfx942`), with `8x` for a count.

    Of several products with equal formats it is the one with the least memory. Raises UnknownTarget or AmbiguousTarget.
    """
    if len(name) > LONGEST:
        raise UnknownTarget(name)
    counted = re.fullmatch(r"\s*([1-9][0-9]{0,2})\s*[xX]\s*(\S.*)", name)
    count, title = (int(counted[1]), counted[2]) if counted else (1, name)
    one = known(title) or _architecture(title) or _least(title)
    digits = one.id.removeprefix("sm_") if one.vendor == "NVIDIA" else ""
    return Place(
        name=one.product,
        kind="target",
        title=one.product,
        count=count,
        memory_mib=round(one.memory_gib * 1024),
        architecture=one.architecture,
        compute_capability=(int(digits[:-1]), int(digits[-1])) if digits else None,
        gfx=one.id if one.vendor == "AMD" else None,
        reachable=False,
        dtypes=one.row,
    )


def _architecture(name: str) -> Accelerator | None:
    """An architecture by its identifier or its compute capability."""
    name = name.strip().lower()
    capability = re.fullmatch(r"sm[ _-]?([0-9]{2,3})|([0-9]{1,2})\.([0-9])", name)
    identifier = "sm_" + "".join(capability.groups("")) if capability else name
    row = next((row for row in table("architectures") if row["id"] == identifier), None)
    return _accelerator({**row, "product": identifier, "memory_gib": ""}) if row else None


def _least(name: str) -> Accelerator:
    """The product of least memory among those that the name fits without words of LEFT_OUT."""
    words, loose = _parted(name, LEFT_OUT)
    fits = tuple(dict.fromkeys(one for one, core, _, most in _names(LEFT_OUT) if core == words and loose <= most))
    if not fits:
        raise UnknownTarget(name)
    if len({one.row for one in fits}) > 1:
        raise AmbiguousTarget(name, tuple(one.product for one in fits))
    return min(fits, key=lambda one: one.memory_gib)


def _accelerator(one: dict[str, str]) -> Accelerator:
    of = architecture(one["id"], f"{one['vendor']} {one['product']}")
    row = of or next(row for row in table("architectures") if row["id"] == one["id"])  # an Arc Pro B60 fits no match
    source, memory_gib = f"{one['source']} ({one['date']})", float(one["memory_gib"] or 0)
    told = {name: one[name] for name in ("vendor", "product", "id")}
    return Accelerator(**told, architecture=row["architecture"], memory_gib=memory_gib, row=dtype_row(row), source=source)


@cache
def _names(loose: re.Pattern[str]) -> tuple[tuple[Accelerator, tuple[str, ...], frozenset[str], frozenset[str]], ...]:
    """Every product once for each of its names: the words that stand in order, and the loose ones that a title must have and may have."""
    every = [(_accelerator(row), [row["product"], *filter(None, row["aliases"].split(";"))]) for row in table("accelerators")]
    parted = [(one, BRANDS[one.vendor], *_parted(name, loose)) for one, names in every for name in names]
    return tuple((one, core, own - brand, own | brand | {f"{one.memory_gib:g}gb"}) for one, brand, core, own in parted)


def _parted(name: str, loose: re.Pattern[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The words of a name in their order, and apart from them the loose ones; too long a name has none."""
    found = WORD.finditer(re.sub(r"\((?:tm|r)\)", " ", name.lower()) if len(name) <= LONGEST else "")
    words = [f"{int(one['gb'])}gb" if one["gb"] else one[0] for one in found]
    told = [word for word in words if word not in SILENT and not word.startswith("hbm")]
    return tuple(word for word in told if not loose.fullmatch(word)), frozenset(word for word in told if loose.fullmatch(word))


def _nearest(name: str) -> tuple[str, ...]:
    from difflib import get_close_matches  # only an unknown name needs it

    names = [row[column] for file, column in (("architectures", "id"), ("accelerators", "product")) for row in table(file)]
    read = {"".join(_parted(one, BRAND)[0]): one for one in names}
    return tuple(read[one] for one in get_close_matches("".join(_parted(name[:LONGEST], BRAND)[0]), read, cutoff=0.0))
