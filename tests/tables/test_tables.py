"""The tables: every row has a source and a date, and says nothing the hardware cannot do."""

import csv
import datetime as dt
import itertools
import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from ivdoctor import tables, targets, titles
from ivdoctor.facts import HALVES, DtypeRow, Support, release
from ivdoctor.tables import DTYPES, architecture, cpu_dtype_row, dtype_row, newest, table

FILES = sorted(Path(tables.__file__).parent.glob("*.csv"))
ARCHITECTURES = table("architectures")
SUPPORT = get_args(Support)
NVIDIA = [row for row in ARCHITECTURES if row["vendor"] == "NVIDIA"]

UNIQUE = {
    "accelerators": ("product",),
    "architectures": ("id", "match"),
    "bf16_flag": ("backend", "torch_from"),
    "config_defaults": ("model_type",),
    "cpu_features": ("feature", "machine"),
    "cpu_kernels": ("operator", "dtype", "torch_from"),
    "cuda_drivers": ("cuda",),
    "engine_families": ("engine", "model_type", "format"),
    "engines": ("engine", "format", "vendor", "since"),
    "environ": ("name",),
    "families": ("model_type", "code", "name"),
    "fp16_range": ("model_type",),
    "kernels": ("kernel", "dtypes", "vendor", "since", "torch_from"),
    "message_examples": ("text",),
    "messages": ("family",),
    "mps_limits": ("dtype", "torch_from", "macos_before"),
    "packages": ("name",),
    "packed_tensors": ("dialect",),
    "quantisations": ("method",),
    "recipes": ("model_type", "format", "engine", "device"),
    "switches": ("name", "torch_from"),
    "systems": ("model_type", "name"),
    "text_runs": ("model_type",),
    "torch_releases": ("torch",),
    "wheels": ("build", "machine", "torch_from"),
}
"""What tells the rows of a table apart."""


def number(identifier: str) -> tuple[int, int]:
    """(7, 5) of `sm_75`, (12, 0) of `sm_120`."""
    digits = identifier.removeprefix("sm_")
    return int(digits[:-1]), int(digits[-1])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_row_has_a_source_and_an_iso_date(path: Path) -> None:
    """Who doubts a row can look it up, and see how old it is."""
    rows = table(path.stem)
    assert rows
    for row in rows:
        assert len(row["source"].strip()) > 5, row
        assert dt.date.fromisoformat(row["date"]).isoformat() == row["date"], row


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_row_has_exactly_the_columns_of_the_heading(path: Path) -> None:
    """A comma in a note that is not quoted would shift every column behind it."""
    with path.open(encoding="utf-8", newline="") as file:
        heading, *rows = csv.reader(file)
    assert len(set(heading)) == len(heading)
    assert [row for row in rows if len(row) != len(heading)] == []
    assert not [row for row in rows for cell in row if cell != cell.strip()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_two_rows_are_about_the_same(path: Path) -> None:
    """Whichever came first would win without a word."""
    keys = Counter(tuple(row[column] for column in UNIQUE[path.stem]) for row in table(path.stem))
    assert [key for key, count in keys.items() if count > 1] == []


def test_every_format_has_a_legal_word_in_every_architecture() -> None:
    """native, emulated, none or unknown."""
    assert {row[dtype] for row in ARCHITECTURES for dtype in DTYPES} <= set(SUPPORT)
    assert set(DTYPES) <= set(DtypeRow.__slots__)


def impossible(row: dict[str, str]) -> list[str]:
    """What a row says that no device of its kind can do."""
    claims = [dtype for dtype in DTYPES if row[dtype] == "native"]
    wrong = []
    if row["vendor"] == "NVIDIA":
        since = {"bf16": (8, 0), "tf32": (8, 0), "fp8_e4m3": (8, 9), "fp8_e5m2": (8, 9), "fp4": (10, 0), "fp16": (5, 3), "int8": (6, 1)}
        wrong += [dtype for dtype in claims if number(row["id"]) < since.get(dtype, (0, 0))]
        wrong += ["fp16"] if number(row["id"]) == (6, 1) and "fp16" in claims else []
        wrong += ["int4"] if "int4" in claims and not (7, 5) <= number(row["id"]) <= (8, 9) else []
        wrong += ["fp64"] if "fp64" in claims and number(row["id"]) not in {(3, 5), (3, 7), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0)} else []
    if row["vendor"] == "AMD":
        matrix = ("gfx908", "gfx90a", "gfx94", "gfx95", "gfx11", "gfx12")
        wrong += ["bf16"] if "bf16" in claims and not row["id"].startswith(matrix) else []
        wrong += [dtype for dtype in ("fp8_e4m3", "fp8_e5m2") if dtype in claims and not row["id"].startswith(("gfx94", "gfx95", "gfx12"))]
        wrong += ["tf32"] if "tf32" in claims and not row["id"].startswith("gfx94") else []
        wrong += ["fp4"] if "fp4" in claims and not row["id"].startswith("gfx95") else []
    if row["vendor"] == "Apple":
        wrong += [dtype for dtype in claims if dtype in {"fp64", "tf32", "fp8_e4m3", "fp8_e5m2", "fp4"}]
    return wrong


@pytest.mark.parametrize("row", ARCHITECTURES, ids=lambda row: f"{row['id']} {row['match']}".strip())
def test_no_row_claims_what_its_hardware_cannot_do(row: dict[str, str]) -> None:
    """Tensor-core types by compute capability, matrix units by gfx number, no float64 and no float8 on Metal."""
    assert impossible(row) == []


@pytest.mark.parametrize(
    ("identifier", "dtype"),
    [
        ("sm_86", "fp8_e4m3"),
        ("sm_75", "bf16"),
        ("sm_90", "fp4"),
        ("sm_75", "tf32"),
        ("sm_61", "fp16"),
        ("sm_52", "fp16"),
        ("sm_90", "int4"),
        ("sm_86", "fp64"),
        ("gfx1030", "bf16"),
        ("gfx90a", "fp8_e4m3"),
        ("m2", "fp64"),
    ],
)
def test_a_claim_beyond_the_hardware_would_be_refused(identifier: str, dtype: str) -> None:
    """The check above can fail."""
    row = next(row for row in ARCHITECTURES if row["id"] == identifier)
    assert impossible({**row, dtype: "native"}) == [dtype]


@pytest.mark.parametrize("row", NVIDIA, ids=lambda row: f"{row['id']} {row['match']}".strip())
def test_a_newer_device_of_nvidias_loses_no_half_precision(row: dict[str, str]) -> None:
    """From 8.0 on fp16, bf16 and tf32 are native; float32 everywhere."""
    assert row["fp32"] == "native"
    if number(row["id"]) >= (8, 0):
        assert (row["fp16"], row["bf16"], row["tf32"]) == ("native", "native", "native")


def test_identifiers_are_those_torch_gives() -> None:
    """`sm_` and digits, `gfx` and its hexadecimal number, or a name where torch gives none."""
    patterns = {"NVIDIA": r"sm_\d{2,3}", "AMD": r"gfx[0-9a-f]{3,4}", "Apple": r"m\d", "Intel": r"[a-z0-9]+"}
    patterns |= {"Google": r"tpu-v\d[ep]?", "Huawei": r"ascend\d{3}[a-z]", "AWS": r"trn\d", "Graphcore": r"ipu\d+", "Cambricon": r"mlu\d+"}
    patterns |= {"Moore Threads": r"mp_\d+"}
    assert [row["id"] for row in ARCHITECTURES if not re.fullmatch(patterns[row["vendor"]], row["id"])] == []


def test_a_title_can_match_one_row_only() -> None:
    """No word of a match is part of another row's word, within an identifier and among those that have none."""
    for scope in [row["id"] for row in ARCHITECTURES] + [""]:
        words = [
            (word, position)
            for position, row in enumerate(ARCHITECTURES)
            if not scope or row["id"] == scope
            for word in row["match"].split(";")
            if word
        ]
        clashes = [(one, two) for one, first in words for two, second in words if first != second and one in two]
        assert clashes == []
    assert all(row["match"] == row["match"].lower() for row in ARCHITECTURES), "titles are compared in lower case"


def test_an_identifier_with_matches_has_a_row_for_all_others() -> None:
    """But for devices that only their title tells."""
    for row in ARCHITECTURES:
        if row["match"] and row["vendor"] in {"NVIDIA", "AMD"}:
            assert any(other["id"] == row["id"] and not other["match"] for other in ARCHITECTURES)


@pytest.mark.parametrize(
    ("identifier", "title", "expected"),
    [
        ("sm_75", "Tesla T4", "Turing"),
        ("sm_75", "NVIDIA GeForce GTX 1660 SUPER", "Turing (TU11x)"),
        ("sm_75", "geforce gtx 1650", "Turing (TU11x)"),
        ("sm_75", "NVIDIA T400 4GB", "Turing (TU11x)"),
        ("sm_75", "", "Turing"),
        ("sm_89", "NVIDIA GeForce RTX 4090", "Ada Lovelace"),
        ("gfx942", "AMD Instinct MI300X", "CDNA3"),
        ("", "Apple M2 Ultra", "M2"),
        ("", "Intel(R) Arc(TM) A770 Graphics", "Xe-HPG"),
    ],
)
def test_an_architecture_is_found_by_identifier_and_title(identifier: str, title: str, expected: str) -> None:
    """A GTX 1660 says sm_75 and has no tensor cores; a Mac and an Arc have a title only."""
    row = architecture(identifier, title)
    assert row is not None
    assert row["architecture"] == expected


@pytest.mark.parametrize(("identifier", "title"), [("sm_40", "NVIDIA Unknown"), ("gfx1300", ""), ("", "A GPU nobody knows"), ("", ""), ("SM_75", "")])
def test_an_unknown_architecture_is_none(identifier: str, title: str) -> None:
    """Not the nearest one: a guess would be a confident wrong answer."""
    assert architecture(identifier, title) is None


def test_an_architectures_row_says_where_it_is_from() -> None:
    """Source and date go with it into every finding."""
    row = architecture("sm_75", "Tesla T4")
    assert row is not None
    formats = dtype_row(row)
    assert (formats.fp16, formats.bf16, formats.tf32, formats.fp4) == ("native", "emulated", "none", "emulated")
    assert formats.source == f"{row['source']} ({row['date']})"
    assert formats.of("bf16") == "emulated"
    assert formats.of("fp3") == "unknown"


@pytest.mark.parametrize(
    ("features", "fp16", "bf16"),
    [
        ((), "emulated", "emulated"),
        (("avx2", "avx512f"), "emulated", "emulated"),
        (("avx512_bf16",), "emulated", "native"),
        (("avx512_fp16",), "native", "emulated"),
        (("amx_tile",), "emulated", "emulated"),
        (("amx_bf16", "amx_tile", "avx512_bf16", "avx512_fp16"), "native", "native"),
        (("avx_ne_convert",), "emulated", "emulated"),
        (("asimdhp", "fphp"), "native", "emulated"),
        (("asimdhp", "bf16"), "native", "native"),
        (("hw.optional.arm.FEAT_BF16",), "emulated", "native"),
        (("sse2", "no such feature"), "emulated", "emulated"),
    ],
)
def test_a_cpus_formats_follow_from_its_instructions(features: tuple[str, ...], fp16: str, bf16: str) -> None:
    """Only instructions that compute count: conversion and tiles alone are none, and float32 is always native."""
    row = cpu_dtype_row(features)
    assert (row.fp32, row.fp64, row.fp16, row.bf16) == ("native", "native", fp16, bf16)
    assert row.source
    if bf16 == "native":
        assert "bf16: " in row.source


def test_a_cpus_features_are_about_formats_that_exist() -> None:
    """fp16, bf16, int8, or none; on a machine as `platform.machine()` names it."""
    assert {row["dtype"] for row in table("cpu_features")} <= {*HALVES, "int8", ""}
    assert {row["machine"] for row in table("cpu_features")} <= {"x86_64", "aarch64", "arm64"}


def test_every_variable_has_a_known_effect_and_a_meaning() -> None:
    """IVD109 takes those that change precision, and shows their meaning."""
    for row in table("environ"):
        assert row["effect"] in {"precision", "visibility"}
        assert len(row["meaning"].split()) >= 3
        assert re.fullmatch(r"[A-Z][A-Z0-9_]+", row["name"])


def test_packages_are_named_as_metadata_is_normalised() -> None:
    """Lower case and hyphens, or a package would never be found."""
    assert [row["name"] for row in table("packages") if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["name"])] == []


@pytest.mark.parametrize("backend", ["cuda", "rocm"])
def test_the_meanings_of_the_bf16_flag_follow_each_other_without_gap(backend: str) -> None:
    """Each version belongs to one row, and the newest to the last."""
    rows = [row for row in table("bf16_flag") if row["backend"] == backend]
    for one, two in itertools.pairwise(rows):
        assert one["torch_before"] == two["torch_from"]
    assert rows[-1]["torch_before"] == ""
    assert [release(row["torch_from"]) for row in rows] == sorted(release(row["torch_from"]) for row in rows)
    assert {row["below_sm80"] for row in rows} <= {"True", "False"}


def test_the_newest_date_is_the_tables_own() -> None:
    """How old what is known is, in every report."""
    assert newest() == max(row["date"] for path in FILES for row in table(path.stem))


ACCELERATORS = table("accelerators")


@pytest.mark.parametrize("row", ACCELERATORS, ids=lambda row: row["product"])
def test_every_accelerators_identifier_has_a_row(row: dict[str, str]) -> None:
    """Of the same vendor; without one nothing would be known of its formats."""
    assert row["vendor"] in {one["vendor"] for one in ARCHITECTURES if one["id"] == row["id"]}
    assert row["memory_gib"] == "" or float(row["memory_gib"]) > 0
    assert len(row["source"]) <= 160


def test_no_two_accelerators_share_a_name() -> None:
    """As names are compared, or the first of two would answer for both; and every name has a word that tells more than a size."""
    names = Counter((words, sizes) for _, words, sizes, _ in titles.names(targets.SIZE))
    assert [name for name, count in names.items() if count > 1] == []
    assert [sizes for words, sizes in names if not words] == []


FP16_RANGE = table("fp16_range")
LOOKED_UP_IN = (5, 23)
"""The transformers that knows every family of the table."""


def test_the_range_of_a_family_is_told_in_one_of_two_words() -> None:
    """IVD605 asks for `overflows`; with any other word a family that does would pass for one that stays."""
    assert {row["verdict"] for row in FP16_RANGE} == {"overflows", "stays"}


@pytest.mark.parametrize("row", FP16_RANGE, ids=lambda row: row["model_type"])
def test_the_range_of_a_family_says_what_was_seen_and_where(row: dict[str, str]) -> None:
    """A sentence, and a report that can be looked up by its number."""
    assert len(row["note"].split()) >= 5
    assert re.search(r"(issues?|pull requests?|discussions?) \d+", row["source"])
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", row["model_type"])


@pytest.mark.parametrize("row", FP16_RANGE, ids=lambda row: row["model_type"])
def test_the_range_is_of_a_family_that_transformers_knows(row: dict[str, str]) -> None:
    """By the word that its config.json says: a misspelt one would never be found."""
    version = pytest.importorskip("transformers").__version__
    families = pytest.importorskip("transformers.models.auto.configuration_auto").CONFIG_MAPPING_NAMES
    if release(version) < LOOKED_UP_IN and row["model_type"] not in families:
        pytest.skip(f"transformers {version} is older than the table, and may not know {row['model_type']} yet")
    assert row["model_type"] in families
