"""Accelerators by name."""

import gc
import re
import string
import subprocess
import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ivdoctor.processors import processors
from ivdoctor.tables import architecture, cpu_dtype_row, derived, dtype_row, newest, table
from ivdoctor.targets import LONGEST, AmbiguousTarget, UnknownTarget, known, target
from ivdoctor.titles import LEFT_OUT, SIZE, exact, fitting, names

PRODUCTS = table("accelerators")
NAMES = [(name, row["product"]) for row in PRODUCTS for name in (row["product"], *filter(None, row["aliases"].split(";")))]


def product(title: str) -> str | None:
    """What `known` says, in one word."""
    one = known(title)
    return one.product if one else None


@pytest.mark.parametrize(
    ("title", "expected", "identifier", "memory_gib"),
    [
        ("Tesla T4", "Tesla T4", "sm_75", 16),
        ("NVIDIA GeForce RTX 4090", "GeForce RTX 4090", "sm_89", 24),
        ("NVIDIA GeForce RTX 4090 D", "GeForce RTX 4090 D", "sm_89", 24),
        ("NVIDIA GeForce RTX 2080 Ti", "GeForce RTX 2080 Ti", "sm_75", 11),
        ("NVIDIA GeForce RTX 3060", "GeForce RTX 3060 12GB", "sm_86", 12),
        ("GTX 1060 6GB", "GeForce GTX 1060 6GB", "sm_61", 6),
        ("NVIDIA GeForce GTX 1660 SUPER", "GeForce GTX 1660 SUPER", "sm_75", 6),
        ("NVIDIA A100-SXM4-80GB", "A100 SXM4 80GB", "sm_80", 80),
        ("A100-SXM4-40GB", "A100 SXM4 40GB", "sm_80", 40),
        ("NVIDIA A100 80GB PCIe", "A100 PCIe 80GB", "sm_80", 80),
        ("NVIDIA A10", "A10", "sm_86", 24),
        ("NVIDIA A10G", "A10G", "sm_86", 24),
        ("Tesla V100-SXM2-16GB", "Tesla V100 SXM2 16GB", "sm_70", 16),
        ("V100S", "Tesla V100S PCIe 32GB", "sm_70", 32),
        ("NVIDIA H100 80GB HBM3", "H100 SXM5 80GB", "sm_90", 80),
        ("NVIDIA H100 PCIe", "H100 PCIe 80GB", "sm_90", 80),
        ("NVIDIA H100 NVL", "H100 NVL", "sm_90", 94),
        ("NVIDIA H20", "H20 96GB", "sm_90", 96),
        ("NVIDIA GH200 480GB", "GH200 96GB", "sm_90", 96),
        ("NVIDIA L4", "L4", "sm_89", 24),
        ("Tesla P40", "Tesla P40", "sm_61", 24),
        ("Quadro RTX 5000", "Quadro RTX 5000", "sm_75", 16),
        ("NVIDIA RTX 5000 Ada Generation", "RTX 5000 Ada Generation", "sm_89", 32),
        ("NVIDIA RTX A5000", "RTX A5000", "sm_86", 24),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "RTX PRO 6000 Blackwell Workstation", "sm_120", 96),
        ("AMD Instinct MI300X", "Instinct MI300X", "gfx942", 192),
        ("AMD Instinct MI250X / MI250", "Instinct MI250X", "gfx90a", 64),
        ("AMD Radeon RX 7900 XTX", "Radeon RX 7900 XTX", "gfx1100", 24),
        ("AMD Radeon 890M Graphics", "Radeon 890M", "gfx1150", 0),
        ("Apple M2 Max", "M2 Max", "m2", 96),
        ("Intel(R) Arc(TM) A770 Graphics", "Arc A770 8GB", "dg2", 8),
        ("NVIDIA GeForce RTX 4060 Laptop GPU", "GeForce RTX 4060 Laptop GPU", "sm_89", 8),
        ("NVIDIA GeForce RTX 2080 Super with Max-Q Design", "GeForce RTX 2080 SUPER", "sm_75", 8),
        ("Intel(R) Arc(TM) Pro B60 Graphics", "Arc Pro B60", "bmg", 24),
        ("Intel(R) Data Center GPU Max 1550", "Data Center GPU Max 1550", "pvc", 128),
    ],
)
def test_a_title_names_its_product(title: str, expected: str, identifier: str, memory_gib: float) -> None:
    """As drivers and frameworks print it."""
    one = known(title)
    assert one is not None
    assert (one.product, one.id, one.memory_gib) == (expected, identifier, memory_gib)
    assert re.search(r"\(\d{4}-\d\d-\d\d\)$", one.source)


@pytest.mark.parametrize("title", ["tesla t4", "TESLA-T4", "T4", " nvidia  t4 ", "NVIDIA Tesla T4 16GB", "Tesla T4 GPU", "NVIDIA(R) Tesla(TM) T4"])
def test_case_spaces_hyphens_and_vendors_do_not_matter(title: str) -> None:
    """Only the words of the product do."""
    assert product(title) == "Tesla T4"


@pytest.mark.parametrize("title", ["rtx4090", "RTX-4090", "geforce_rtx_4090", "RTX4090 24GB", "RTX 4090 24 GiB", "RTX 4090 24G"])
def test_glued_forms_are_read_apart(title: str) -> None:
    """Where letters end and digits begin."""
    assert product(title) == "GeForce RTX 4090"


@pytest.mark.parametrize(
    "title",
    [
        "",
        "NVIDIA",
        "80GB",
        "NVIDIA Unknown",
        "AMD Radeon Graphics",
        "RTX 4095",
        "RTX 409",
        "T40",
        "NVIDIA T400 8GB",
        "A10 0",
        "A1000",
        "NVIDIA A100",
        "Tesla M4",
        "Apple T4",
        "AMD GeForce RTX 4090",
        "Tesla V100",
        "NVIDIA GeForce RTX 3050 A Laptop GPU",
        "NVIDIA GeForce RTX 4090 SUPER",
        "NVIDIA GeForce GTX 1060",
        "NVIDIA RTX A2000 8GB",
        "NVIDIA TITAN X",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA A800 80GB SXM5",
        "GPU 0: Tesla T4",
        "GRID T4-16Q",
        "RTX 5000",
        "Tesla T4, Tesla P40",
        "Tesla T4 é",
        "特斯拉 T4",
        "T४",
        "Tesla T4" + " " * LONGEST,
    ],
)
def test_an_unknown_title_is_none(title: str) -> None:
    """Never the nearest one, nor the one that a laptop's, a slice's or a larger card's title begins with."""
    assert known(title) is None


def test_an_accelerator_carries_the_row_of_its_architecture() -> None:
    """A GTX 1650 has a row of its own among those that say sm_75."""
    turing, lesser = known("Tesla T4"), known("GeForce GTX 1650")
    assert turing is not None
    assert lesser is not None
    assert (turing.architecture, turing.row.int4, turing.vendor) == ("Turing", "native", "NVIDIA")
    assert (lesser.architecture, lesser.row.int4, lesser.id) == ("Turing (TU11x)", "emulated", "sm_75")


@pytest.mark.parametrize(("name", "expected"), NAMES, ids=[name for name, _ in NAMES])
def test_every_name_of_the_table_finds_its_product(name: str, expected: str) -> None:
    """Product and alias, as a title and as a target, with its vendor in any case."""
    (row,) = [row for row in PRODUCTS if row["product"] == expected]
    for title in (name, f"{row['vendor']} {name}".upper()):
        one, place = known(title), target(title)
        assert one is not None
        assert (one.product, one.id, one.memory_gib) == (expected, row["id"], float(row["memory_gib"] or 0))
        assert (place.title, place.memory_mib, place.architecture, place.dtypes) == (expected, one.memory_gib * 1024, one.architecture, one.row)
        assert place.vendor == row["vendor"]


@pytest.mark.parametrize(("name", "expected"), NAMES, ids=[name for name, _ in NAMES])
def test_a_name_without_a_size_is_the_product_of_least_memory(name: str, expected: str) -> None:
    """Or the note on a target, which says so, would not be true."""
    (one,) = [one for one in [known(name)] if one]
    others = () if exact(name) else [other for other in fitting(name) if other.row == one.row]
    assert all(one.memory_gib <= other.memory_gib for other in others)


@pytest.mark.parametrize(
    ("name", "title", "count", "memory_mib"),
    [
        ("t4", "Tesla T4", 1, 16384),
        ("NVIDIA A100-SXM4-80GB", "A100 SXM4 80GB", 1, 81920),
        ("a100", "A100 SXM4 40GB", 1, 40960),
        ("a100-80gb", "A100 SXM4 80GB", 1, 81920),
        ("a100 pcie", "A100 PCIe 40GB", 1, 40960),
        ("v100", "Tesla V100 SXM2 16GB", 1, 16384),
        ("p100", "Tesla P100 PCIe 12GB", 1, 12288),
        ("h100", "H100 SXM5 80GB", 1, 81920),
        ("8xH200", "H200 SXM 141GB", 8, 144384),
        ("8x H200", "H200 SXM 141GB", 8, 144384),
        ("16 X mi300x", "Instinct MI300X", 16, 196608),
        ("2x rtx2080 ti", "GeForce RTX 2080 Ti", 2, 11264),
        ("rtx 8000", "Quadro RTX 8000", 1, 49152),
        ("rtx pro 6000", "RTX PRO 6000 Blackwell Workstation", 1, 98304),
        ("m2 max", "M2 Max", 1, 98304),
        ("g5", "A10G", 1, 24576),
        ("rtx 4060 ti", "GeForce RTX 4060 Ti 8GB", 1, 8192),
        ("a100 80gb sxm", "A100 SXM4 80GB", 1, 81920),
        ("rtx 3060 mobile", "GeForce RTX 3060 Laptop GPU", 1, 6144),
        ("4x gaudi 3", "Gaudi 3", 4, 131072),
    ],
)
def test_a_target_is_a_product_by_a_loose_name(name: str, title: str, count: int, memory_mib: int) -> None:
    """Without memory and form it is the one with the least memory."""
    place = target(name)
    assert (place.name, place.title, place.count, place.memory_mib) == (title, title, count, memory_mib)
    assert (place.kind, place.reachable, place.others) == ("target", False, ())


@pytest.mark.parametrize(
    ("name", "identifier", "capability", "gfx", "count"),
    [
        ("sm_75", "sm_75", (7, 5), None, 1),
        ("sm75", "sm_75", (7, 5), None, 1),
        ("SM-75", "sm_75", (7, 5), None, 1),
        ("7.5", "sm_75", (7, 5), None, 1),
        (" 12.0 ", "sm_120", (12, 0), None, 1),
        ("gfx942", "gfx942", None, "gfx942", 1),
        ("GFX90A", "gfx90a", None, "gfx90a", 1),
        ("pvc", "pvc", None, None, 1),
        ("4x sm_90", "sm_90", (9, 0), None, 4),
        ("sm_90a", "sm_90", (9, 0), None, 1),
        ("compute_80", "sm_80", (8, 0), None, 1),
        ("compute capability 8.6", "sm_86", (8, 6), None, 1),
        ("gfx942:sramecc+:xnack-", "gfx942", None, "gfx942", 1),
        ("GA102", "sm_86", (8, 6), None, 1),
        ("navi 31", "gfx1100", None, "gfx1100", 1),
        ("Orin", "sm_87", (8, 7), None, 1),
    ],
)
def test_a_target_is_an_architecture(name: str, identifier: str, capability: tuple[int, int] | None, gfx: str | None, count: int) -> None:
    """Of no memory, for none is named."""
    place = target(name)
    assert (place.name, place.title, place.memory_mib, place.count) == (identifier, identifier, 0, count)
    assert (place.compute_capability, place.gfx) == (capability, gfx)


@pytest.mark.parametrize("identifier", sorted({row["id"] for row in table("architectures")}))
def test_every_architecture_is_a_target(identifier: str) -> None:
    """With the row that a device without a telling title has; `m2` and `trn1` are products too."""
    place, one = target(identifier), known(identifier)
    row = architecture(identifier) or next(row for row in table("architectures") if row["id"] == identifier)
    assert (place.title, place.vendor) == (one.product if one else identifier, row["vendor"])
    assert (place.architecture, place.dtypes) == (row["architecture"], dtype_row(row))


def test_a_targets_formats_are_those_of_its_title() -> None:
    """sm_75 is a Turing with tensor cores; a GTX 1650 that says sm_75 is not."""
    assert (target("sm_75").dtypes.int4, target("gtx 1650").dtypes.int4) == ("native", "emulated")
    assert target("gtx 1650").compute_capability == target("sm_75").compute_capability == (7, 5)


def test_where_a_name_leaves_the_size_open_the_note_names_the_others() -> None:
    """All of the same formats; a name that says the size leaves nothing open."""
    place = target("a100")
    assert (place.title, place.memory_mib) == ("A100 SXM4 40GB", 40960)
    assert place.note == ("taken for the one with the least memory; also A100 SXM4 80GB, A100 PCIe 40GB, A100 PCIe 80GB, A100-SXM-64GB")
    assert target("rtx 4060 ti").note == "taken for the one with the least memory; also GeForce RTX 4060 Ti 16GB"
    for title in ("Tesla T4", "NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3", "RTX 4060 Ti 16GB", "gfx942"):
        assert target(title).note == ""


def test_a_capability_that_lesser_devices_report_too_is_noted() -> None:
    """A GTX 1650 says 7.5, and has no tensor cores; of 8.0 nothing is to say."""
    for name in ("sm_75", "7.5", "2x sm75"):
        note = target(name).note
        assert note.startswith("Turing (TU11x) devices report sm_75 too (GeForce GTX 16")
        assert "no tensor cores" in note
    assert target("sm_80").note == target("TU117").note == ""
    assert target("TU117").dtypes == target("gtx 1650").dtypes


@pytest.mark.parametrize(("name", "capability"), [("13.0", (13, 0)), ("sm_130", (13, 0)), ("sm_122", (12, 2)), ("20.9", (20, 9))])
def test_a_capability_newer_than_the_tables_is_judged_as_the_newest(name: str, capability: tuple[int, int]) -> None:
    """It loses no half precision; of float64 and int4, which come and go, nothing is known. The note says how old the tables are."""
    place, last = target(name), target("sm_121").dtypes
    assert (place.title, place.compute_capability, place.vendor, place.memory_mib) == ("sm_%d%d" % capability, capability, "NVIDIA", 0)
    assert place.note == f"newer than the tables of {newest()}: judged by its compute capability, as sm_121"
    assert (place.dtypes.fp16, place.dtypes.bf16, place.dtypes.tf32, place.dtypes.fp8_e4m3) == (last.fp16, last.bf16, last.tf32, last.fp8_e4m3)
    assert (place.dtypes.fp64, place.dtypes.int4) == ("unknown", "unknown")
    assert derived(place.dtypes)
    assert not derived(last)


@pytest.mark.parametrize("name", ["sm_76", "sm_88", "sm_99", "sm_101", "1.0", "4.0", "sm_32", "21.0", "sm_999", "gfx1310", "13.0.1"])
def test_any_other_number_is_taken_for_a_typing_error(name: str) -> None:
    """Between those of the tables, before them, or of a major version that is decades away; a gfx number is never guessed."""
    with pytest.raises(UnknownTarget):
        target(name)


@pytest.mark.parametrize(("identifier", "nearest"), [("sm_88", "sm_87"), ("sm_101", "sm_100"), ("sm_113", "sm_110"), ("sm_130", "sm_121")])
def test_a_device_that_is_there_is_judged_by_the_row_before_it(identifier: str, nearest: str) -> None:
    """Of the same major version, or the newest of all; the row tells that it is in no table."""
    row, before = architecture(identifier, "NVIDIA Unknown"), architecture(nearest)
    assert row is not None
    assert before is not None
    assert derived(row)
    assert not derived(before)
    assert {dtype: row[dtype] for dtype in ("fp16", "bf16", "tf32", "fp8_e4m3", "fp4", "int8")} == {
        dtype: before[dtype] for dtype in ("fp16", "bf16", "tf32", "fp8_e4m3", "fp4", "int8")
    }
    assert (row["id"], row["architecture"], row["fp64"], row["int4"]) == (identifier, "", "unknown", "unknown")
    assert row["note"] == f"not in the tables: judged by its compute capability, as {nearest}"
    assert row["source"] == f"derived from {nearest}: {before['source']}"


@pytest.mark.parametrize("identifier", ["sm_40", "sm_32", "sm_210", "sm_10", "sm_", "gfx1310", "gfx943", "xe3"])
def test_of_any_other_device_nothing_is_known(identifier: str) -> None:
    """Its vendor does not promise that the next keeps what the last had, or nothing comes before it."""
    assert architecture(identifier, "A device") is None


@pytest.mark.parametrize(
    ("name", "title", "memory_mib", "of"),
    [
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "A100 SXM4 40GB MIG 1g.5gb", 5120, "sm_80"),
        ("a100-sxm4-80gb mig 1g.10gb+me", "A100 SXM4 80GB MIG 1g.10gb+me", 10240, "sm_80"),
        ("2x NVIDIA H100 80GB HBM3 MIG 3g.40gb", "H100 SXM5 80GB MIG 3g.40gb", 40960, "sm_90"),
        ("GRID T4-16Q", "T4-16Q", 16384, "sm_75"),
        ("GRID T4-8C", "T4-8C", 8192, "sm_75"),
        ("NVIDIA A100-4-20C", "A100-4-20C", 20480, "sm_80"),
        ("GRID A100D-80C", "A100D-80C", 81920, "sm_80"),
        ("NVIDIA RTXA6000-48Q", "RTXA6000-48Q", 49152, "sm_86"),
    ],
)
def test_a_part_of_a_device_has_its_formats_and_less_memory(name: str, title: str, memory_mib: int, of: str) -> None:
    """A MIG slice and a vGPU; as the title of a device neither names a product."""
    place = target(name)
    assert (place.title, place.memory_mib, place.dtypes) == (title, memory_mib, target(of).dtypes)
    assert place.note.startswith(("a slice of ", "a virtual part of a board"))
    assert known(name) is None


@pytest.mark.parametrize(
    ("name", "title", "machine", "features"),
    [
        ("zen3", "zen3", "x86_64", ("avx2",)),
        ("Zen 4", "zen4", "x86_64", ("avx2", "avx512f", "avx512_bf16", "avx512_vnni")),
        ("milan", "zen3", "x86_64", ("avx2",)),
        ("icelake", "icelake", "x86_64", ("avx2", "avx512f", "avx512_vnni")),
        (
            "Sapphire Rapids",
            "sapphirerapids",
            "x86_64",
            ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "amx_tile", "amx_bf16", "amx_int8"),
        ),
        ("neoverse-v2", "neoverse_v2", "aarch64", ("fphp", "asimdhp", "asimddp", "i8mm", "bf16", "svebf16")),
        ("Graviton3", "neoverse_v1", "aarch64", ("fphp", "asimdhp", "asimddp", "i8mm", "bf16", "svebf16")),
        ("graviton2", "neoverse_n1", "aarch64", ("fphp", "asimdhp", "asimddp")),
    ],
)
def test_a_processor_is_a_target(name: str, title: str, machine: str, features: tuple[str, ...]) -> None:
    """By archspec's name or the maker's, with what its instruction sets compute in."""
    place, two = target(name), target(f"2x {name}")
    assert (place.name, place.title, place.architecture, place.vendor, place.kind) == (title, title, title, "CPU", "target")
    assert (place.backend, place.reachable, place.memory_mib, two.count) == ("cpu", False, 0, 2)
    assert place.note.startswith("with the instruction sets that archspec ")
    assert place.note.endswith("and avx512_fp16") == (title == "sapphirerapids")
    row = cpu_dtype_row(features, machine)
    assert (place.dtypes.fp16, place.dtypes.bf16, place.dtypes.int8) == (row.fp16, row.bf16, row.int8)


def test_every_processor_of_archspecs_is_a_target_but_where_an_accelerator_has_its_name() -> None:
    """An `m4` is Apple's GPU; nothing of the bare versions of ARM's architecture, of which archspec lists no instruction sets."""
    found = {name: target(name) for name in processors()}
    assert {name for name, place in found.items() if place.vendor != "CPU"} == {"m1", "m2", "m3", "m4"} & set(found)
    assert len(found) > 30
    for name in ("armv8.6a", "aarch64", "power9le", "k10", "graniterapids"):
        with pytest.raises(UnknownTarget):
            target(name)


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("rtx 5000", ("Quadro RTX 5000", "RTX 5000 Ada Generation")),
        ("2x RTX 6000", ("Quadro RTX 6000", "RTX 6000 Ada Generation")),
    ],
)
def test_a_name_of_products_that_differ_is_refused(name: str, choices: tuple[str, ...]) -> None:
    """A Turing and an Ada of the same number: taking either would be a guess."""
    with pytest.raises(AmbiguousTarget) as caught:
        target(name)
    assert caught.value.choices == choices
    assert all(choice in str(caught.value) for choice in choices)
    for choice in choices:
        assert target(choice).title == choice


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("RTX 4095", "GeForce RTX 4090"),
        ("t40", "Tesla T4"),
        ("a6000", "RTX A6000"),
        ("sm_76", "sm_75"),
        ("gfx941", "gfx942"),
        ("0x T4", "Tesla T4"),
        ("m6 pro", "M5 Pro"),
        ("zenn3", "zen3"),
        ("sapphirerapid", "sapphirerapids"),
    ],
)
def test_an_unknown_name_gets_the_three_nearest(name: str, near: str) -> None:
    """In one sentence, each of them a target."""
    with pytest.raises(UnknownTarget) as caught:
        target(name)
    assert near in caught.value.nearest
    assert len(caught.value.nearest) == 3
    assert str(caught.value) == f"there is no accelerator {name!r}; the nearest: {', '.join(caught.value.nearest)}"
    for one in caught.value.nearest:
        assert target(one).title == one


@pytest.mark.parametrize(
    "name", ["1.00", "07.5", "sm_5", "sm_7575", "7.5 sm_80", "1000x T4", "-1x T4", "8x", "x", "M1 32GB", "titan x", "T4 T4", "APU"]
)
def test_what_only_looks_like_a_name_is_unknown(name: str) -> None:
    """A capability of two digits behind the point, a count of four, a Mac's memory that is another chip's."""
    with pytest.raises(UnknownTarget):
        target(name)


def test_a_hostile_name_leaves_the_sentence_one_short_line() -> None:
    """Whatever it was, the report stays writable."""
    with pytest.raises(UnknownTarget) as caught:
        target("\x1b[31m\n\udcff" + "x" * 10**6)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


WORDS = sorted({word for name, _ in NAMES for word in name.split()} | {"8x", "x", "sm_", "7.5", "gb", "(tm)", "NVIDIA"})
AROUND = [
    *("", "GPU 0: ", "GPU[0] : Card Series: ", " (UUID: GPU-0)", "01:00.0 VGA compatible controller: ", "NVIDIA Corporation TU104GL [", "] (rev a1)"),
    *(
        " MIG 1g.5gb",
        "-16Q",
        "GRID ",
        "_CudaDeviceProperties(name='",
        "', major=7, minor=5)",
        ", compute capability 7.5",
        "8x",
        "Intel(R) Graphics [0xe20b]",
    ),
]
TEXTS = st.one_of(
    st.text(),
    st.text(string.printable, max_size=LONGEST),
    st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=8).map("".join),
    st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name[0]), st.text(string.printable, max_size=3)).map("".join)),
    st.tuples(st.sampled_from(AROUND), st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join), st.sampled_from(AROUND)).map("".join),
)


@given(text=TEXTS)
@example(text="9" * 10**6)
@example(text=" " * 10**6)
@example(text="8" + " " * 10**6 + "x")
@example(text="8x" * 60)
@example(text="rtx 4090 " * 13)
@example(text="1 a" * 40)
@example(text="\udcff" * LONGEST)
@example(text="GPU 0: " * 80)
@example(text="name='" * 80)
@example(text="[" * 300)
@example(text="01:00.0 A: B [" + "C/" * 240 + "]")
@example(text="01:00.0 " + "A" * 500)
@example(text="A100-" * 24)
@example(text="(UUID:" * 90)
@example(text=", gfx90a" * 70)
@example(text="compute capability " * 30)
def test_no_text_breaks_them(text: str) -> None:
    """Nor takes time that grows with the square of its length; what a title names is the target of that title."""
    with pytest.raises(UnknownTarget):
        target("nothing of the kind")  # the tables are read once, and archspec's
    assert all(names(one) for one in (SIZE, LEFT_OUT))
    gc.disable()  # what other tests left behind is not its fault
    start = time.thread_time()
    one = known(text)
    try:
        place = target(text)
    except (UnknownTarget, AmbiguousTarget):
        place = None
    took = time.thread_time() - start
    gc.enable()
    assert took < 1  # one that grew with the square of the text would take minutes
    if one:
        assert place is not None
        assert (place.title, place.count) == (one.product, 1)


@pytest.mark.parametrize(("name", "expected"), NAMES, ids=[name for name, _ in NAMES])
def test_a_number_one_digit_longer_is_another(name: str, expected: str) -> None:
    """A10 is not A100, nor L4 L40: a longer number that is a product's is that product's, and any other nobody's."""
    for longer in [name + digit for digit in string.digits if name[-1].isdigit()]:
        found = product(longer)
        assert found is None or (found != expected and longer in found)


def test_importing_it_is_light() -> None:
    """The tables are read, and difflib imported, where a name is looked up."""
    code = "import sys, ivdoctor.targets; print([one for one in ('torch', 'difflib', 'csv', 'numpy') if one in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in found.stdout
    assert "difflib" not in found.stdout
    assert "archspec" not in found.stdout
