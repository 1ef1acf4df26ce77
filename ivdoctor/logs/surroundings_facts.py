"""What was noted of an environment, as facts: never more than the text said."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..facts import Device, Driver, Environ, Gpu, Host, NvmlDevice, Package, Packages, Torch, Variable, Version
from . import surroundings_parse as parse


@dataclass(slots=True, kw_only=True)
class Notes:
    """What the lines said, the first of each kind."""

    said: dict[str, str] = field(default_factory=dict)
    installed: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    cards: dict[str, dict[int, parse.Card]] = field(default_factory=dict)
    """By the kind of list that names them, in the order the lists came."""


def facts(notes: Notes) -> Iterator[Any]:
    """Each fact whose core is there."""
    cards = _machine(notes.cards)
    torch = _torch(notes.said, named=bool(cards))
    found = (_host(notes.said), _driver(notes.said, cards, torch), _environ(notes.variables), _packages(notes.installed), torch, _gpu(cards, torch))
    yield from (fact for fact in found if fact is not None)


def _host(said: dict[str, str]) -> Host | None:
    found = parse.platform(said.get("platform", ""))
    if found is None:
        return None
    return Host(
        system=found.system,
        release=Version(found.release),
        machine=found.machine,
        libc=found.libc,
        python=Version(said.get("python", "")),
        implementation="",
        memory_mib=0,
        wsl=found.system == "Linux" and "microsoft" in found.release.lower(),
        container=False,
    )


def _driver(said: dict[str, str], cards: dict[int, parse.Card], torch: Torch | None) -> Driver | None:
    cuda = parse.pair(said.get("smi cuda", ""))
    # Beside a device, a torch without CUDA is a CPU build to the rules; `torch==2.1.0` alone does not say that it is one.
    untold = torch is not None and torch.cuda is None and torch.hip is None and not _cpu_build(said)
    devices = () if untold else _seen_by_driver(cards)
    return Driver(version=Version(said["smi driver"]), cuda=cuda, devices=devices) if cuda else None


def _environ(variables: dict[str, str]) -> Environ | None:
    found = tuple(Variable(name=name, value=variables[name]) for name in sorted(variables))
    return Environ(variables=found) if found else None


def _packages(installed: dict[str, str]) -> Packages | None:
    found = tuple(Package(name=name, version=Version(installed[name])) for name in sorted(installed))
    return Packages(installed=found, shadowed=(), broken=()) if found else None


def _torch(said: dict[str, str], *, named: bool) -> Torch | None:
    version = said.get("torch", "")
    hip = parse.version(said.get("hip", "")) or parse.hip_tag(version)
    cudnn = parse.cudnn(said.get("cudnn", ""))
    available = parse.YES_NO.get(said.get("available", "").lower())
    if not version:
        return None
    return Torch(
        version=Version(version),
        cuda=None if hip else parse.pair(said.get("cuda", "")) or parse.cuda_tag(version),
        hip=Version(hip) if hip else None,
        cudnn=Version(cudnn) if cudnn and not hip else None,
        cuda_available=named and not _cpu_build(said) if available is None else available,
        cpu_capability="unknown",
        cpu_reports=(),
        switches=(),
    )


def _cpu_build(said: dict[str, str]) -> bool:
    """Whether the text says that torch is built without an accelerator; collect_env writes `None` then."""
    tag = said.get("torch", "").partition("+")[2]
    told = said.get("cuda", "").lower() == "none" and said.get("hip", "N/A").lower() in parse.NOTHING
    return tag.startswith("cpu") or (told and not tag.startswith(("cu", "rocm")))


def _gpu(cards: dict[int, parse.Card], torch: Torch | None) -> Gpu | None:
    """What torch can use: a device beside a torch that has no CUDA is the driver's alone."""
    if not cards or (torch is not None and not torch.cuda_available):
        return None
    return Gpu(devices=tuple(_device(index, card, rocm=torch is not None and torch.hip is not None) for index, card in sorted(cards.items())))


def _device(index: int, card: parse.Card, *, rocm: bool) -> Device:
    identifier = card.gfx or _identifier(card)
    rocm = rocm or identifier.startswith("gfx") or re.match(r"(?i)amd|radeon|instinct", card.name) is not None
    return Device(
        index=index,
        kind="rocm" if rocm else "cuda",
        name=card.name,
        memory_mib=card.memory_mib,
        compute_capability=_capability(identifier),
        gfx=identifier if identifier.startswith("gfx") else None,
        pci=card.pci or None,
    )


def _seen_by_driver(cards: dict[int, parse.Card]) -> tuple[NvmlDevice, ...]:
    """All of them or none: NVML tells the capability of each, and a list with gaps would be another machine's."""
    found = [(index, card, _capability(_identifier(card))) for index, card in sorted(cards.items())]
    devices = tuple(
        NvmlDevice(index=index, name=card.name, architecture="", compute_capability=capability, memory_mib=card.memory_mib, pci=card.pci, mig=False)
        for index, card, capability in found
        if capability is not None
    )
    return devices if len(devices) == len(found) else ()


def _identifier(card: parse.Card) -> str:
    """`sm_75`; empty for a title that nobody knows, and for one cut where products of several formats begin alike."""
    from ..targets import known, target

    if found := known(card.stem):
        return found.id
    if card.stem == card.name:
        return ""
    try:
        place = target(card.stem)
    except LookupError:
        return ""
    return place.identifier


def _capability(identifier: str) -> tuple[int, int] | None:
    """`sm_75` is (7, 5), `sm_120` is (12, 0)."""
    found = re.fullmatch(r"sm_(\d{1,3})(\d)", identifier)
    return (int(found[1]), int(found[2])) if found else None


def _machine(lists: dict[str, dict[int, parse.Card]]) -> dict[int, parse.Card]:
    """
    The devices of the first list, with what the others add of the same devices.

    A single `GPU type: Tesla T4` does not count the devices; a list that begins with the same one does.
    """
    if not lists:
        return {}
    first, *others = lists.values()
    if "named" in lists and len(first) == 1 and first is lists["named"]:
        first = next((one for one in others if 0 in one and one[0].same(first[0])), first)
    return {index: _complete(card, [one[index] for one in lists.values() if index in one]) for index, card in first.items()}


def _complete(card: parse.Card, others: list[parse.Card]) -> parse.Card:
    for other in others:
        if card.same(other):
            card = replace(
                card,
                name=max(card.name, other.name, key=lambda name: (not name.endswith("..."), len(name))),
                memory_mib=card.memory_mib or other.memory_mib,
                pci=card.pci or other.pci,
                gfx=card.gfx or other.gfx,
            )
    return card
