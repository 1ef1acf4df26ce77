"""The list of accelerators: order, filters, letters, JSON, and what a note says of a format."""

import json
import re

import pytest

from ivdoctor.catalogue import FORMATS, LETTERS, WIDTH, UnknownChoice, accelerators, catalogue, column, document, formats, listing, notes
from ivdoctor.facts import DtypeRow
from ivdoctor.tables import DTYPES, table
from ivdoctor.titles import known

ROWS = listing(accelerators()).splitlines()


def names(**filters: object) -> list[str]:
    """The products that fit."""
    return [one.product for one in catalogue(**filters)]  # type: ignore[arg-type]  # each test gives what it is about


def test_every_product_is_listed_once() -> None:
    """As many as the table has rows, none twice."""
    listed = [one.product for one in accelerators()]

    assert sorted(listed) == sorted(row["product"] for row in table("accelerators"))
    assert len(set(listed)) == len(listed)


def test_order() -> None:
    """Vendors and architectures as in `architectures.csv`, then by memory."""
    vendors = list(dict.fromkeys(row["vendor"] for row in table("architectures")))
    rows = [(row["id"], row["architecture"]) for row in table("architectures")]
    keys = [(vendors.index(one.vendor), rows.index((one.id, one.architecture)), one.memory_gib) for one in accelerators()]

    assert keys == sorted(keys)
    assert [one.vendor for one in accelerators()[:1]] == ["NVIDIA"]
    assert accelerators()[0].architecture == "Kepler"


def test_the_list_fits_a_terminal() -> None:
    """A row a product, each in WIDTH columns, with the letters under their formats."""
    assert len(ROWS) >= len(accelerators())
    assert max(map(len, ROWS)) <= WIDTH
    head = next(line for line in ROWS if line.startswith("product"))
    row = next(line for line in ROWS if line.startswith("Tesla T4 "))
    said = {name: row[found.start()] for name in FORMATS if (found := re.search(rf"\b{name}\b", head))}
    assert said == {"fp16": "N", "bf16": "E", "fp8": "E", "int8": "N", "int4": "N", "fp4": "E"}


def test_letters_are_explained_and_differ() -> None:
    """A letter a status, none twice, and the legend has each."""
    assert len(set(LETTERS.values())) == len(LETTERS) == 4
    legend = " ".join(ROWS[:3])
    assert all(f"{letter} " in legend for letter in LETTERS.values())


def test_the_list_of_nothing_is_empty() -> None:
    """No head without rows; JSON is a list all the same."""
    assert (listing(()), json.loads(document(()))) == ("", [])


@pytest.mark.parametrize("name", ["nvidia", "NVIDIA", "NvIdIa"])
def test_vendor(name: str) -> None:
    """In any case, and nobody else's."""
    assert {one.vendor for one in catalogue(vendor=name)} == {"NVIDIA"}


@pytest.mark.parametrize(
    ("name", "identifiers"),
    [
        ("Turing", {"sm_75"}),
        ("turing (tu11x)", {"sm_75"}),
        ("sm_75", {"sm_75"}),
        ("SM75", {"sm_75"}),
        ("7.5", {"sm_75"}),
        ("compute_75", {"sm_75"}),
        ("12.0", {"sm_120"}),
        ("gfx942", {"gfx942"}),
        ("CDNA3", {"gfx942"}),
        ("RDNA3", {"gfx1100", "gfx1101", "gfx1102"}),
        ("ada", {"sm_89"}),
        ("blackwell ultra", {"sm_103"}),
        ("GH100", {"sm_90"}),
        ("m3", {"m3"}),
        ("Xe-HPG", {"dg2"}),
    ],
)
def test_architecture(name: str, identifiers: set[str]) -> None:
    """By name or its first words, by identifier or capability, by chip."""
    assert {one.id for one in catalogue(arch=name)} >= identifiers
    assert {one.id for one in catalogue(arch=name)} - identifiers <= {"gfx1103"}


def test_an_identifier_covers_what_shares_it() -> None:
    """sm_75 is Turing with tensor cores and without; the chips' own name is one of both."""
    assert {"Tesla T4", "GeForce GTX 1650"} <= set(names(arch="sm_75"))
    assert {"Tesla T4", "GeForce GTX 1650"} & set(names(arch="Turing (TU11x)")) == {"GeForce GTX 1650"}


def test_memory() -> None:
    """At least so much; what has no figure fits no figure."""
    assert {one.memory_gib >= 80 for one in catalogue(memory=80)} == {True}
    assert "A100 SXM4 40GB" not in names(memory=41)
    assert "A100 SXM4 40GB" in names(memory=40)
    unknown = {row["product"] for row in table("accelerators") if not row["memory_gib"]}
    assert not unknown & set(names(memory=1))
    assert unknown <= set(names())


def test_dtypes() -> None:
    """Natively, all of them; `fp8` is e4m3."""
    assert {one.row.bf16 for one in catalogue(dtypes=["bf16"])} == {"native"}
    both = catalogue(dtypes=["FP8", "int4"])
    assert {(one.row.fp8_e4m3, one.row.int4) for one in both} == {("native", "native")}
    assert "Tesla T4" not in names(dtypes=["bf16"])
    assert column("fp8") == "fp8_e4m3"


def test_filters_together() -> None:
    """All must fit."""
    assert names(vendor="nvidia", arch="Turing", memory=24, dtypes=["fp16", "int8"]) == ["TITAN RTX", "Quadro RTX 6000", "Quadro RTX 8000"]
    assert names(vendor="amd", arch="sm_75") == []


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({"vendor": "nvidea"}, "NVIDIA, AMD, Apple, Intel"),
        ({"vendor": ""}, "NVIDIA"),
        ({"arch": "Touring"}, "Kepler, Maxwell, Pascal, Volta, Turing"),
        ({"arch": "7.7"}, "sm_75"),
        ({"arch": ""}, "Hopper"),
        ({"arch": "Tur"}, "Turing"),
        ({"dtypes": ["fp12"]}, "fp16, bf16, fp8_e4m3"),
    ],
)
def test_unknown_choices_are_refused(filters: dict[str, object], told: str) -> None:
    """With those that there are, in one line."""
    with pytest.raises(UnknownChoice, match=re.escape(told)) as refused:
        names(**filters)

    assert "\n" not in str(refused.value)


def test_json_is_a_line_an_accelerator() -> None:
    """Each with all formats in their order, and with the keys of one alone."""
    every = json.loads(document(accelerators()))

    assert len(every) == len(accelerators())
    keys = ["name", "vendor", "architecture", "id", "compute_capability", "gfx", "memory_gib", "note", "dtypes"]
    assert all(list(one) == keys for one in every)
    assert all(list(one["dtypes"]) == list(DTYPES) for one in every)
    assert len(document(accelerators()).splitlines()) == len(every) + 2


def test_json_values() -> None:
    """A capability as a string, memory as a number, and null for what is not there."""
    told = {one["name"]: one for one in json.loads(document(accelerators()))}

    assert (told["Tesla T4"]["compute_capability"], told["Tesla T4"]["gfx"], told["Tesla T4"]["memory_gib"]) == ("7.5", None, 16)
    assert (told["Instinct MI300X"]["compute_capability"], told["Instinct MI300X"]["gfx"]) == (None, "gfx942")
    assert (told["M2"]["compute_capability"], told["M2"]["gfx"], told["M2"]["id"]) == (None, None, "m2")
    assert told["Bow IPU"]["memory_gib"] is None
    statuses = {told["Tesla T4"]["dtypes"][dtype]["status"] for dtype in DTYPES}
    assert statuses == {"native", "emulated", "none"}


def test_formats_have_status_note_and_source() -> None:
    """Of every format, the row's source; the note where it is about it."""
    found = known("Tesla T4")
    assert found
    told = formats(found.row)

    assert {tuple(one) for one in told.values()} == {("status", "note", "source")}
    assert {one["source"] for one in told.values()} == {found.row.source}
    assert "converted to fp32" in told["bf16"]["note"]
    assert "converted to fp32" not in told["fp32"]["note"]
    assert formats(DtypeRow())["bf16"] == {"status": "unknown", "note": "", "source": ""}


@pytest.mark.parametrize(
    ("note", "told"),
    [
        (
            "fp16 runs at 1/64 of the fp32 rate; bf16 is converted to fp32",
            {"fp16": "fp16 runs at 1/64 of the fp32 rate", "bf16": "bf16 is converted to fp32"},
        ),
        ("fp8 weights only", {"fp8_e4m3": "fp8 weights only", "fp8_e5m2": "fp8 weights only"}),
        ("a matmul in fp32 is one pass of bf16 by default", {"fp32": "a matmul in fp32 is one pass of bf16 by default"}),
        ("no float64 in hardware; torch_x", {"fp64": "no float64 in hardware"}),
        ("the xf32 unit is gone", {"tf32": "the xf32 unit is gone"}),
        ("runs only code built for sm_87", dict.fromkeys(DTYPES, "runs only code built for sm_87")),
        ("", {}),
    ],
)
def test_notes_are_told_of_the_format_they_name(note: str, told: dict[str, str]) -> None:
    """A format beside another, as in `converted to fp32`, is not what the part is about; a note without formats is all of them's."""
    assert notes(note) == {dtype: told.get(dtype, "") for dtype in DTYPES}
