"""How environment reports write a version, a platform, a device and a variable: one piece of text in, one value out."""

import re
from dataclasses import dataclass

from .patterns import Lazy

MARKS = " \t-*|>`\U0001f917"
"""What may stand before a line's own text: lists, tables, quotes, code, and the emblem that diffusers prints."""

NOTHING = frozenset({"", "none", "n/a", "na", "no cuda", "not installed", "could not collect", "unknown"})
"""Words of reports for a value that they do not have."""

YES_NO = {"true": True, "yes": True, "cuda": True, "false": False, "no": False, "xpu": False, "npu": False, "hpu": False, "mlu": False}
"""Answers to whether torch has CUDA; transformers names the accelerator it has instead."""

MACHINES = frozenset({"x86_64", "amd64", "i686", "aarch64", "arm64", "armv7l", "armv8l", "ppc64le", "s390x", "riscv64", "loongarch64"})
MODES = frozenset({"On", "Off", "WDDM", "TCC", "MCDM", "N/A"})
"""What nvidia-smi puts behind the name: the persistence mode, or the driver model of Windows."""

NUMBER = Lazy(r"[0-9]{1,9}(?:\.[0-9]{1,9})+(?:[0-9A-Za-z.+!_~-]{0,60}[0-9A-Za-z])?")
MAKER = Lazy(r"(?i)(?:nvidia|amd|tesla|geforce|quadro|titan|grid|radeon|instinct|[gr]tx)\b|[ABHLTVPKM]\d{1,4}(?![\w.])")
TITLE_WORD = Lazy(r"[A-Z0-9(][\w.()/+-]{0,40}|with")
"""Of a device's title; a sentence has other words too."""

PCI = Lazy(r"[0-9A-Fa-f]{0,4}([0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2})\.[0-9A-Fa-f]")
USED = Lazy(r"\s*\d{1,8}MiB\s*/\s*(\d{1,8})MiB\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One device as a text names it."""

    name: str
    """As written; nvidia-smi cuts long ones, and ends them in three dots."""
    memory_mib: int = 0
    pci: str = ""
    gfx: str = ""

    @property
    def stem(self) -> str:
        """The whole words of a name that was cut: of `NVIDIA RTX A500...` nobody knows whether A500 is one."""
        return re.split(r"[ -](?=[^ -]*$)", self.name.removesuffix("..."))[0] if self.name.endswith("...") else self.name

    def same(self, other: "Card") -> bool:
        """Whether both may be one device: the names are equal, or one is the other cut short."""
        short, long = sorted((self.name, other.name), key=lambda name: not name.endswith("..."))
        return short == long or (short.endswith("...") and long.startswith(short[:-3]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What `platform.platform()` says, taken apart."""

    system: str
    release: str
    machine: str
    libc: str


def normal(name: str) -> str:
    """`Flash_Attn`, `flash.attn` and `flash-attn` are one name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_version(word: str) -> bool:
    """Whether it is a number with at least one dot, and no more than a version."""
    return len(word) <= 80 and NUMBER.fullmatch(word) is not None  # noqa: PLR2004  # as NUMBER bounds it


def version(value: str) -> str:
    """The version that the value is, apart from a remark in brackets; empty where it is anything else, a sentence for one."""
    word, _, rest = value.strip(" \t`*").partition(" ")
    word = word.partition("@")[0]  # vLLM's own: `0.5.4@4db5176d97`
    return word if rest.strip()[:1] in ("", "(", "|") and is_version(word) else ""


def remark(value: str) -> str:
    """What stands in brackets behind a version, in lower case: the `true` of `2.1.0 (True)`."""
    return value.rpartition("(")[2].rstrip(" `*").removesuffix(")").lower() if "(" in value else ""


def pair(value: str) -> tuple[int, int] | None:
    """`12.1` is (12, 1)."""
    found = re.match(r"(\d{1,3})\.(\d{1,2})(?!\d)", value)
    return (int(found[1]), int(found[2])) if found else None


def cuda_tag(torch: str) -> tuple[int, int] | None:
    """The CUDA of a torch version's own tag: `2.1.0+cu121` is (12, 1)."""
    found = re.match(r"cu(\d{1,2})(\d)(?!\d)", torch.partition("+")[2])
    return (int(found[1]), int(found[2])) if found else None


def hip_tag(torch: str) -> str:
    """The ROCm of a torch version's own tag."""
    found = re.match(r"rocm(\d{1,3}(?:\.\d{1,9}){1,3})", torch.partition("+")[2])
    return found[1] if found else ""


def cudnn(value: str) -> str:
    """A version, or the one in the name of a single library file; of several files nobody knows which torch takes."""
    found = re.search(r"libcudnn\.so\.(\d{1,3}(?:\.\d{1,4}){1,3})$", value)
    return found[1] if found else version(value)


def platform(value: str) -> Platform | None:
    """None where it is not as `platform.platform()` writes it. macOS leaves out the kernel's release, Windows the machine."""
    system, _, rest = value.strip(" `").partition("-")
    if not re.fullmatch(r"[\w.+~-]{1,200}", rest):
        return None
    parts = rest.split("-")
    if system == "Windows":
        return Platform(system=system, release=parts[0], machine="", libc="")
    if system in ("macOS", "Darwin") and len(parts) > 1 and parts[1] in MACHINES:
        return Platform(system="Darwin", release=parts[0] if system == "Darwin" else "", machine=parts[1], libc="")
    body, _, libc = rest.rpartition("-with-") if "-with-" in rest else (rest, "", "")
    release, _, machine = body.rpartition("-")
    if system != "Linux" or not release or machine not in MACHINES:
        return None
    found = re.fullmatch(r"(glibc|musl|libc)(\d[\d.]{0,20})", libc)  # older Pythons name the distribution there
    return Platform(system=system, release=release, machine=machine, libc=f"{found[1]} {found[2]}" if found else "")


def card(text: str) -> Card | None:
    """A device's title, with `(UUID: ...)`, `(gfx942:sramecc+:xnack-)` or `, 40960 MiB` behind it or without; None for other words."""
    name = text.strip(" `").partition(" (UUID")[0]
    found = re.search(r" \((gfx[0-9a-f]{3,5})[^()]{0,40}\)$|, (\d{1,8}) MiB$", name)
    name = name[: found.start()] if found else name
    if len(name) > 100 or not MAKER.match(name) or not all(map(TITLE_WORD.fullmatch, name.split(" "))):  # noqa: PLR2004  # no title is longer
        return None
    return Card(name=name, gfx=found[1] or "" if found else "", memory_mib=int(found[2] or 0) if found else 0)


def table_row(cells: list[str]) -> tuple[int, Card] | None:
    """The first line of a device in nvidia-smi's table: number and name, then the address on the bus."""
    left, right = cells[0].split(), cells[1].split()
    address = PCI.fullmatch(right[0]) if right else None
    if len(left) < 3 or not address or left[-1] not in MODES or not re.fullmatch(r"\d{1,2}", left[0]):  # noqa: PLR2004  # number, name, mode
        return None
    found = card(" ".join(left[1:-1]))
    return (int(left[0]), Card(name=found.name, pci=address[1].lower())) if found else None


def table_memory(cells: list[str]) -> int:
    """The second line of a device: of `0MiB / 15360MiB` the total; 0 where there is none."""
    found = USED.fullmatch(cells[1])
    return int(found[1]) if found else 0


def assigned(value: str) -> str | None:
    """
    What a shell would assign; None where that is not in the text, or a command follows.

    A list of numbers may have spaces: vLLM prints `TORCH_CUDA_ARCH_LIST=7.5 8.0 9.0+PTX`.
    """
    value = value.strip(" \t`")
    if value[:1] in ("'", '"') and value[-1] == value[0] and len(value) > 1:
        value = value[1:-1]
    elif len(value.split()) > 1 and not all(word[0].isdigit() for word in value.split()):
        return None
    return None if set("$`<>\"'|&") & set(value) else value
