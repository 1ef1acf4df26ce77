"""Which device code runs on which device."""

import re

from .facts import Place, Precision, Torch
from .tables import table

EXACT = {(5, 3), (6, 2), (7, 2), (8, 7), (10, 1)}
"""Integrated GPUs that run only code built for them."""

REACH = {(10, 1): {(10, 1), (11, 0)}}
"""Where neither `same major, not newer minor` nor EXACT is the rule: CUDA 13 calls 10.1 by the new name 11.0."""


def cuda_release(build: str) -> tuple[int, int] | None:
    """(12, 6) of `cu126`; None for a build of another kind."""
    digits = build.removeprefix("cu")
    return (int(digits[:-1]), int(digits[-1])) if digits != build and digits.isdecimal() and len(digits) > 1 else None


def carries(arch_list: tuple[str, ...], capability: tuple[int, int]) -> bool:
    """
    Whether a build with this list has code for a device of this compute capability.

    `sm_86` runs on 8.6 and 8.9; `compute_90` is compiled on first use for 9.0 and newer; a suffix binds to one (`sm_90a`) or to a family (`sm_100f`).

    Source: torch 2.13.0, torch/cuda/__init__.py, DEVICE_REQUIREMENT; CUDA Programming Guide, binary compatibility (2026-11-22).
    """
    return any(_runs(arch, capability) for arch in arch_list)


def lacks_code(torch: Torch, place: Place, precision: Precision | None = None) -> bool:
    """Whether nothing at all can run there with this build: a matter of the wheel, never of a dtype. A run that worked is believed."""
    if precision and any(one.status == "works" for one in precision.operations):
        return False
    if place.compute_capability and torch.cuda and torch.arch_list:
        return not carries(torch.arch_list, place.compute_capability)
    return bool(place.gfx and torch.hip and torch.arch_list) and place.gfx not in torch.arch_list


def names(capability: tuple[int, int]) -> str:
    """What a build may list for this device: `sm_60 or sm_61` for 6.1."""
    major, minor = capability
    known = {row["id"] for row in table("architectures")}
    able = [f"sm_{major}{one}" for one in range(minor + 1) if _runs(f"sm_{major}{one}", capability) and f"sm_{major}{one}" in known]
    able += [f"sm_{one[0]}{one[1]}" for one, reach in REACH.items() if capability in reach and one[0] != major]
    return " or ".join(able or [f"sm_{major}{minor}"])


def _runs(arch: str, device: tuple[int, int]) -> bool:
    kind, _, number = arch.partition("_")
    digits = number.rstrip("af")
    if not re.fullmatch(r"(?:sm|compute)_[0-9]{2,3}[af]?", arch):
        return False
    built = (int(digits[:-1]), int(digits[-1]))
    if number.endswith("a"):
        return built == device
    if kind == "compute" and not number.endswith("f"):
        return built <= device
    if built in REACH:
        return device in REACH[built]
    if device in EXACT or built in EXACT:
        return built == device
    return built[0] == device[0] and built[1] <= device[1]
