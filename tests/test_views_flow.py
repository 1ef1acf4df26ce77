"""The dtype flow as people read it."""

from dataclasses import replace

import pytest

from ivdoctor.facts import Asked, Flow, InputCast, Miniature, Replay, Site
from ivdoctor.outcome import Outcome
from ivdoctor.report import Grid
from ivdoctor.testing import a_flow, a_miniature, a_place, a_replay
from ivdoctor.views import grids as every_grid
from ivdoctor.views import summary
from ivdoctor.views_flow import grids, miniature_told, told

CLASH = "RuntimeError: Input type (float) and bias type (c10::BFloat16) should be the same"


def tables(flow: Flow | None, miniature: Miniature | None = None, replays: dict[str, Replay] | None = None) -> list[Grid]:
    return list(grids(flow, miniature, replays or {}))


def rows(grid: Grid) -> dict[str, list[str]]:
    """What stands in each row, briefly, by its first."""
    return {row[0].text: [cell.brief or cell.text for cell in row[1:]] for row in grid.rows}


def test_one_table_says_both_ways_of_loading_where_they_agree() -> None:
    """Ran, where it raises, unknown; the message behind it."""
    first, inventory = tables(a_flow({"bf16/fp32": CLASH}, {"fp16/fp32": "a loop that never ends"}))
    assert (first.title, first.place, first.detail) == ("Dtype flow: model", "", False)
    assert first.columns == ("model \\ inputs", "fp32", "fp16", "bf16")
    assert rows(first) == {
        "fp32": ["ran", "ran", "ran"],
        "fp16": ["unknown", "ran", "ran"],
        "bf16": ["raises at modeling_internvl.py:291", "ran", "ran"],
    }
    assert first.caption.startswith("Loaded in the dtype, or cast to it: the same.")
    cell = first.rows[2][1]
    assert (cell.mark, cell.text) == ("bad", f"model.vision_tower.embeddings.patch_embedding: {CLASH}")
    assert [one.mark for one in first.rows[1]] == ["none", "poor", "good", "good"]
    assert inventory.detail


def test_two_tables_where_the_ways_differ() -> None:
    """What the loader keeps in float32 clashes in one of them."""
    loaded, cast, _ = tables(a_flow({"loaded:bf16/bf16": CLASH}))
    assert [one.title for one in (loaded, cast)] == ["Dtype flow: model, loaded in the dtype", "Dtype flow: model, cast to it after loading"]
    assert rows(loaded)["bf16"][2].startswith("raises at ")
    assert rows(cast)["bf16"][2] == "ran"


def test_one_column_where_no_input_floats() -> None:
    """The three are one; what was made in any of them is shown."""
    flow = a_flow(floats=False)
    short = replace(flow, cells=tuple(one for one in flow.cells if one.input == "bf16"))
    for one in (flow, short):
        first, *_ = tables(one)
        assert first.columns == ("model \\ inputs", "no input floats")
        assert rows(first) == {"fp32": ["ran"], "fp16": ["ran"], "bf16": ["ran"]}


def test_casts_of_its_own_are_told_in_the_cell() -> None:
    """Beside that it ran."""
    cast = InputCast(input="pixel_values", through=("float32", "bfloat16"), location=Site(file="a/modeling_a.py", line=9))
    first, *_ = tables(a_flow(casts={"bf16/fp32": (cast,)}))
    assert first.rows[2][1].text == "ran, and casts pixel_values: float32 -> bfloat16, modeling_a.py:9"
    assert first.rows[2][1].brief == "ran"


def test_the_inventory_has_a_row_a_pair_and_a_column_a_place() -> None:
    """Folded; what raised there with its message."""
    there = a_replay({"aten.linear": "no kernel"})
    *_, inventory = tables(a_flow(), None, {"cpu": a_replay(), "cuda:0": replace(there, pairs=there.pairs[:2])})
    assert inventory.columns == ("operator", "dtypes", "calls", "cpu", "cuda:0", "called in")
    assert [one.text for one in inventory.rows[1]][:4] == ["aten.linear", "bfloat16, bfloat16, bfloat16", "171", "ran"]
    assert (inventory.rows[1][4].text, inventory.rows[1][4].brief, inventory.rows[1][4].mark) == ("no kernel", "raises", "bad")
    assert inventory.rows[2][4].text == "-"
    assert inventory.detail


def test_the_miniature_is_folded_and_says_what_was_made_smaller() -> None:
    """The same table, really run."""
    _, small, _ = tables(a_flow({"bf16/fp32": CLASH}), a_miniature({"bf16/fp32": CLASH}))
    assert (small.title, small.detail) == ("A miniature, really run: model", True)
    assert "num_hidden_layers 24 -> 2" in small.caption
    assert rows(small)["bf16"][0].startswith("raises at ")


@pytest.mark.parametrize("flow", [None, a_flow(cells=(), pairs=(), misfit="ImportError: no")])
def test_without_a_flow_there_is_no_table(flow: Flow | None) -> None:
    """Nor an empty one."""
    assert tables(flow, a_miniature()) == []


def test_the_summary_has_the_counts() -> None:
    """Of cells and pairs; what is unknown, and what was read, is said."""
    line = told(a_flow({"bf16/fp32": CLASH}, {"fp16/fp32": "no"}, reads=("vocab.json",)))
    assert "14 of 18 combinations run; 2 unknown; 4 distinct pairs of operator and dtypes" in line
    assert line.endswith("its code read vocab.json")
    assert told(a_flow(cells=(), misfit="ImportError: no")) == "transformers 5.23.0 does not run its code: ImportError: no"
    assert miniature_told(a_miniature()).endswith("18 of 18 combinations really run on the CPU")
    lines = {one.label: one.text for one in summary([Outcome(subject="flow", status="absent", reason="no inputs are known for it")])}
    assert lines["flow"] == "absent: no inputs are known for it"


def test_the_report_has_the_flow_once_and_first() -> None:
    """It is of no place."""
    outcomes = [Outcome(subject="flow", status="ok", fact=a_flow()), Outcome(subject="replay", status="ok", place="cpu", fact=a_replay())]
    found = list(every_grid(outcomes, (a_place(),), Asked()))
    assert [one.title for one in found[:2]] == ["Dtype flow: model", "Operators of model"]
    assert "cpu" in found[1].columns
