"""What the rules consult: CSV files whose every row has a source and a date. Reading one costs a millisecond."""

import csv
import os
from functools import cache

from ..facts import DtypeRow

HERE = os.path.dirname(__file__)

DTYPES = ("fp64", "fp32", "tf32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "int8", "int4", "fp4")
"""The dtype columns of `architectures.csv`."""


@cache
def table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of one table, by its file name without `.csv`."""
    with open(os.path.join(HERE, f"{name}.csv"), encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def newest() -> str:
    """The newest date of any row: how old what is known is."""
    return max(row["date"] for file in os.listdir(HERE) if file.endswith(".csv") for row in table(file.removesuffix(".csv")))


def architecture(identifier: str, title: str = "") -> dict[str, str] | None:
    """
    The row of an architecture (`sm_75`, `gfx942`, or empty where only the device's title tells).

    A row whose `match` fits the title wins: GTX 16xx says sm_75 and has no tensor cores.
    """
    title = title.lower()
    rows = [row for row in table("architectures") if not identifier or row["id"] == identifier]
    for row in rows:
        if any(word in title for word in row["match"].split(";") if word):
            return row
    return next((row for row in rows if identifier and not row["match"]), None)


def dtype_row(row: dict[str, str]) -> DtypeRow:
    """The dtype columns of an architecture's row."""
    supports = {dtype: row[dtype] for dtype in DTYPES}
    return DtypeRow(**supports, note=row["note"], source=f"{row['source']} ({row['date']})")  # type: ignore[arg-type]  # the suite checks the words


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
    return DtypeRow(
        fp64="native",
        fp32="native",
        fp16="native" if "fp16" in native else "emulated",
        bf16="native" if "bf16" in native else "emulated",
        tf32="none",
        fp8_e4m3="none",
        fp8_e5m2="none",
        fp4="none",
        note="; ".join(sorted({row["note"] for row in native.values()})),
        source="; ".join(sources) or "no half-precision instruction of cpu_features.csv",
    )
