"""Published builds of PyTorch: what `--torch 2.6+cu124` stands for, and which of them carry code for a device."""

import re
from bisect import bisect
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from .facts import Place, Switch, Torch, Version, release
from .tables import holds, table
from .text import say
from .wheels import EXACT, carries, cuda_release

LONGEST = 40
"""No version with its build is longer."""

ASKED = re.compile(
    r"(?:torch[\s=]*)?v?([0-9]{1,3})\.([0-9]{1,3})(?:\.([0-9]{1,3}))?(?:\s*\+\s*([a-z0-9][a-z0-9.]*))?",
    re.IGNORECASE | re.ASCII,
)
"""A release, with or without its patch and its build; what follows a nightly's or a source build's version has no match."""

NUMBERS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){1,2}", re.ASCII)

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Other names of the machines of `wheels.csv`."""

BUILT_FOR = ("cpu", "cuda", "rocm")
"""What the builds of `wheels.csv` drive."""

ARM = ("GH200", "GB200", "GB300", "GB10", "DGX Spark", "Jetson", "Orin", "Xavier", "Thor")
"""Words of products whose host is aarch64."""

INTEGRATED = EXACT | {(11, 0), (12, 1)}
"""Compute capabilities of Jetsons, Thor and GB10, whose processors are ARM's."""

COMPATIBLE = 11
"""From CUDA 11 on, a driver runs the programs of every release of its major version."""

Minor = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """A build that carries code for a device, and the minor versions of torch over which it does so without a gap, the newest such."""

    build: str
    torch_from: str
    torch_last: str
    latest: bool
    """Whether `torch_last` is the newest release of the tables."""


class UnknownBuild(LookupError):
    """A version that the tables do not have, or a build that they do not have for it; `nearest` holds what could be meant instead."""

    def __init__(self, text: str, nearest: tuple[str, ...], version: str = "", machine: str = "") -> None:
        self.nearest = nearest
        told, near = repr(text[:LONGEST]), ", ".join(nearest) or say("none")
        if version:
            message = say(
                "torch {version} for {machine} has no known build {build}; known: {near}", version=version, machine=machine, build=told, near=near
            )
        else:
            message = say("there is no known torch {text}; the nearest: {near}", text=told, near=near)
        super().__init__(message)


class SeveralMachines(UnknownBuild):
    """Targets beside processors of different kinds, for each of which the same version is another build."""

    def __init__(self, machines: Iterable[str]) -> None:
        self.nearest = ()
        told = ", ".join(sorted(machines))
        LookupError.__init__(self, say("the targets stand beside {machines}, each with builds of its own: ask for one kind at a time", machines=told))


def build(text: str, machine: str = "x86_64") -> Torch:
    """
    The build that `--torch` asks for, as it would look installed where its device is; without `+build` the one that pip takes by default.

    Raises UnknownBuild, also for nightlies and source builds, which nobody can look up.
    """
    text, machine = text.strip(), _machine(machine)
    asked = ASKED.fullmatch(text) if len(text) <= LONGEST else None
    row = _releases().get((int(asked[1]), int(asked[2]))) if asked else None
    patches = row["patches"].split(";") if row else []
    version = next((one for one in patches if not asked[3] or release(one)[2] == int(asked[3])), "") if asked else ""
    if not asked or not row or not version:
        raise UnknownBuild(text, _nearest(text))
    minor, tag = release(row["torch"]), (asked[4] or _default(row, machine)).lower()
    if (minor, tag) not in _wheels(machine):
        there = sorted((one for known, one in _wheels(machine) if known == minor), key=_rank, reverse=True)
        raise UnknownBuild(tag, tuple(f"{version}+{one}" for one in there), version, repr(machine[:LONGEST]))
    return _torch(row, version, tag, _wheels(machine)[minor, tag])


def build_for(text: str, *places: Place) -> Torch:
    """
    The same for targets; where none of them is of a kind that the builds of the tables are for, the release alone.

    Raises UnknownBuild.
    """
    beside = {machine_of(place) for place in places}
    if len(beside) > 1:
        raise SeveralMachines(beside)
    found = build(text, machine_of(*places))
    if not places or any(place.backend in BUILT_FOR for place in places) or "+" in text:
        return found
    switches = tuple(one for one in found.switches if ".cuda." not in one.name and ".cudnn." not in one.name)
    bare = Version(found.version.partition("+")[0])
    return replace(found, version=bare, cuda=None, cudnn=None, arch_list=(), cuda_available=False, switches=switches)


@cache
def carriers(capability: tuple[int, int] | None, gfx: str | None = None, machine: str = "x86_64") -> tuple[Carrier, ...]:
    """Every build with code for a device of this compute capability or gfx number, the one in the newest torch first."""
    able = {
        key
        for key, arch_list in _wheels(_machine(machine)).items()
        if (gfx is not None and gfx in arch_list) or (capability is not None and carries(arch_list, capability))
    }
    found = [_carrier(one, [minor for minor in _releases() if (minor, one) in able]) for one in {one for _, one in able}]
    return tuple(sorted(found, key=lambda one: (release(one.torch_last), _rank(one.build)), reverse=True))


def carriers_of_all(capabilities: tuple[tuple[int, int], ...], machine: str = "x86_64") -> tuple[Carrier, ...]:
    """Every build with code for all of these compute capabilities at once, the one in the newest torch first."""
    lists = [{one.build: one for one in carriers(capability, None, machine)} for capability in capabilities]
    together = []
    for build in set.intersection(*map(set, lists)):
        same = [one[build] for one in lists]
        first, last = max((one.torch_from for one in same), key=release), min((one.torch_last for one in same), key=release)
        if release(first) <= release(last):
            together.append(Carrier(build=build, torch_from=first, torch_last=last, latest=all(one.latest for one in same)))
    return tuple(sorted(together, key=lambda one: (release(one.torch_last), _rank(one.build)), reverse=True))


def carried(place: Place, most: int = 4) -> str:
    """The builds that carry a device, newest torch first and so many of them: `cu126 (torch 2.6 to 2.14)`; empty where none is known."""
    found = carriers(place.compute_capability, place.gfx, machine_of(place))
    told = [_told(one) for one in found[:most]]
    return ", ".join([*told, *([say("and {count} older", count=len(found) - most)] if len(found) > most else [])])


def _told(one: Carrier) -> str:
    if one.torch_from == one.torch_last:
        return say("{build} (torch {first})", build=one.build, first=one.torch_from)
    return say("{build} (torch {first} to {last})", build=one.build, first=one.torch_from, last=one.torch_last)


def machine_of(*places: Place) -> str:
    """The processor beside accelerators, where all of them tell it: NVIDIA's superchips and Jetsons are ARM."""
    return "aarch64" if places and all(map(_on_arm, places)) else "x86_64"


def _on_arm(place: Place) -> bool:
    return place.compute_capability in INTEGRATED or any(word in place.title for word in ARM)


def usual(found: tuple[Carrier, ...], machine: str = "x86_64") -> Carrier | None:
    """Of several builds, the newest torch first, the one to install: of that torch the build that pip takes by default, if it is among them."""
    newest = [one for one in found if one.torch_last == found[0].torch_last]
    default = _default(_releases()[release(newest[0].torch_last)], _machine(machine)) if newest else ""
    return next((one for one in newest if one.build == default), newest[0] if newest else None)


def runs_on(cuda: tuple[int, int], driver_cuda: tuple[int, int]) -> bool:
    """
    Whether a build for this CUDA release runs on a driver that reports `driver_cuda`: on a newer one, or on one of the same major version.

    Not so for code that is compiled on first use (`compute_90`): that takes a driver as new as the build.
    """
    return driver_cuda >= cuda or (driver_cuda[0] == cuda[0] and cuda[0] >= COMPATIBLE)


def driver_floor(cuda: tuple[int, int]) -> str:
    """The oldest driver on Linux that runs a build for this CUDA release: `525.60.13` for all of CUDA 12; empty where unknown."""
    rows = {release(row["cuda"]): row["floor_linux"] for row in table("cuda_drivers")}
    alike = (floor for (major, _), floor in rows.items() if major == cuda[0] >= COMPATIBLE)
    return rows.get(cuda) or next(alike, "")


def _torch(row: dict[str, str], version: str, tag: str, arch_list: tuple[str, ...]) -> Torch:
    cuda, rocm = cuda_release(tag), tag.removeprefix("rocm")
    switches = [Switch(name=one["name"], value=one["default"]) for one in table("switches") if holds(one, release(row["torch"]))]
    return Torch(
        version=Version(f"{version}+{tag}"),
        cuda=cuda,
        hip=Version(rocm) if rocm != tag else None,
        cudnn=Version(row["cudnn"]) if cuda and row["cudnn"] else None,
        arch_list=arch_list,
        cuda_available=tag != "cpu",
        cpu_capability="unknown",
        cpu_reports=(),
        switches=tuple(sorted(switches, key=lambda one: one.name)),
    )


def _carrier(one: str, able: list[Minor]) -> Carrier:
    """The newest stretch of releases that carry the device: cu128 has sm_70 from 2.8 to 2.10."""
    every = list(_releases())
    first = last = every.index(able[-1])
    while first and every[first - 1] in able:
        first -= 1
    rows = list(_releases().values())
    return Carrier(build=one, torch_from=rows[first]["torch"], torch_last=rows[last]["torch"], latest=last == len(every) - 1)


def _machine(name: str) -> str:
    return MACHINES.get(name.lower(), name.lower())


def _default(row: dict[str, str], machine: str) -> str:
    """What `pip install torch` brings there."""
    return row["pypi_build" if machine == "x86_64" else "pypi_aarch64"]


def _rank(one: str) -> tuple[bool, Minor]:
    """CUDA builds after ROCm's, by their numbers; the CPU's first."""
    cuda = cuda_release(one)
    return cuda is not None, cuda or release(one.removeprefix("rocm"))


@cache
def _releases() -> dict[Minor, dict[str, str]]:
    """The rows of `torch_releases.csv` by their minor version, the oldest first."""
    return dict(sorted((release(row["torch"]), row) for row in table("torch_releases")))


@cache
def _wheels(machine: str) -> dict[tuple[Minor, str], tuple[str, ...]]:
    """The code in each published build of each minor version for a machine."""
    rows = [row for row in table("wheels") if row["machine"] == machine]
    return {(minor, row["build"]): tuple(row["arch_list"].split()) for row in rows for minor in _releases() if holds(row, minor)}


def _nearest(text: str) -> tuple[str, ...]:
    """Three releases around the version that a text begins with, or the newest."""
    every = [version for row in _releases().values() for version in row["patches"].split(";")]
    found = NUMBERS.search(text[:LONGEST])
    at = bisect([release(one) for one in every], (*release(found[0]), 0)[:3]) if found else len(every)
    first = min(max(at - 2, 0), len(every) - 3)
    return tuple(every[first : first + 3])
