"""What is told of a target: its lines, and the tables of kernels, libraries and engines."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from ivdoctor.facts import Asked, DtypeRow, Place
from ivdoctor.kernels import ENGINES, FORMATS, Engine, Kernel, engine_rows, kernels
from ivdoctor.report import Grid, GridCell, Line
from ivdoctor.tables import DTYPES, table
from ivdoctor.targets import target
from ivdoctor.testing import a_place
from ivdoctor.views import grids
from ivdoctor.views_target import MARKS, cell, engines, libraries, named, targeted


def lines(*names: str, **asked: Any) -> list[tuple[str, str]]:
    """Labels and texts."""
    return [(one.label, one.text) for one in targeted(map(target, names), Asked(targets=names, **asked))]


def rows(grid: Grid) -> dict[str, dict[str, GridCell]]:
    """By the first of each row, and by column."""
    return {row[0].text: dict(zip(grid.columns[1:], row[1:], strict=True)) for row in grid.rows}


# --- lines


def test_a_target_is_told_in_a_line_that_says_it_is_not_here() -> None:
    """What it is, its architecture and identifier, its memory, and where all of this is from."""
    assert lines("T4")[0] == ("target", "Tesla T4 (Turing, sm_75), 16 GiB, from the tables: nothing was run there")
    assert lines("MI300X")[0][1].startswith("Instinct MI300X (CDNA3, gfx942), 192 GiB, from the tables")


def test_a_count_stands_before_the_title() -> None:
    """And the memory is one device's."""
    assert lines("8xH200")[0][1].startswith("8 x H200 SXM 141GB (Hopper, sm_90), 141 GiB, ")


def test_how_a_name_was_understood_is_told() -> None:
    """Where it left anything open; nothing where it did not."""
    assert "taken for the one with the least memory; also A100 SXM4 80GB" in lines("A100")[0][1]
    assert "newer than the tables" in lines("sm_130")[0][1]
    assert lines("zen3")[0][1].endswith("lists for zen3)")
    assert "(" not in lines("T4")[0][1].partition("from the tables")[2]


def test_what_has_no_memory_in_the_tables_has_none_here() -> None:
    """An architecture, and a processor."""
    for name in ("sm_75", "gfx942", "zen3"):
        assert "GiB" not in lines(name)[0][1]


def test_a_name_is_not_said_twice() -> None:
    """An M1's architecture is the M1, a microarchitecture is its own, and `sm_75` is asked for by its identifier."""
    assert [named(target(name)) for name in ("M1", "zen3", "sm_75", "T4", "gfx942", "Gaudi2")] == [
        "M1",
        "zen3",
        "Turing",
        "Turing, sm_75",
        "CDNA3",
        "Gaudi 2",
    ]
    assert lines("M1")[0][1].startswith("M1, ")
    assert lines("sm_130")[0][1].startswith("sm_130, from the tables")
    assert lines("zen3")[0][1].startswith("zen3, from the tables")


def test_the_builds_that_carry_it_are_the_next_line() -> None:
    """A Pascal is not carried by the newest; of a Jetson none is known, and what needs no device code of its own has no such line."""
    (_, (label, builds)) = lines("P40")
    assert label == "builds"
    assert "cu126" in builds
    assert "cu130" not in builds
    for name in ("sm_62", "Jetson AGX Orin"):
        assert lines(name)[1] == ("builds", "none that is published is known to have code for it")
    assert "cu130" in lines("sm_110")[1][1], "on the ARM beside it"
    for name in ("M1", "Arc A770", "zen3", "TPU v4"):
        assert [label for label, _ in lines(name)] == ["target"]


def test_several_targets_are_told_in_their_order() -> None:
    """Each with its builds, and the torch that is supposed there once, at the end."""
    told = lines("T4", "M1", "A100", torch="2.6+cu124")

    assert [label for label, _ in told] == ["target", "builds", "target", "target", "builds", "--torch"]
    assert told[-1][1].startswith("2.6+cu124")
    assert [text.split()[0] for label, text in told if label == "target"] == ["Tesla", "M1,", "A100"]


def test_a_machines_own_places_have_no_such_line() -> None:
    """Nor is a torch supposed where nobody named a target."""
    assert list(targeted([a_place(), a_place("sm_75", "Tesla T4")], Asked())) == []
    assert all(isinstance(one, Line) for one in targeted([target("T4")], Asked()))


# --- kernels and libraries


def test_kernels_and_libraries_are_told_by_their_formats() -> None:
    """A row a kernel, a column a format that any of them is about, and the table is for those who read on."""
    (grid,) = libraries(target("T4"))
    found = rows(grid)

    assert (grid.title, grid.place, grid.detail) == ("Kernels and libraries", "Tesla T4", True)
    assert grid.caption == "By the tables; nothing was run for this."
    assert list(found) == list(dict.fromkeys(one.kernel for one in kernels(target("T4"))))
    assert list(grid.columns[1:]) == [dtype for dtype in DTYPES if dtype in grid.columns]
    assert {"fp16", "bf16", "fp8_e4m3", "int4"} <= set(grid.columns)
    for one in kernels(target("T4")):
        assert (found[one.kernel][one.dtype].brief, found[one.kernel][one.dtype].mark) == (one.outcome, MARKS[one.outcome])


def test_hardware_without_a_row_has_no_table() -> None:
    """Neither of kernels nor of engines: an empty one would look like a no."""
    for place in (target("TPU v4"), replace(target("T4"), compute_capability=(19, 0), dtypes=DtypeRow())):
        assert list(libraries(place)) == []
        assert list(engines(place, Asked())) == []


def test_no_column_is_empty() -> None:
    """Of any hardware that has a table."""
    for name in ("P40", "T4", "A100", "H100", "B200", "RTX 5090", "MI250", "MI300X", "RX 7900 XTX", "M1", "Arc A770", "Gaudi2"):
        for grid in (*libraries(target(name)), *engines(target(name), Asked())):
            for number, column in enumerate(grid.columns[1:], 1):
                assert grid.title == "Engines" or any(row[number].text != "-" for row in grid.rows), (name, column)
            assert all(any(one.text != "-" for one in row[1:]) for row in grid.rows), name


def test_a_kernel_that_came_later_is_refused_by_an_older_torch() -> None:
    """With the release that brings it."""
    (grid,) = libraries(target("A100"), (1, 13))

    assert rows(grid)["sdpa-flash"]["fp16"].brief == "refused"
    assert "only since torch 2." in rows(grid)["sdpa-flash"]["fp16"].text


# --- engines


def test_engines_are_told_by_the_kinds_of_checkpoints() -> None:
    """A row a kind, a column an engine; what is here by the name of the device is the same."""
    (grid,) = engines(target("T4"), Asked(targets=("T4",)))
    (here,) = engines(a_place("sm_75", "Tesla T4"), Asked())

    assert (grid.title, grid.columns) == ("Engines", ("checkpoint", *ENGINES))
    assert list(rows(grid)) == [one for one in FORMATS if one in rows(grid)]
    assert (rows(grid)["bf16"]["vllm"].brief, rows(grid)["bf16"]["vllm"].mark) == ("refused", "bad")
    assert (rows(grid)["fp16"]["vllm"].brief, rows(grid)["fp16"]["vllm"].mark) == ("native", "good")
    assert not grid.detail
    assert here.rows == grid.rows


def test_the_engine_that_was_asked_about_is_told_alone() -> None:
    """Wherever the hardware is; one that nobody has read has no table."""
    (grid,) = engines(a_place("sm_75", "Tesla T4"), Asked(engine="vllm"))

    assert grid.columns == ("checkpoint", "vllm")
    assert list(engines(target("T4"), Asked(engine="llama.cpp"))) == []


def test_the_cell_is_the_tables_word() -> None:
    """For every engine and kind, and a dash where the table does not know."""
    for name in ("T4", "A100", "MI300X", "M1"):
        place = target(name)
        found = {(one.engine, one.format): one.outcome for engine in ENGINES for one in engine_rows(engine, place)}
        for grid in engines(place, Asked()):
            for format, cells in rows(grid).items():
                for engine, one in cells.items():
                    assert (one.brief or one.text) == found.get((engine, format), "-")


# --- cells


def test_every_outcome_of_the_tables_has_a_mark() -> None:
    """Good is only what is native; a refusal is bad; what costs something is neither."""
    words = {one for kind in (Kernel, Engine) for one in get_args(kind.__annotations__["outcome"])}

    assert set(MARKS) == words
    assert {row["outcome"] for name in ("kernels", "engines") for row in table(name)} <= words
    assert [one for one, mark in MARKS.items() if mark == "good"] == ["native"]
    assert [one for one, mark in MARKS.items() if mark == "bad"] == ["refused"]


@pytest.mark.parametrize(("note", "says"), [("begins at 8.0", "begins at 8.0"), ("", "refused")])
def test_a_cell_has_its_outcome_in_a_word_and_what_is_known_beside_it(note: str, says: str) -> None:
    """The word alone where nothing is known; nothing known at all is a dash without a colour."""
    found = cell(Kernel(kernel="triton", dtype="bf16", outcome="refused", note=note, message="", source="a page, 2026"))

    assert found.brief == "refused"
    assert says in found.text
    assert found.mark == "bad"
    assert (cell(None).text, cell(None).mark) == ("-", "none")


# --- all of a place


def titles(place: Place, asked: Asked) -> list[str]:
    return [one.title for one in grids([], (place,), asked)]


def test_a_target_has_its_formats_its_libraries_and_its_engines() -> None:
    """In that order; what no row is about is left out."""
    assert titles(target("T4"), Asked()) == ["Number formats", "Kernels and libraries", "Engines"]
    assert titles(target("TPU v4"), Asked(engine="vllm")) == ["Number formats"]


def test_what_is_here_has_what_ran_on_it() -> None:
    """And of engines only the one that was asked about."""
    t4 = a_place("sm_75", "Tesla T4")

    assert titles(t4, Asked()) == ["Number formats"]
    assert titles(t4, Asked(engine="vllm")) == ["Number formats", "Engines"]
    assert titles(a_place(), Asked()) == ["Number formats"]
