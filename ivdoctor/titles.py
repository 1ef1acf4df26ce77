"""Titles of accelerators: the words of a name, and the product that a device's own title names."""

import re
from dataclasses import dataclass
from functools import cache

from .facts import DtypeRow
from .tables import architecture, dtype_row, table

LONGEST = 120
"""No title is longer: NVML ends one at 96 characters."""

BRANDS = {
    "NVIDIA": {"nvidia", "geforce", "tesla"},
    "AMD": {"amd", "radeon", "instinct"},
    "Intel": {"intel", "habana"},
    "Apple": {"apple"},
    "Google": {"google", "cloud"},
    "Huawei": {"huawei", "ascend"},
    "AWS": {"aws", "amazon"},
    "Graphcore": {"graphcore"},
    "Cambricon": {"cambricon"},
    "Moore Threads": {"moore", "threads", "mtt"},
}
"""What the title of a vendor's product may have or lack; another's may not have it, for a Tesla M4 is no Apple M4."""

SILENT = {"graphics", "gpu", "generation", "edition", "vf", "hf", "mxgpu", "oam", "mcm", "ac", "mba"}
"""What any title may have or lack, besides the kind of memory: AMD's cards add their form, and `VF` where one is lent to a virtual machine."""

SAME = {"mobile": "laptop"}
"""pci.ids and the drivers call the same device differently."""

NOISE = re.compile(r"\((?:tm|r|nvgpu)\)|(?<![a-z0-9])with max-?q design(?![a-z0-9])")
"""Marks of trade, and a form that NVIDIA's titles add to the same chip (`NVIDIA GeForce RTX 2080 with Max-Q Design`)."""

WORD = re.compile(r"(?<![a-z0-9])(?P<gb>[0-9]{1,4})[ _-]?gi?b?(?![a-z0-9])|hbm[0-9]?e?|sxm[0-9]?|[a-z]+|[0-9]+|[^\W_]")
"""A size (`80GB`), a form (`SXM4`), or a run of letters or of digits, so that `rtx4090` is `RTX 4090`; of other scripts each letter."""

BRAND = re.compile("|".join(sorted({word for words in BRANDS.values() for word in words})))
SIZE = re.compile(rf"{BRAND.pattern}|[0-9]+gb|sxm[0-9]?|pcie")
"""Words of brand, memory and form, which stand in any order."""

LEFT_OUT = re.compile(rf"{SIZE.pattern}|quadro|ada|blackwell|workstation|server")
"""Words of a product's name that may be left out where a target is asked for."""


FEW = 40
"""Products whose names are taken apart for one question; where there are more, all are, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One product of `accelerators.csv`, or an architecture without one."""

    vendor: str
    product: str
    id: str
    """As in `architectures.csv`: `sm_75`, `gfx942`, `m2`."""
    architecture: str
    memory_gib: float
    """The vendor's figure for one device, the largest for an Apple chip; 0 where there is none."""
    row: DtypeRow
    source: str


def known(title: str) -> Accelerator | None:
    """
    The product that a device's own title names, as NVML, torch, ROCm or nvidia-smi print it; None where any word of it is not the product's.

    A title that leaves the memory out, as an RTX 3060's does, stands for the size that the table gives it: of several the least.
    """
    words, sizes = parted(title, SIZE)
    if not words:
        return None
    fits = [(len(least), one) for one, core, least, most in names(SIZE, words) if core == words and least <= sizes <= most]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def exact(title: str) -> bool:
    """Whether it says the memory or the form, so that no other product is meant."""
    _, sizes = parted(title, SIZE)
    return any(not BRAND.fullmatch(word) for word in sizes)


def fitting(name: str) -> tuple[Accelerator, ...]:
    """Every product that the name fits without words of LEFT_OUT, as in the table."""
    words, loose = parted(name, LEFT_OUT)
    return tuple(dict.fromkeys(one for one, core, _, most in names(LEFT_OUT, words) if core == words and loose <= most)) if words else ()


def of_architecture(row: dict[str, str], product: str = "") -> Accelerator:
    """An architecture of `architectures.csv` as if it were a product, of no memory."""
    source = f"{row['source']} ({row['date']})"
    return Accelerator(
        vendor=row["vendor"],
        product=product or row["id"],
        id=row["id"],
        architecture=row["architecture"],
        memory_gib=0.0,
        row=dtype_row(row),
        source=source,
    )


@cache
def names(loose: re.Pattern[str], words: tuple[str, ...] = ()) -> tuple[tuple[Accelerator, tuple[str, ...], frozenset[str], frozenset[str]], ...]:
    """
    Every product once for each of its names: the words that stand in order, and the loose ones that a title must have and may have.

    Args:
        words: only products with a name in which each of these may be spelled, and perhaps others: taking all of them apart takes its time.
    """
    near = _near(words)
    if words and len(near) > FEW:
        return names(loose)  # taken apart once for all
    parts = [(one, BRANDS[one.vendor], *parted(name, loose)) for one, aliases in map(_product, near) for name in (one.product, *aliases)]
    return tuple((one, core, own - brand, own | brand | _sizes(one, own)) for one, brand, core, own in parts)


def parted(name: str, loose: re.Pattern[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The words of a name in their order, and apart from them the loose ones; too long a name has none."""
    found = WORD.finditer(NOISE.sub(" ", name.lower()) if len(name) <= LONGEST else "")
    words = [f"{int(one['gb'])}gb" if one["gb"] else SAME.get(one[0], one[0]) for one in found]
    told = [word for word in words if word not in SILENT and not word.startswith("hbm")]
    return tuple(word for word in told if not loose.fullmatch(word)), frozenset(word for word in told if loose.fullmatch(word))


def _near(words: tuple[str, ...]) -> tuple[int, ...]:
    """The rows of the table with a name in which each of these words may be spelled."""
    spelled = [(word, *(other for other, same in SAME.items() if same == word)) for word in words]
    return tuple(number for number, text in enumerate(_texts()) if all(any(one in text for one in spellings) for spellings in spelled))


@cache
def _texts() -> tuple[str, ...]:
    return tuple(f"{row['product']};{row['aliases']}".lower() for row in table("accelerators"))


@cache
def _product(number: int) -> tuple[Accelerator, tuple[str, ...]]:
    row = table("accelerators")[number]
    return _accelerator(row), tuple(filter(None, row["aliases"].split(";")))


def _accelerator(one: dict[str, str]) -> Accelerator:
    of = architecture(one["id"], f"{one['vendor']} {one['product']}")
    row = of or next(row for row in table("architectures") if row["id"] == one["id"])  # the title that the device prints has a word more
    source, memory_gib = f"{one['source']} ({one['date']})", float(one["memory_gib"] or 0)
    told = {name: one[name] for name in ("vendor", "product", "id")}
    return Accelerator(**told, architecture=row["architecture"], memory_gib=memory_gib, row=dtype_row(row), source=source)


def _sizes(one: Accelerator, own: frozenset[str]) -> frozenset[str]:
    """What a title may say beyond the product's name: its memory, and `SXM` for `SXM4`."""
    return frozenset({f"{one.memory_gib:g}gb", *("sxm" for word in own if word.startswith("sxm"))})
