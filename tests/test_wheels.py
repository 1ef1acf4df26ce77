"""Which device code runs on which device, by NVIDIA's rules and their exceptions."""

import itertools

import pytest

from ivdoctor.tables import table
from ivdoctor.wheels import carries

CU124 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
CU130 = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120")


@pytest.mark.parametrize(
    ("build", "device"),
    [
        (("sm_60",), (6, 1)),
        (("sm_86",), (8, 9)),
        (("sm_80",), (8, 6)),
        (("sm_75",), (7, 5)),
        (("sm_53",), (5, 3)),
        (("sm_87",), (8, 7)),
        (("sm_90a",), (9, 0)),
        (("sm_100",), (10, 3)),
        (("sm_120",), (12, 1)),
        (("sm_101",), (11, 0)),
        (("sm_101",), (10, 1)),
        (("sm_110",), (11, 0)),
        (("sm_100f",), (10, 3)),
        (("compute_100f",), (10, 3)),
        (("sm_120f",), (12, 1)),
        (("compute_90",), (9, 0)),
        (("compute_90",), (12, 0)),
        (("compute_50",), (8, 7)),
        (CU124, (6, 1)),
        (CU130, (12, 1)),
    ],
)
def test_code_that_runs(build: tuple[str, ...], device: tuple[int, int]) -> None:
    """The same major and no newer minor; PTX on anything as new; 12.0 code on 12.1 (a GB10); 10.1 code on its new name 11.0."""
    assert carries(build, device)


@pytest.mark.parametrize(
    ("build", "device"),
    [
        ((), (8, 0)),
        (("sm_86",), (8, 0)),
        (("sm_80",), (9, 0)),
        (("sm_50",), (5, 3)),
        (("sm_60",), (6, 2)),
        (("sm_70",), (7, 2)),
        (("sm_80", "sm_86"), (8, 7)),
        (("sm_87",), (8, 9)),
        (("sm_90a",), (10, 0)),
        (("sm_100a",), (10, 3)),
        (("sm_100",), (10, 1)),
        (("sm_100",), (12, 0)),
        (("sm_100",), (11, 0)),
        (("sm_103",), (10, 0)),
        (("sm_101",), (10, 3)),
        (("sm_110",), (10, 1)),
        (("sm_120",), (11, 0)),
        (("sm_121",), (12, 0)),
        (("sm_100f",), (10, 1)),
        (("compute_100f",), (12, 0)),
        (("compute_100f",), (10, 1)),
        (("sm_37",), (3, 5)),
        (("compute_90",), (8, 9)),
        (("compute_90a",), (10, 0)),
        (("gfx942",), (9, 4)),
        (CU124, (12, 0)),
        (CU130, (7, 0)),
        (CU130, (6, 1)),
    ],
)
def test_code_that_does_not_run(build: tuple[str, ...], device: tuple[int, int]) -> None:
    """Older minors, other majors, integrated devices with desktop code, code bound to one device by its suffix, and no list at all."""
    assert not carries(build, device)


def test_code_runs_where_torch_says_it_runs() -> None:
    """Its own table, where it has one (2.13 does): every code it knows against every device that the tables know, and 10.1."""
    cuda = pytest.importorskip("torch").cuda
    if not hasattr(cuda, "DEVICE_REQUIREMENT"):
        pytest.skip("this torch has no such table")
    known = {int(row["id"].removeprefix("sm_")) for row in table("architectures") if row["vendor"] == "NVIDIA"}
    pairs = list(itertools.product(cuda.DEVICE_REQUIREMENT, known | {101}))
    told = {(code, device): carries((f"sm_{code}",), divmod(device, 10)) for code, device in pairs}
    assert told == {(code, device): device in cuda.DEVICE_REQUIREMENT[code] for code, device in pairs}
    assert len(set(told.values())) == 2
