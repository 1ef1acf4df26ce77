"""Which published builds of PyTorch carry code for a device, and which drivers run them."""

import pytest

from ivdoctor.builds import Carrier, UnknownBuild, build, carriers, carriers_of_all, driver_floor, machine_of, runs_on, usual
from ivdoctor.tables import table
from ivdoctor.targets import target
from ivdoctor.wheels import carries

RELEASES = [row["torch"] for row in table("torch_releases")]


def ranges(capability: tuple[int, int] | None, gfx: str | None = None, machine: str = "x86_64") -> list[str]:
    """What carries a device, in one word each."""
    return [f"{one.build} {one.torch_from}-{one.torch_last}" for one in carriers(capability, gfx, machine)]


def test_a_gtx_1080_is_carried_up_to_the_last_build_for_cuda_12_6() -> None:
    """sm_60 and sm_50 code runs on 6.1; plain pip brings none from 2.8 on."""
    assert ranges((6, 1)) == [
        "cu126 2.6-2.14",
        "cu118 2.0-2.7",
        "cu124 2.4-2.6",
        "cu121 2.1-2.5",
        "cu117 1.13-2.0",
        "cu116 1.12-1.13",
        "cu113 1.10-1.12",
        "cu102 1.10-1.12",
        "cu115 1.11-1.11",
        "cu111 1.10-1.10",
    ]
    assert usual(carriers((6, 1))) == Carrier(build="cu126", torch_from="2.6", torch_last="2.14", latest=False)


def test_a_v100_is_carried_by_cu128_from_2_8_to_2_10_only() -> None:
    """2.7 and 2.11 lack it on either side."""
    assert ranges((7, 0))[:4] == ["cu126 2.6-2.14", "cu129 2.8-2.10", "cu128 2.8-2.10", "cu118 2.0-2.7"]
    assert usual(carriers((7, 0))) == carriers((7, 0))[0]


def test_a_t4_is_carried_by_the_newest_of_all() -> None:
    """And plain pip brings it."""
    assert ranges((7, 5))[:5] == ["cu132 2.12-2.15", "cu130 2.9-2.15", "cu126 2.6-2.14", "cu129 2.8-2.13", "cu128 2.7-2.11"]
    assert [one.latest for one in carriers((7, 5))[:3]] == [True, True, False]
    assert usual(carriers((7, 5))) == Carrier(build="cu132", torch_from="2.12", torch_last="2.15", latest=True)


@pytest.mark.parametrize("capability", [(10, 0), (10, 3), (12, 0), (12, 1)])
def test_a_blackwell_is_carried_from_cu128_of_2_7_on(capability: tuple[int, int]) -> None:
    """sm_100 code runs on 10.3, sm_120 code on 12.1."""
    assert ranges(capability) == ["cu132 2.12-2.15", "cu130 2.9-2.15", "cu129 2.8-2.13", "cu128 2.7-2.11"]


@pytest.mark.parametrize("capability", [(3, 5), (5, 3), (6, 2), (7, 2), (8, 7), (11, 0), None])
def test_what_no_build_has_code_for_is_carried_by_none(capability: tuple[int, int] | None) -> None:
    """A Kepler older than 3.7, and Jetsons, which run their own code only; none without a device."""
    assert carriers(capability) == ()
    assert usual(carriers(capability)) is None


def test_a_jetson_orin_is_carried_by_no_build_for_arm_either() -> None:
    """sm_80 code does not run on 8.7; a Thor has its code from CUDA 13 on, and its default among those."""
    assert ranges((8, 7), machine="aarch64") == []
    assert ranges((11, 0), machine="aarch64") == ["cu132 2.12-2.15", "cu130 2.9-2.15"]
    assert usual(carriers((11, 0), machine="aarch64"), machine="aarch64") == carriers((11, 0), machine="aarch64")[0]


def test_a_kepler_is_carried_up_to_cu118_of_2_7() -> None:
    """Nothing newer has sm_37."""
    assert ranges((3, 7))[:2] == ["cu118 2.0-2.7", "cu117 1.13-2.0"]


def test_the_default_is_what_pip_takes_where_that_carries_the_device() -> None:
    """Of 2.14 pip takes cu130 although cu132 is newer; where it does not carry the device, the newest that does."""
    chosen = usual(carriers((9, 0)))
    assert chosen
    assert build(chosen.torch_last).version == f"{chosen.torch_last}.0+{chosen.build}"
    older = usual(carriers((7, 0)))
    assert older
    assert not carries(build(older.torch_last).arch_list, (7, 0))


def test_radeons_and_instincts_are_carried_by_rocm() -> None:
    """By name and nothing else: gfx906 left with ROCm 7.14, gfx942 came with 6.0, gfx1031 was never there."""
    assert ranges(None, "gfx906")[:3] == ["rocm7.2 2.11-2.14", "rocm7.1 2.10-2.13", "rocm7.0 2.10-2.10"]
    assert ranges(None, "gfx906")[-1] == "rocm5.1.1 1.12-1.13"
    assert ranges(None, "gfx942")[:2] == ["rocm7.14 2.14-2.14", "rocm7.2 2.11-2.14"]
    assert ranges(None, "gfx942")[-1] == "rocm6.0 2.3-2.4"
    assert ranges(None, "gfx1031") == []
    found = usual(carriers(None, "gfx942"))
    assert found
    assert (found.build, found.torch_last) == ("rocm7.14", "2.14")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("row", [row for row in table("architectures") if row["vendor"] in {"NVIDIA", "AMD"}], ids=lambda row: row["id"])
def test_a_carrier_carries_in_every_version_that_it_names(row: dict[str, str], machine: str) -> None:
    """From its first to its last, and neither right before nor right after."""
    digits = row["id"].removeprefix("sm_")
    capability = (int(digits[:-1]), int(digits[-1])) if digits.isdecimal() else None

    def carried(minor: str, one: str) -> bool:
        try:
            arch_list = build(f"{minor}+{one}", machine).arch_list
        except UnknownBuild:
            return False
        return carries(arch_list, capability) if capability else row["id"] in arch_list

    for one in carriers(capability, row["id"], machine):
        first, last = RELEASES.index(one.torch_from), RELEASES.index(one.torch_last)
        assert all(carried(minor, one.build) for minor in RELEASES[first : last + 1])
        assert not any(carried(minor, one.build) for minor in [*RELEASES[max(first - 1, 0) : first], *RELEASES[last + 1 :]])
        assert one.latest == (last == len(RELEASES) - 1)


@pytest.mark.parametrize(
    ("cuda", "driver", "expected"),
    [
        ((12, 8), (12, 8), True),
        ((12, 8), (12, 2), True),
        ((12, 8), (13, 0), True),
        ((11, 8), (11, 0), True),
        ((13, 0), (12, 9), False),
        ((12, 1), (11, 8), False),
        ((10, 2), (10, 1), False),
        ((10, 2), (10, 2), True),
        ((10, 2), (12, 4), True),
    ],
)
def test_a_build_runs_on_its_major_version_or_a_newer_driver(cuda: tuple[int, int], driver: tuple[int, int], expected: bool) -> None:
    """Minor-version compatibility began with CUDA 11."""
    assert runs_on(cuda, driver) is expected


@pytest.mark.parametrize(
    ("cuda", "floor"),
    [
        ((11, 8), "450.80.02"),
        ((11, 2), "450.80.02"),
        ((12, 4), "525.60.13"),
        ((12, 5), "525.60.13"),
        ((13, 0), "580"),
        ((13, 9), "580"),
        ((10, 2), "440.33"),
        ((10, 1), ""),
        ((9, 0), ""),
        ((14, 0), ""),
    ],
)
def test_the_oldest_driver_is_that_of_the_major_version(cuda: tuple[int, int], floor: str) -> None:
    """Of a release that no build is for too; nothing is said of a major version that the table does not have."""
    assert driver_floor(cuda) == floor


def test_a_build_for_two_devices_carries_both_at_once() -> None:
    """A P40 and an RTX 5090 have no build in common; a T4 and an RTX 5090 have those from CUDA 12.8 on."""
    assert carriers_of_all(((6, 1), (12, 0))) == ()
    assert carriers_of_all(((7, 5),)) == carriers((7, 5))
    both = carriers_of_all(((7, 5), (12, 0)))
    assert {one.build for one in both} == {"cu128", "cu129", "cu130", "cu132"}
    for one in both:
        for version in (one.torch_from, one.torch_last):
            arch_list = build(f"{version}+{one.build}").arch_list
            assert carries(arch_list, (7, 5))
            assert carries(arch_list, (12, 0))


@pytest.mark.parametrize(
    ("names", "machine"), [(("GH200",), "aarch64"), (("T4",), "x86_64"), (("GB200", "T4"), "x86_64"), (("GH200", "GB200"), "aarch64"), ((), "x86_64")]
)
def test_a_superchip_has_an_arm_beside_it(names: tuple[str, ...], machine: str) -> None:
    """Its name tells; several are ARM only where all of them are."""
    assert machine_of(*map(target, names)) == machine
