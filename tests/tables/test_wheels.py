"""The tables of releases, builds, drivers and switches: they agree with each other and claim nothing impossible."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable

import pytest

from ivdoctor.facts import release
from ivdoctor.probes.torch import SWITCHES
from ivdoctor.tables import table

RELEASES = [row["torch"] for row in table("torch_releases")]
WHEELS = table("wheels")
BEFORE_VOLTA_WAS_DROPPED = {"2.7", "2.8", "2.9", "2.10"}

ARCHITECTURES = {row["id"] for row in table("architectures")}


def ident(row: dict[str, str]) -> str:
    return " ".join(row[column] for column in ("build", "machine", "torch_from"))


def minors(row: dict[str, str]) -> set[str]:
    """The releases that a row is about."""
    before = release(row["torch_before"])
    return {one for one in RELEASES if release(row["torch_from"]) <= release(one) and (not before or release(one) < before)}


def wrong(row: dict[str, str]) -> list[str]:
    """What is not so in a row of `wheels.csv`."""
    found = [column for column in ("torch_from", "torch_before") if row[column] and row[column] not in RELEASES]
    found += [] if minors(row) else ["no release"]
    found += [] if row["machine"] in {"x86_64", "aarch64"} else ["machine"]
    code = row["arch_list"].split(" ") if row["arch_list"] else []
    if not re.fullmatch(r"cpu|cu\d{3}|rocm\d{1,2}(\.\d{1,2}){1,2}", row["build"]):
        return [*found, "build"]
    found += ["arch_list"] if bool(code) == (row["build"] == "cpu") else []
    found += [one for one, count in Counter(code).items() if count > 1]
    kind = r"(sm|compute)_\d{2,3}" if row["build"].startswith("cu") else r"gfx[0-9a-f]{3,4}"
    unknown = [one for one in code if not re.fullmatch(kind, one) or one.replace("compute_", "sm_") not in ARCHITECTURES]
    return found + (unknown or beyond(row, code))


def beyond(row: dict[str, str], code: list[str]) -> list[str]:
    """Code that the toolkit of a CUDA build cannot compile, or that was dropped from it."""
    digits = row["build"].removeprefix("cu")
    if not digits.isdecimal():
        return []
    numbers = [int(one.rpartition("_")[2]) for one in code]
    oldest = 75 if int(digits) >= 130 or (int(digits) >= 128 and not minors(row) <= BEFORE_VOLTA_WAS_DROPPED) else 35
    newest = 120 if int(digits) >= 128 else 90
    return [f"{number} with {row['build']}" for number in numbers if not oldest <= number <= newest]


def overlapping(rows: Iterable[dict[str, str]]) -> list[tuple[str, str]]:
    """Pairs of rows that say the list of one build of one release twice."""
    return [
        (ident(one), ident(two))
        for one, two in itertools.combinations(rows, 2)
        if (one["build"], one["machine"]) == (two["build"], two["machine"]) and minors(one) & minors(two)
    ]


@pytest.mark.parametrize("row", WHEELS, ids=ident)
def test_a_build_claims_nothing_impossible(row: dict[str, str]) -> None:
    """Known releases, known device code, of a kind that its toolkit compiles for."""
    assert wrong(row) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"torch_from": "2.16"}, ["torch_from", "no release"]),
        ({"torch_from": "2.10.0"}, ["torch_from", "no release"]),
        ({"torch_before": "2.10"}, ["no release"]),
        ({"torch_before": "9.9", "arch_list": "sm_75"}, ["torch_before"]),
        ({"machine": "amd64"}, ["machine"]),
        ({"build": "cuda"}, ["build"]),
        ({"build": "cpu"}, ["arch_list", "sm_70", "sm_75"]),
        ({"arch_list": ""}, ["arch_list"]),
        ({"arch_list": "sm_75  sm_80"}, [""]),
        ({"arch_list": "sm_75 sm_75"}, ["sm_75"]),
        ({"arch_list": "sm_75 sm_88"}, ["sm_88"]),
        ({"arch_list": "sm_75 gfx942"}, ["gfx942"]),
        ({"build": "cu121", "arch_list": "sm_90 compute_120"}, ["120 with cu121"]),
        ({"build": "cu130"}, ["70 with cu130"]),
        ({"build": "cu129", "torch_before": "2.12"}, ["70 with cu129"]),
        ({"torch_before": ""}, ["70 with cu128"]),
    ],
)
def test_an_impossible_build_would_be_refused(changes: dict[str, str], expected: list[str]) -> None:
    """The check above can fail: also on Volta in a build for CUDA 12.8 of torch 2.11, or for CUDA 13 of any."""
    row = {"build": "cu128", "machine": "x86_64", "torch_from": "2.10", "torch_before": "2.11", "arch_list": "sm_70 sm_75"}
    assert wrong(row) == []
    assert wrong({**row, **changes}) == expected


def test_no_build_of_a_release_is_listed_twice() -> None:
    """Which of two lists held would be chance."""
    assert overlapping(WHEELS) == []
    one = {"build": "cu128", "machine": "x86_64", "torch_from": "2.8", "torch_before": "2.11"}
    assert overlapping([one, {**one, "torch_from": "2.10", "torch_before": ""}]) == [("cu128 x86_64 2.8", "cu128 x86_64 2.10")]
    assert overlapping([one, {**one, "torch_from": "2.11", "torch_before": ""}, {**one, "machine": "aarch64"}]) == []


@pytest.mark.parametrize("row", table("torch_releases"), ids=lambda row: row["torch"])
def test_a_release_has_its_patches_and_a_published_default(row: dict[str, str]) -> None:
    """What a plain pip brings is among the builds of that release, on either machine; patches stand in their order."""
    patches = row["patches"].split(";")
    assert patches == [f"{row['torch']}.{number}" for number in range(len(patches))]
    for machine, column in (("x86_64", "pypi_build"), ("aarch64", "pypi_aarch64")):
        assert [one for one in WHEELS if (one["build"], one["machine"]) == (row[column], machine) and row["torch"] in minors(one)]
    assert re.fullmatch(r"\d{1,2}\.\d{1,2}(\.\d)?", row["cudnn"])
    assert re.fullmatch(r"(\d\.\d\.\d)?", row["triton"])


def test_releases_stand_in_their_order_without_a_gap() -> None:
    """2.9 is before 2.10."""
    assert sorted(RELEASES, key=release) == RELEASES
    numbers = [release(one) for one in RELEASES]
    assert numbers == [(1, minor) for minor in range(10, 14)] + [(2, minor) for minor in range(16)]


def test_the_newest_cuda_of_pip_never_steps_back() -> None:
    """cu102, cu117, cu121, ... cu132."""
    digits = [int(row["pypi_build"].removeprefix("cu")) for row in table("torch_releases")]
    assert sorted(digits) == digits


@pytest.mark.parametrize(
    ("minor", "builds"),
    [
        ("1.10", "cu102 cu113"),
        ("1.12", "cu102 cu113 cu116"),
        ("1.13", "cu116 cu117"),
        ("2.0", "cu117 cu118"),
        ("2.1", "cu118 cu121"),
        ("2.3", "cu118 cu121"),
        ("2.4", "cu118 cu121 cu124"),
        ("2.6", "cu118 cu124 cu126"),
        ("2.7", "cu118 cu126 cu128"),
        ("2.8", "cu126 cu128 cu129"),
        ("2.9", "cu126 cu128 cu130"),
        ("2.10", "cu126 cu128 cu130"),
        ("2.11", "cu126 cu128 cu130"),
        ("2.12", "cu126 cu129 cu130 cu132"),
        ("2.13", "cu126 cu129 cu130 cu132"),
        ("2.14", "cu126 cu130 cu132"),
        ("2.15", "cu130 cu132"),
    ],
)
def test_the_builds_of_a_release_are_there(minor: str, builds: str) -> None:
    """As RELEASE.md of pytorch lists them, and the CPU's."""
    there = {row["build"] for row in WHEELS if row["machine"] == "x86_64" and minor in minors(row)}
    assert {*builds.split(), "cpu"} <= there


@pytest.mark.parametrize(
    ("build", "minor", "expected"),
    [("cu128", "2.7", False), ("cu128", "2.8", True), ("cu128", "2.10", True), ("cu128", "2.11", False), ("cu126", "2.14", True)],
)
def test_volta_came_and_went(build: str, minor: str, expected: bool) -> None:
    """Dropped from cu128 in 2.7, back in 2.8, dropped for good in 2.11; cu126 kept it."""
    (row,) = [row for row in WHEELS if (row["build"], row["machine"]) == (build, "x86_64") and minor in minors(row)]
    assert ("sm_70" in row["arch_list"].split()) is expected


def test_every_cuda_of_a_build_has_its_driver() -> None:
    """The driver that came with the toolkit is at least the floor of its major version."""
    drivers = {row["cuda"]: row for row in table("cuda_drivers")}
    digits = {row["build"].removeprefix("cu") for row in WHEELS if row["build"].startswith("cu")}
    assert {f"{one[:-1]}.{one[-1]}" for one in digits} <= set(drivers)
    for row in drivers.values():
        assert re.fullmatch(r"\d{3}(\.\d{2}){1,2}", row["linux"])
        assert re.fullmatch(r"(\d{3}\.\d{2})?", row["windows"])
        assert release(row["linux"]) >= release(row["floor_linux"])
    floors = {(row["cuda"].split(".")[0], row["floor_linux"]) for row in drivers.values()}
    assert len(floors) == len(dict(floors)), "one floor for all of a major version"


def test_the_switches_that_the_probe_reads_are_listed() -> None:
    """By the name one would write to read them."""
    listed = {row["name"] for row in table("switches")}
    assert {*(f"torch.{name}" for name in SWITCHES), "torch.get_float32_matmul_precision()"} <= listed
    assert all(name.startswith("torch.") for name in listed)


def test_a_switch_has_one_default_in_a_release() -> None:
    """From known releases on, in ranges that do not overlap, and in torch's own words."""
    rows = table("switches")
    assert overlapping([{**row, "build": row["name"], "machine": ""} for row in rows]) == []
    for row in rows:
        assert {row["torch_from"], row["torch_before"]} <= {*RELEASES, ""}
        assert row["default"] in {"True", "False", "none", "tf32", "highest"}
        assert minors(row)
        assert row["meaning"] == row["meaning"].rstrip(".")
