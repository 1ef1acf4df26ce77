"""The dtype table: what the hardware carries, and what each operator did, side by side."""

from dataclasses import replace
from itertools import product

import pytest

from ivdoctor.facts import EVERYDAY, HALVES, SLOW, Operation, Place, Precision
from ivdoctor.kernels import kernels
from ivdoctor.outcome import Outcome
from ivdoctor.report import Grid, GridCell
from ivdoctor.tables import DTYPES
from ivdoctor.targets import target
from ivdoctor.testing import a_place, a_precision, an_operation
from ivdoctor.views import grids
from ivdoctor.views_formats import CLASSES, MARKS, TITLE, formats

T4 = a_place("sm_75", "Tesla T4")
MESSAGE = "RuntimeError: \"addmm_impl_cpu_\" not implemented for 'Half'"


def rows(grid: Grid) -> dict[str, dict[str, GridCell]]:
    """By operator and format."""
    return {row[0].text: dict(zip(grid.columns[1:], row[1:], strict=True)) for row in grid.rows}


def cell(one: Operation, place: Place = T4) -> GridCell:
    """The cell of one operation."""
    return rows(formats(place, Precision(operations=(one,)), ran=True))[one.name][one.dtype]


def test_the_first_row_is_the_hardware_and_the_columns_are_the_formats() -> None:
    """Whether anything was run or not; each support with its mark, so that no colour is alone in saying it."""
    for precision in (None, a_precision()):
        grid = formats(T4, precision, ran=True)
        assert grid.columns == ("operator", *DTYPES)
        assert grid.rows[0][0].text == "hardware"
        hardware = rows(grid)["hardware"]
        assert {dtype: one.text for dtype, one in hardware.items()} == {dtype: T4.dtypes.of(dtype) for dtype in DTYPES}
        assert all(one.mark == MARKS[one.text] for one in hardware.values())
    assert (hardware["fp16"].mark, hardware["bf16"].mark, hardware["tf32"].mark) == ("good", "poor", "bad")


def test_hardware_that_no_table_knows_has_no_colour() -> None:
    """Neither yes nor no."""
    unknown = rows(formats(a_place("sm_999", "NVIDIA Z1"), None, ran=True))["hardware"]

    assert {(one.text, one.mark) for one in unknown.values()} == {("unknown", "none")}


def test_without_a_run_there_is_no_other_row() -> None:
    """Of a device that is here and was not reached the tables tell of the hardware alone."""
    for precision in (None, Precision(operations=())):
        assert list(rows(formats(T4, precision, ran=True))) == ["hardware"]


def test_every_operator_that_ran_has_a_row_in_the_order_it_ran() -> None:
    """What was not run in a format has a dash there, and no colour."""
    found = rows(formats(T4, a_precision(), ran=True))

    assert list(found) == ["hardware", *EVERYDAY]
    for name, dtype in product(EVERYDAY, DTYPES):
        one = found[name][dtype]
        assert (one.text, one.mark) == (("works", "good") if dtype in HALVES else ("-", "none"))


@pytest.mark.parametrize(
    ("one", "text", "brief", "mark"),
    [
        (an_operation("fp16"), "works", "", "good"),
        (an_operation("fp16", ratio=0.5), "works", "", "good"),
        (an_operation("fp16", ratio=SLOW - 0.01), "works", "", "good"),
        (an_operation("fp16", ratio=SLOW), "slow 2x", "", "poor"),
        (an_operation("bf16", ratio=170.0), "slow 170x", "", "poor"),
        (an_operation("bf16", ratio=4.6), "slow 4.6x", "", "poor"),
        (an_operation("fp16", message=MESSAGE), f"refused: {MESSAGE}", "refused", "bad"),
        (replace(an_operation("fp16"), status="refused"), "refused", "refused", "bad"),
        (replace(an_operation("fp32"), status="wrong", error=0.7), "wrong", "", "bad"),
        (replace(an_operation("fp32"), status="wrong", error=-1.0, ratio=9.0), "wrong", "", "bad"),
    ],
)
def test_a_cell_says_how_an_operation_went(one: Operation, text: str, brief: str, mark: str) -> None:
    """In full, in a word where it is long, and by its mark; what is wrong is never only slow."""
    found = cell(one)

    assert (found.text, found.brief, found.mark) == (text, brief, mark)
    assert len(found.brief or found.text) <= 9, "it fits in a cell of the picture"


def test_fp64_and_fp8_have_their_columns() -> None:
    """What `--thorough` runs."""
    some = Precision(operations=(replace(an_operation("fp32"), dtype="fp64"), replace(an_operation("fp32"), dtype="fp8_e4m3", name="scaled_mm")))
    found = rows(formats(T4, some, ran=True))

    assert found["matmul"]["fp64"].text == found["scaled_mm"]["fp8_e4m3"].text == "works"
    assert found["matmul"]["fp8_e4m3"].text == found["scaled_mm"]["fp64"].text == "-"


def test_the_backends_of_attention_go_by_the_name_that_users_know() -> None:
    """SDPA and its backend; plain attention keeps its own."""
    names = ("attention", "attention_flash", "attention_efficient", "attention_cudnn", "attention_math")
    grid = formats(T4, Precision(operations=tuple(an_operation("fp16", name) for name in names)), ran=True)

    assert list(rows(grid)) == ["hardware", "attention", "SDPA flash", "SDPA efficient", "SDPA cudnn", "SDPA math"]


def test_an_equal_of_the_device_has_a_row_only_where_it_differs() -> None:
    """Eight healthy devices are one row; the one that refuses or errs has its own, with all its formats."""
    healthy = [an_operation(dtype, f"matmul on cuda:{number}") for number in (1, 2, 3) for dtype in HALVES]
    sick = [replace(one, status="wrong", error=1.0) if (one.name, one.dtype) == ("matmul on cuda:2", "bf16") else one for one in healthy]
    mine = a_precision().operations
    all_alike, one_off = (rows(formats(T4, Precision(operations=(*mine, *others)), ran=True)) for others in (healthy, sick))

    assert list(all_alike) == ["hardware", *EVERYDAY]
    assert list(one_off) == ["hardware", *EVERYDAY, "matmul on cuda:2"]
    assert [one_off["matmul on cuda:2"][dtype].text for dtype in HALVES] == ["works", "works", "wrong"]


# --- the caption


def captioned(precision: Precision | None, *, ran: bool = True, place: Place = T4) -> str:
    return formats(place, precision, ran=ran).caption


def test_the_caption_names_the_source_of_the_hardware() -> None:
    """And nothing of runs where there were none."""
    assert captioned(None) == f"Hardware by the tables: {T4.dtypes.source}."
    assert captioned(Precision(operations=())) == captioned(None)
    unknown = a_place("sm_999", "NVIDIA Z1")
    assert captioned(None, place=unknown) == f"Hardware by the tables: {unknown.dtypes.note}."
    assert unknown.dtypes.note


def test_the_caption_says_who_claims_that_it_ran() -> None:
    """A snapshot made by hand is its maker's claim."""
    assert captioned(a_precision()).endswith("The operations were really run.")
    assert captioned(a_precision(), ran=False).endswith("The operations are as the snapshot's maker claims.")


def test_the_caption_says_what_slow_means_where_anything_was_timed() -> None:
    """A recorded machine without times has no word of it."""
    timed = a_precision(an_operation("fp16", ratio=1.5))

    assert "Slow: over twice the time of fp32 in the same run." in captioned(timed)
    assert "Slow" not in captioned(a_precision())


def test_the_caption_names_what_this_torch_lacks() -> None:
    """Neither refused nor a dash for all to wonder at."""
    assert captioned(a_precision(missing=("attention", "fp8_e4m3"))).endswith(" This torch has no attention, fp8_e4m3.")


# --- a target


def test_of_a_target_the_kernels_behind_the_operators_are_told() -> None:
    """As the tables have them for its compute capability: a T4's cuDNN has no bf16 convolution, its flash attention takes nothing."""
    t4 = rows(formats(target("T4"), None, ran=True))

    assert {"conv (cuDNN)", "SDPA flash", "SDPA efficient", "SDPA math", "flash-attn 2"} <= set(t4)
    assert (t4["SDPA flash"]["fp16"].brief, t4["SDPA flash"]["fp16"].mark) == ("refused", "bad")
    assert (t4["SDPA efficient"]["fp16"].brief, t4["SDPA efficient"]["fp16"].mark) == ("native", "good")
    assert (t4["conv (cuDNN)"]["bf16"].brief, t4["conv (cuDNN)"]["bf16"].mark) == ("slow", "poor")
    assert rows(formats(target("A100"), None, ran=True))["SDPA flash"]["bf16"].brief == "native"


def test_of_a_target_only_kernels_with_a_row_are_told() -> None:
    """And of a CPU none; each by the table's own word."""
    for name in ("T4", "H100", "MI300X", "M1", "Arc A770", "TPU v4", "zen3"):
        place = target(name)
        known = {(one.kernel, one.dtype): one.outcome for one in kernels(place)}
        told = rows(formats(place, None, ran=True))
        assert [shown for kernel, shown in CLASSES.items() if any(kernel == one for one, _ in known)] == list(told)[1:]
        for kernel, shown in CLASSES.items():
            for dtype, one in told.get(shown, {}).items():
                assert (one.brief or one.text) == known.get((kernel, dtype), "-")


def test_kernels_are_those_of_the_torch_that_was_named() -> None:
    """flash-attn's own SDPA kernel is of torch 2.0 on; an older one refuses it."""
    old, new = (rows(formats(target("A100"), None, torch, ran=True)) for torch in ((1, 13), (2, 6)))

    assert (old["SDPA flash"]["bf16"].brief, new["SDPA flash"]["bf16"].brief) == ("refused", "native")
    assert "only since torch 2" in old["SDPA flash"]["bf16"].text


def test_of_a_device_that_is_here_the_run_is_told_and_no_kernel_foreseen() -> None:
    """The table beside it has the libraries; one row is one operator that ran."""
    assert list(rows(formats(T4, a_precision(), ran=True))) == ["hardware", *EVERYDAY]


def test_each_place_has_its_own_table() -> None:
    """With its own operations in it."""
    from ivdoctor.facts import Asked

    refused = a_precision(an_operation("bf16", "conv2d", "no engine"))
    outcomes = [Outcome(subject="precision", status="ok", place=place, fact=fact) for place, fact in (("cpu", a_precision()), ("cuda:0", refused))]
    tables = {one.place: rows(one) for one in grids(outcomes, (a_place(), T4), Asked()) if one.title == TITLE}

    assert [tables[place]["conv2d"]["bf16"].mark for place in ("cpu", "cuda:0")] == ["good", "bad"]
