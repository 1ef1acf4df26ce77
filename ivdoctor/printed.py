"""What tools print around a device's title, and titles of parts of a device: the text alone is read here, no table."""

import re
from dataclasses import dataclass

LABEL = re.compile(
    r"\s*(?:(?:gpu|device)\s*\[?\d{1,3}\]?"
    r"|(?:card|gpu) (?:series|model|name)|(?:marketing|market|product|model|device|board|cuda device|device board)[ _]name(?: \(amd\))?"
    r"|chipset model|gfx version|machdep\.cpu\.brand_string|name)\s*[:=]\s*",
    re.IGNORECASE,
)
"""`GPU 0: ` of nvidia-smi -L, `Card Series: ` of rocm-smi, `Marketing Name: ` of rocminfo, `Chipset Model: ` of system_profiler."""

TAIL = re.compile(
    r"\s*(?:\(uuid:[^()]*\)|\((?:radv|radeonsi|dg2|bmg|llvm|polaris)[^()]*\)|, (?:compute capability|gfx[0-9a-f]{3,4}\b|vmm).*)\s*",
    re.IGNORECASE | re.DOTALL,
)
PROPERTIES = re.compile(r"_?\w{0,40}Properties\(name='([^']{1,120})'.*", re.DOTALL)
"""As `torch.cuda.get_device_properties` and its like for other backends print."""

TOLD = re.compile(r"\bgfx[0-9a-f]{3,4}\b|\bcompute[ _]capability:? ?([0-9]{1,2}\.[0-9])\b", re.IGNORECASE)

MIG = re.compile(r"(.*\S)\s+MIG\s+([1-7]g\.([1-9][0-9]{0,2})gb(?:\+[a-z.]{1,6})?)", re.IGNORECASE)
"""NVML's name of a slice: the board's, then `MIG 1g.5gb`."""

VGPU = re.compile(
    r"((?:NVIDIA |GRID )*((?:RTX (?:PRO )?)?[A-Z]*[0-9]+[A-Z]{0,2}(?:[ -](?:Ada|Blackwell))?)(?: DC)?)(?:-[1-7])?-([1-9][0-9]{0,2})[ABCQ][0-9]?(?:ME)?",
    re.IGNORECASE,
)
"""`GRID T4-16Q`: the board, 16 GB, and for what it is licensed; `A100-4-20C` is four slices of seven."""

SLOT = re.compile(r"\s*(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\s+[^:\[\]]{1,60}(?:\[[0-9a-f]{4}\])?:\s+", re.IGNORECASE)
MAKER = re.compile(
    r"(?:NVIDIA Corporation|Advanced Micro Devices, Inc\.|AMD/ATI|Intel Corporation|Habana Labs Ltd\.|Huawei Technologies Co\., Ltd\.)\s+",
    re.IGNORECASE,
)
EXTRA = re.compile(r"\s*(?:\[AMD/ATI\]|\[[0-9a-f]{4}:[0-9a-f]{4}\]|\(rev [0-9a-f]{2}\)|\(prog-if [^()]*\))\s*", re.IGNORECASE)

VARIANT = re.compile(r"\s*\b(?:Mobile|Max-Q|Laptop GPU|Refresh|Rev\. ?[0-9A-Z]|Lite Hash Rate|GDDR[0-9]X?|OEM)(?!\S)", re.IGNORECASE)
"""What pci.ids adds to a product's name for the same chip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A device as lspci prints it."""

    chip: str
    """`TU104GL`, `Navi 31`; empty where the entry names none."""
    titles: tuple[tuple[str, ...], ...]
    """The products that it may be, each with its spellings, the likeliest first."""


def title(text: str) -> str:
    """The text without the labels and additions of tools; one without any comes back as it was, but for blanks around it."""
    if found := PROPERTIES.fullmatch(text.strip()):
        return found[1]
    for _ in range(3):  # `GPU[0]: Card Series: AMD Instinct MI300X`
        label = LABEL.match(text)
        text = text[label.end() :] if label else text
    for _ in range(2):
        tail = next((one for one in TAIL.finditer(text) if one.end() == len(text)), None)
        text = text[: tail.start()] if tail else text
    return text.strip()


def told(text: str) -> str:
    """The one architecture that the text itself names beside a title: `gfx1151`, `8.7`; empty where it names none or several."""
    found = {one[1] or one[0].lower() for one in TOLD.finditer(text)}
    return found.pop() if len(found) == 1 else ""


def entry(text: str) -> Entry | None:
    """What lspci says of one device, with or without the slot in front; None for any other text."""
    slot = SLOT.match(text)
    rest = EXTRA.sub(" ", text[slot.end() :] if slot else text)
    rest = MAKER.sub("", rest, count=1).strip()
    found = re.fullmatch(r"([^\[\]]*)\[([^\[\]]+)\]", rest)
    if found:
        return Entry(chip=found[1].strip(), titles=tuple(_spellings(one) for one in _each(found[2])))
    return Entry(chip=rest, titles=(_spellings(rest),)) if slot and rest else None


def _each(names: str) -> tuple[str, ...]:
    """`Radeon RX 7900 XT/7900 XTX` is two products, of which the second leaves out what it shares with the first."""
    first, *others = (one.strip() for one in names.split("/"))
    series = re.match(r"[^0-9]*", first)
    return (first, *((series[0] if series and one[:1].isdigit() else "") + one for one in others if one))


def _spellings(name: str) -> tuple[str, ...]:
    """As it stands; as the driver calls the laptop's; without the variant."""
    bare = " ".join(VARIANT.sub("", name).split())
    mobile = re.search(r"\b(?:Mobile|Max-Q)\b", name, re.IGNORECASE)
    return tuple(dict.fromkeys((name, *([f"{bare} Laptop GPU"] if mobile else []), bare)))
