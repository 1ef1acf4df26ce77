"""The tables of kernels, engines and operators: legal words, intervals that do not overlap, and nothing that the hardware cannot do."""

import itertools
import re
from collections import defaultdict

import pytest

from ivdoctor.facts import release
from ivdoctor.kernels import ENGINES
from ivdoctor.tables import DTYPES, table

Row = dict[str, str]

KERNELS = table("kernels")
ENGINE_ROWS = table("engines")
CPU = table("cpu_kernels")
MPS = table("mps_limits")

CLASSES = {"matmul", "linear", "conv", "attention", "norm", "softmax", "elementwise", "reduction", "interpolate", "fft", "linalg", "index", "rnn"}
CLASSES |= {"loss", "pooling", "random", "other"}
FORMATS = {"fp32", "fp16", "bf16", "fp8", "awq", "gptq", "bnb-4bit", "bnb-int8", "int8", "int4", "mxfp4", "nvfp4", "gguf"}
VENDORS = {"NVIDIA", "AMD", "Apple", "Intel", "CPU"}
OUTCOMES = {
    "kernels": {"native", "weight-only", "slow", "refused"},
    "engines": {"native", "weight-only", "dequantised", "emulated", "refused"},
}
KNOWN = {row["id"] for row in table("architectures") if row["vendor"] == "AMD"} | {
    row["architecture"] for row in table("architectures") if row["vendor"] in {"Intel", "Apple"}
}
CAPABILITY = re.compile(r"\d{1,2}\.\d")
MINOR = re.compile(r"[12]\.\d{1,2}")

SINCE = {"bf16": (8, 0), "fp8": (8, 9), "fp8_e4m3": (8, 9), "fp8_e5m2": (8, 9), "fp4": (10, 0), "mxfp4": (10, 0), "nvfp4": (10, 0), "int8": (6, 1)}
"""From which compute capability on a format can be native."""

MATRIX = {"bf16": ("gfx908", "gfx90a", "gfx94", "gfx95", "gfx11", "gfx12"), "fp8": ("gfx94", "gfx95", "gfx12"), "fp4": ("gfx95",)}
"""Which AMD devices can, where not all can."""

GAPS = {
    ("sglang", "fp32"): {("8.0", "")},
    ("sglang", "mxfp4"): {("8.0", "9.0")},
    **{("tensorrt-llm", one): {("8.7", "8.9"), ("11.0", "12.0")} for one in ("fp32", "fp16", "bf16", "fp8", "awq", "gptq", "mxfp4", "nvfp4")},
}
"""What no source says, of NVIDIA: Jetson, and what nobody tried."""


def formats(row: Row) -> list[str]:
    """What a row of either table is about."""
    return [row["format"]] if "format" in row else row["dtypes"].split(";")


def subject(row: Row) -> str:
    """Whose row it is."""
    return row.get("engine") or row["kernel"]


def family(format: str) -> str:
    """The key of MATRIX."""
    return {"fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "mxfp4": "fp4", "nvfp4": "fp4"}.get(format, format)


def misspelt(row: Row) -> list[str]:
    """Cells that are no word of their column."""
    name = "engines" if "engine" in row else "kernels"
    wrong = [row["outcome"]] if row["outcome"] not in OUTCOMES[name] else []
    wrong += [one for one in formats(row) if one not in (FORMATS if name == "engines" else DTYPES)]
    wrong += [row["vendor"]] if row["vendor"] not in VENDORS else []
    wrong += [row["engine"]] if name == "engines" and row["engine"] not in ENGINES else []
    if row["vendor"] == "NVIDIA":
        wrong += [row["since"]] if not CAPABILITY.fullmatch(row["since"]) else []
        wrong += [row["before"]] if row["before"] and not CAPABILITY.fullmatch(row["before"]) else []
    else:
        wrong += [one for one in row["since"].split(";") if one and one not in KNOWN]
        wrong += [row["before"]] if row["before"] else []
    wrong += [row["torch_from"]] if row.get("torch_from") and not MINOR.fullmatch(row["torch_from"]) else []
    wrong += re.findall(r"\{(?!title\}|capability\}|sm\})[^}]*\}?", row["message"])
    return wrong


def impossible(row: Row) -> list[str]:
    """The formats that a row calls native where the hardware cannot be."""
    if row["outcome"] != "native":
        return []
    wrong = []
    if row["vendor"] == "NVIDIA":
        wrong = [one for one in formats(row) if release(row["since"]) < SINCE.get(one, (0, 0))]
        wrong += ["flash"] if "flash" in subject(row) and release(row["since"]) < (8, 0) else []
    if row["vendor"] == "AMD":
        for one in formats(row):
            can = MATRIX.get(family(one))
            wrong += [one] if can and not all(gfx.startswith(can) for gfx in row["since"].split(";")) else []
    if row["vendor"] == "Apple":
        wrong = [one for one in formats(row) if family(one) in {"fp8", "fp4", "fp64"}]
    return wrong


def overlaps(rows: list[Row]) -> list[tuple[str, str, str]]:
    """Where two rows of the same subject, format and vendor are about the same hardware."""
    of: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        for one in formats(row):
            of[subject(row), one, row["vendor"]].append(row)
    return [key for key, same in of.items() for one, two in itertools.combinations(same, 2) if meets(one, two)]


def meets(one: Row, two: Row) -> bool:
    """Whether two rows of one vendor share a device."""
    if one["vendor"] != "NVIDIA":
        return not one["since"] or not two["since"] or bool(set(one["since"].split(";")) & set(two["since"].split(";")))
    first, last = sorted((one, two), key=lambda row: release(row["since"]))
    return not first["before"] or release(last["since"]) < release(first["before"])


def holes(rows: list[Row]) -> set[tuple[str, str]]:
    """What lies between the intervals of one subject and format, from 3.5 upward."""
    ordered = sorted(rows, key=lambda row: release(row["since"]))
    ends = [("", "3.5"), *((row["since"], row["before"]) for row in ordered)]
    between = {(one[1], two[0]) for one, two in itertools.pairwise(ends) if one[1] != two[0]}
    return between | ({(ends[-1][1], "")} if ends[-1][1] else set())


def id_of(row: Row) -> str:
    """How a row is named in the output."""
    return f"{subject(row)} {'+'.join(formats(row))} {row['vendor']} {row['since'][:12]}"


@pytest.mark.parametrize("row", [*KERNELS, *ENGINE_ROWS], ids=id_of)
def test_every_cell_is_a_word_of_its_column(row: Row) -> None:
    """Outcomes, formats, vendors, capabilities, gfx names, and the three fields that a message may have."""
    assert misspelt(row) == []


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("outcome", "works"),
        ("outcome", "dequantised"),
        ("dtypes", "fp16;half"),
        ("vendor", "Nvidia"),
        ("since", "sm_80"),
        ("since", ""),
        ("before", "Hopper"),
        ("torch_from", "v2"),
        ("message", "your {gpu}"),
    ],
)
def test_another_word_would_be_refused(cell: str, value: str) -> None:
    """The check above can fail, cell by cell."""
    row = next(row for row in KERNELS if row["kernel"] == "sdpa-flash" and row["vendor"] == "NVIDIA")
    assert misspelt({**row, cell: value}) != []


@pytest.mark.parametrize(("cell", "value"), [("engine", "tgi"), ("format", "fp9"), ("since", "gfx999"), ("before", "gfx942"), ("outcome", "slow")])
def test_another_word_would_be_refused_of_an_engine(cell: str, value: str) -> None:
    """An engine's row of AMD has names of devices that architectures.csv knows, and no end."""
    row = next(row for row in ENGINE_ROWS if row["vendor"] == "AMD" and row["since"])
    assert misspelt({**row, cell: value}) != []


@pytest.mark.parametrize("row", [*KERNELS, *ENGINE_ROWS], ids=id_of)
def test_no_row_claims_what_its_hardware_cannot_do(row: Row) -> None:
    """No bf16 before 8.0, no fp8 before 8.9, no fp4 before 10.0, no flash attention before 8.0, and the same by gfx number."""
    assert impossible(row) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dtypes": "fp8_e4m3", "since": "8.6"}, "fp8_e4m3"),
        ({"dtypes": "bf16", "since": "7.5"}, "bf16"),
        ({"dtypes": "fp4", "since": "9.0"}, "fp4"),
        ({"dtypes": "fp16", "since": "7.5", "kernel": "flash-attn 2"}, "flash"),
        ({"dtypes": "fp8_e4m3", "since": "gfx942;gfx90a", "vendor": "AMD"}, "fp8_e4m3"),
        ({"dtypes": "bf16", "since": "gfx1030", "vendor": "AMD"}, "bf16"),
        ({"dtypes": "bf16", "since": "", "vendor": "AMD"}, "bf16"),
        ({"dtypes": "fp4", "since": "gfx1201", "vendor": "AMD"}, "fp4"),
        ({"dtypes": "fp8_e4m3", "since": "", "vendor": "Apple"}, "fp8_e4m3"),
    ],
)
def test_a_claim_beyond_the_hardware_would_be_refused(changes: Row, expected: str) -> None:
    """The check above can fail, of each vendor."""
    row = {"kernel": "some", "dtypes": "fp16", "vendor": "NVIDIA", "since": "8.0", "before": "", "outcome": "native", **changes}
    assert impossible(row) == [expected]
    assert impossible({**row, "outcome": "weight-only"}) == []


@pytest.mark.parametrize("rows", [KERNELS, ENGINE_ROWS], ids=["kernels", "engines"])
def test_no_two_rows_are_about_the_same_hardware(rows: tuple[Row, ...]) -> None:
    """Whichever came first would win without a word."""
    assert overlaps(list(rows)) == []


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"since": "7.5", "before": "8.9"}, {"since": "8.0", "before": ""}),
        ({"since": "7.5", "before": ""}, {"since": "8.0", "before": ""}),
        ({"vendor": "AMD", "since": "gfx942;gfx950"}, {"vendor": "AMD", "since": "gfx950"}),
        ({"vendor": "AMD", "since": ""}, {"vendor": "AMD", "since": "gfx950"}),
        ({"vendor": "CPU", "since": ""}, {"vendor": "CPU", "since": ""}),
    ],
)
def test_an_overlap_would_be_found(one: Row, two: Row) -> None:
    """The check above can fail; and where the second format is another's it does not."""
    row = {"kernel": "some", "dtypes": "fp16;bf16", "vendor": "NVIDIA", "since": "", "before": "", "outcome": "slow"}
    assert overlaps([{**row, **one}, {**row, **two, "dtypes": "bf16"}]) == [("some", "bf16", one.get("vendor", "NVIDIA"))]
    assert overlaps([{**row, **one}, {**row, **two, "dtypes": "fp32"}]) == []


@pytest.mark.parametrize(("engine", "format"), sorted({(row["engine"], row["format"]) for row in ENGINE_ROWS if row["vendor"] == "NVIDIA"}))
def test_an_engines_rows_leave_no_hole_by_accident(engine: str, format: str) -> None:
    """From 3.5 to the newest, but for what no source says."""
    rows = [row for row in ENGINE_ROWS if (row["engine"], row["format"], row["vendor"]) == (engine, format, "NVIDIA")]
    assert holes(rows) == GAPS.get((engine, format), set())


def test_a_hole_would_be_found() -> None:
    """Before the first, between two, and behind the last."""
    rows = [{"since": "5.0", "before": "7.0"}, {"since": "7.5", "before": "8.0"}]
    assert holes(rows) == {("3.5", "5.0"), ("7.0", "7.5"), ("8.0", "")}
    assert holes([{"since": "3.5", "before": ""}]) == set()


def test_every_engine_says_what_it_does_with_the_three_formats() -> None:
    """On NVIDIA; the quantised formats come on top."""
    assert {(row["engine"], row["format"]) for row in ENGINE_ROWS if row["vendor"] == "NVIDIA"} >= set(
        itertools.product(ENGINES, ("fp32", "fp16", "bf16"))
    )
    assert all(row["versions"] for row in ENGINE_ROWS)


def unordered(row: Row) -> list[str]:
    """What is wrong with the versions of a row about torch."""
    wrong = [cell for cell in (row["torch_from"], row["torch_before"]) if cell and not MINOR.fullmatch(cell)]
    both = row["torch_from"] and row["torch_before"]
    return wrong + ([row["operator"]] if both and release(row["torch_from"]) >= release(row["torch_before"]) else [])


def test_every_operator_is_of_a_class_and_named_as_users_write_it() -> None:
    """`torch.` and a dotted name; a variant of it stands in brackets."""
    for row in CPU:
        assert row["class"] in CLASSES, row
        assert row["dtype"] in {"fp16", "bf16"}, row
        assert re.fullmatch(r"torch(\.\w+)+(\(\w+=[\w']([\w'-])*\))?", row["operator"]), row
        assert unordered(row) == [], row
    assert len(CPU) >= 60


def test_versions_in_the_wrong_order_would_be_found() -> None:
    """The check above can fail."""
    row = {"operator": "torch.mm", "torch_from": "2.2", "torch_before": "2.10"}
    assert unordered(row) == []
    assert unordered({**row, "torch_before": "2.2"}) == ["torch.mm"]
    assert unordered({**row, "torch_before": "next"}) != []


@pytest.mark.parametrize(
    ("operator", "dtype", "torch_before"),
    [
        ("torch.matmul", "fp16", "2.2"),
        ("torch.nn.functional.conv2d", "fp16", "2.2"),
        ("torch.nn.functional.layer_norm", "fp16", "2.3"),
        ("torch.nn.functional.silu", "fp16", "2.1"),
        ("torch.nn.functional.interpolate", "fp16", "2.3"),
        ("torch.nn.functional.cross_entropy", "fp16", "2.4"),
        ("torch.nn.functional.mse_loss", "bf16", "2.6"),
        ("torch.fft.fft", "bf16", ""),
        ("torch.linalg.inv", "fp16", ""),
    ],
)
def test_an_operators_row_says_when_its_kernel_came(operator: str, dtype: str, torch_before: str) -> None:
    """As measured; empty is missing to this day."""
    (row,) = [row for row in CPU if (row["operator"], row["dtype"]) == (operator, dtype)]
    assert row["torch_before"] == torch_before


def test_bf16_has_the_kernels_that_models_need() -> None:
    """Matrix products, softmax and LayerNorm were there from the beginning."""
    assert not {row["operator"] for row in CPU if row["dtype"] == "bf16"} & {
        "torch.matmul",
        "torch.nn.functional.linear",
        "torch.nn.functional.softmax",
        "torch.nn.functional.layer_norm",
        "torch.nn.functional.embedding",
    }


def test_the_limits_of_mps_are_about_formats_that_exist() -> None:
    """Each has a message, and a macOS by its major number or none."""
    for row in MPS:
        assert row["dtype"] in DTYPES
        assert row["message"]
        assert re.fullmatch(r"(\d\d)?", row["macos_before"])
        assert unordered({**row, "operator": row["dtype"]}) == []
