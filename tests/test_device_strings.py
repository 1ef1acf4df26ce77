"""What drivers and tools really print of a device: each is a target, with the formats of its architecture."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from ivdoctor.tables import architecture, dtype_row, table
from ivdoctor.targets import AmbiguousTarget, UnknownTarget, target

with (Path(__file__).parent / "device_strings.csv").open(encoding="utf-8", newline="") as file:
    STRINGS = tuple(csv.DictReader(file))


def expected(identifier: str, product: str) -> dict[str, str]:
    """The row of the architecture for devices of this title."""
    return architecture(identifier, product) or next(row for row in table("architectures") if row["id"] == identifier)


def test_they_are_many_and_each_says_where_it_was_seen() -> None:
    """A hundred at the least, none twice, of every vendor whose backend torch has."""
    assert len(STRINGS) >= 100
    assert [text for text, count in Counter(row["text"] for row in STRINGS).items() if count > 1] == []
    assert all(row["printed_by"] and len(row["seen"]) > 10 for row in STRINGS)
    assert {"NVIDIA", "AMD", "Intel", "Apple", "Huawei", "Google"} <= {target(row["text"]).vendor for row in STRINGS}


def test_no_identifier_of_a_real_device_is_among_them() -> None:
    """Only a made-up one, and no serial number."""
    uuids = {row["text"].partition("UUID: ")[2].rstrip(")") for row in STRINGS if "UUID" in row["text"]}
    assert uuids == {"GPU-00000000-1111-2222-3333-444444444444"}


@pytest.mark.parametrize("row", STRINGS, ids=lambda row: row["text"].strip())
def test_a_printed_string_is_its_device(row: dict[str, str]) -> None:
    """The product, or as much of it as the string tells, with the formats of its architecture."""
    place = target(row["text"])
    architecture_row = expected(row["expected_id"], row["expected_product"])
    assert place.dtypes == dtype_row(architecture_row)
    assert (place.title, place.architecture, place.vendor) == (row["expected_product"], architecture_row["architecture"], architecture_row["vendor"])


def test_a_wrong_expectation_would_be_refused() -> None:
    """The check above can fail: a GTX 1650 does not have the formats of a T4, which reports the same capability."""
    assert target("NVIDIA GeForce GTX 1650").dtypes != dtype_row(expected("sm_75", "Tesla T4"))
    assert target("Tesla T4").dtypes == dtype_row(expected("sm_75", "Tesla T4"))


@pytest.mark.parametrize("text", ["RTX 4000", "NVIDIA RTX 5000", "rtx 6000", "GRID RTX6000-24Q"])
def test_a_string_of_devices_that_differ_is_refused(text: str) -> None:
    """A Turing and an Ada of the same number, whole or lent in part."""
    with pytest.raises(AmbiguousTarget):
        target(text)


@pytest.mark.parametrize(
    "text",
    [
        "AMD Radeon Graphics",
        "AMD Radeon RX Graphics",
        "AMD Radeon Vega 10 Graphics",
        "NVIDIA Graphics Device",
        "NVIDIA GeForce ...",
        "NVIDIA GeForce RTX 3050 A Laptop GPU",
        "NVIDIA A100-SXM4-40GB MIG 7g.80gb",
        "  MIG 1g.10gb     Device  0: (UUID: MIG-00000000-1111-2222-3333-444444444444)",
        "GRID T4-32Q",
        "Intel(R) Arc(TM) Graphics",
        "Intel(R) UHD Graphics 770",
        "Intel(R) Graphics [0x46a6]",
        "llvmpipe (LLVM 15.0.7, 256 bits)",
        "V100 / RTX 2060",
        "GTX 1060Ti (as reported)",
        "00:1e.0 3D controller: NVIDIA Corporation Device 2bb5 (rev a1)",
        "00:02.0 VGA compatible controller: Intel Corporation AlderLake-S GT1 (rev 0c)",
        "00:07.0 VGA compatible controller: Advanced Micro Devices, Inc. [AMD/ATI] Device 67df (rev e7)",
        "Device 0: NVIDIA Graphics Device, gfx90a beside gfx942",
        "gfx1310",
        "Ascend",
        "TPU",
    ],
)
def test_a_string_that_tells_no_device_is_refused(text: str) -> None:
    """Never the nearest one: a GeForce RTX 3050 A is an Ada in spite of its number."""
    with pytest.raises(UnknownTarget):
        target(text)
