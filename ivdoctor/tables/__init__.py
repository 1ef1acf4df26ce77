"""What the rules consult: CSV files whose every row has a source and a date. Reading one costs a millisecond."""

import csv
import os
import re
from collections.abc import Mapping
from functools import cache

from ..facts import DtypeRow, release
from ..text import say

HERE = os.path.dirname(__file__)

CPU_NOTE = "fp8 is converted, by plain loops; int4 is weights only"
CPU_SOURCE = "fp8: torch 2.13.0, matmul in float8_e4m3fn at 256^3 took 250 times fp32's time (measured 2026-11-23)"
"""What holds for every CPU: none has instructions that torch would use for these."""

DERIVED = "derived from "
"""How the source of a row begins that is in no table."""

PLAUSIBLE = 20
"""A major version of a compute capability beyond this is a typing error."""

DATE = re.compile(r",([0-9]{4}-[0-9]{2}-[0-9]{2})$", re.MULTILINE)
"""The last column of every table."""

DTYPES = ("fp64", "fp32", "tf32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "int8", "int4", "fp4")
"""The dtype columns of `architectures.csv`."""


@cache
def table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of one table, by its file name without `.csv`."""
    with open(os.path.join(HERE, f"{name}.csv"), encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def holds(row: Mapping[str, str], version: tuple[int, ...]) -> bool:
    """Whether a release of torch is in a row's half-open interval, `torch_from` to `torch_before`; an empty end is open."""
    return release(row["torch_from"]) <= version and (not row["torch_before"] or version < release(row["torch_before"]))


@cache
def newest() -> str:
    """The newest date of any row: how old what is known is."""
    found: set[str] = set()
    for name in os.listdir(HERE):
        if name.endswith(".csv"):
            with open(os.path.join(HERE, name), encoding="utf-8") as file:
                found.update(DATE.findall(file.read()))  # rows are not parsed for it: every report asks
    return max(found)


def architecture(identifier: str, title: str = "") -> dict[str, str] | None:
    """
    The row of an architecture (`sm_75`, `gfx942`, or empty where only the device's title tells).

    A row whose `match` fits the title wins: GTX 16xx says sm_75 and has no tensor cores. A compute capability of NVIDIA's without a row
    is judged by the newest row before it, and `derived` tells such a row; of any other unknown device there is none.
    """
    title = title.lower()
    rows = [row for row in table("architectures") if not identifier or row["id"] == identifier]
    for row in rows:
        if any(word in title for word in row["match"].split(";") if word):
            return row
    return next((row for row in rows if identifier and not row["match"]), None) or _by_capability(identifier)


def derived(row: Mapping[str, str] | DtypeRow) -> bool:
    """Whether it is about a device that the tables do not list, judged by its compute capability."""
    return (row.source if isinstance(row, DtypeRow) else row["source"]).startswith(DERIVED)


def capability(identifier: str) -> tuple[int, int] | None:
    """(12, 0) of `sm_120`; None where it is no compute capability that a device could have."""
    found = re.fullmatch(r"sm_([1-9][0-9]?)([0-9])", identifier)
    return (int(found[1]), int(found[2])) if found and int(found[1]) <= PLAUSIBLE else None


def capabilities() -> tuple[tuple[int, int], ...]:
    """The compute capabilities that have rows, the oldest first."""
    return tuple(sorted(_plain()))


@cache
def _plain() -> dict[tuple[int, int], dict[str, str]]:
    """NVIDIA's rows for any title."""
    return {number: row for row in table("architectures") if not row["match"] and (number := capability(row["id"]))}


def _by_capability(identifier: str) -> dict[str, str] | None:
    """Of a major version between known ones, which no device has, nothing is known; a newer one keeps what the newest has."""
    asked, rows = capability(identifier), _plain()
    older = [number for number in rows if asked and number <= asked]
    if not asked or not older or (max(older)[0] != asked[0] and max(older) != max(rows)):
        return None
    row = rows[max(older)]
    return {
        **row,
        "id": identifier,
        "architecture": "",
        "chips": "",
        "fp64": "unknown",
        "int4": "unknown",
        "note": say("not in the tables: judged by its compute capability, as {nearest}", nearest=row["id"]),
        "source": f"{DERIVED}{row['id']}: {row['source']}",
    }


def dtype_row(row: dict[str, str]) -> DtypeRow:
    """The dtype columns of an architecture's row."""
    supports = {dtype: row[dtype] for dtype in DTYPES}
    return DtypeRow(**supports, note=row["note"], source=f"{row['source']} ({row['date']})")  # type: ignore[arg-type]  # the suite checks the words


def _by_conversion(rows: list[dict[str, str]], native: Mapping[str, object]) -> tuple[str, ...]:
    """What AVX-512 without bf16 instructions does with bf16."""
    return tuple(row["note"] for row in rows if row["feature"] == "avx512f" and "bf16" not in native)


def cpu_dtype_row(features: tuple[str, ...], machine: str = "x86_64") -> DtypeRow:
    """
    What a CPU with these instruction sets computes in, by `cpu_features.csv`.

    Of a kind of machine that the table does not list nothing is known, which is not the same as nothing.
    """
    if {"amd64": "x86_64"}.get(machine.lower(), machine.lower()) not in {row["machine"] for row in table("cpu_features")}:
        return DtypeRow(fp64="native", fp32="native", note=f"no row for {machine}")
    rows = [row for row in table("cpu_features") if row["feature"] in features]
    native = {row["dtype"]: row for row in rows if row["dtype"]}
    sources = [f"{dtype}: {row['feature']}, {row['source']} ({row['date']})" for dtype, row in sorted(native.items())]
    if not {"fp16", "bf16"} & set(native):
        sources.insert(0, "no half-precision instruction of cpu_features.csv")
    return DtypeRow(
        fp64="native",
        fp32="native",
        fp16="native" if "fp16" in native else "emulated",
        bf16="native" if "bf16" in native else "emulated",
        tf32="none",
        fp8_e4m3="emulated",
        fp8_e5m2="emulated",
        int8="native" if "int8" in native else "emulated",
        int4="emulated",
        fp4="none",
        note="; ".join((*sorted({row["note"] for row in native.values()}), *_by_conversion(rows, native), CPU_NOTE)),
        source="; ".join((*sources, CPU_SOURCE)),
    )
