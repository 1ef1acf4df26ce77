"""What a cast did to a model, as people read it."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from ivdoctor.facts import Asked, Cast, CastRun, Drift, Limits, Place
from ivdoctor.outcome import Outcome
from ivdoctor.report import Chart, Grid
from ivdoctor.testing import a_cast, a_mismatch, a_place
from ivdoctor.views import charts as every_chart
from ivdoctor.views import grids as every_grid
from ivdoctor.views_cast import STEPS, caption, charts, grids, survival, told

PLACE = a_place("sm_80", "NVIDIA A100-SXM4-80GB")


def tables(cast: Cast) -> tuple[Grid, ...]:
    return tuple(grids(PLACE, cast))


def picture(cast: Cast) -> Chart:
    (chart,) = charts(PLACE, cast, 0.1)
    return chart


def rows(grid: Grid) -> dict[str, list[str]]:
    """A grid's texts by the first of each row."""
    return {row[0].text: [cell.text for cell in row[1:]] for row in grid.rows}


def run_of(cast: Cast, dtype: str) -> CastRun:
    run = cast.run(dtype)
    assert run is not None
    return run


def with_run(cast: Cast, run: CastRun) -> Cast:
    return replace(cast, runs=tuple(run if one.dtype == run.dtype else one for one in cast.runs))


def test_the_figures_of_each_format_stand_in_a_row() -> None:
    """Distance, largest difference, cosine, first choices, divergence, time, memory, and where most is lost."""
    figures, _ = tables(a_cast("cuda:0", logits={"bf16": (0.975, 0.004), "fp16": (1.0, 1e-5)}))
    assert (figures.title, figures.place, figures.detail) == ("Cast, then infer: model", PLACE.name, False)
    assert len(figures.columns) == 10
    assert rows(figures) == {
        "bf16": ["finite", "0.0108", "0.0324", "0.999942", "97.5%", "0.004", "0.98x", "0.50x", "encoder.layer.5"],
        "fp16": ["finite", "0.00139", "0.00417", "0.999999", "100.0%", "1e-05", "2.57x", "0.50x", "encoder.layer.5"],
    }
    assert {row[1].mark for row in figures.rows} == {"good"}


def test_a_figure_that_was_not_taken_is_a_dash_and_not_a_number() -> None:
    """No logits, no times."""
    cast = a_cast()
    untimed = replace(run_of(cast, "bf16"), time_ratio=None, memory_ratio=None)
    assert rows(tables(with_run(cast, untimed))[0])["bf16"][4:8] == ["-", "-", "-", "-"]


def test_numbers_that_are_not_finite_are_counted_and_the_module_named() -> None:
    """And no distance of -1 is shown."""
    figures, drift = tables(a_cast(overflow=("fp16",)))
    fp16 = next(row for row in figures.rows if row[0].text == "fp16")
    assert (fp16[1].text, fp16[1].brief, fp16[1].mark) == ("9,984 NaN or Inf, first in encoder.layer.2.output.dense", "not finite", "bad")
    assert [cell.text for cell in fp16[2:5]] == ["-", "-", "-"]
    marks = {row[0].text: (row[3].text, row[3].mark) for row in drift.rows}
    assert marks["encoder.layer.2.output.dense"] == ("not finite", "bad")
    assert marks["encoder.layer.1"][1] == "none"
    assert not any("-1" in cell.text for grid in (figures, drift) for row in grid.rows for cell in row)


def test_numbers_that_are_not_finite_are_counted_where_no_module_was_seen() -> None:
    """The output alone."""
    cast = a_cast(overflow=("fp16",))
    assert rows(tables(with_run(cast, replace(run_of(cast, "fp16"), first_nonfinite="")))[0])["fp16"][0] == "9,984 NaN or Inf"


def test_a_format_that_raised_or_was_skipped_says_why_in_its_row() -> None:
    """A failure is bad; what nobody ran is not good."""
    (figures,) = tables(a_cast(raised={"fp16": "RuntimeError: no kernel"}, skipped={"bf16": "a pass would take 8 minutes"}))
    bf16, fp16 = figures.rows
    assert (bf16[1].text, bf16[1].brief) == ("a pass would take 8 minutes", "not run")
    assert bf16[1].mark not in {"good", "bad"}
    assert (fp16[1].text, fp16[1].brief, fp16[1].mark) == ("RuntimeError: no kernel", "raises", "bad")
    assert {len(row) for row in figures.rows} == {len(figures.columns)}
    assert list(charts(PLACE, a_cast(raised={"fp16": "no", "bf16": "no"}), 0.1)) == []


@pytest.mark.parametrize(
    "cast",
    [
        a_cast(),
        a_cast(overflow=("fp16",)),
        a_cast(overflow=("bf16", "fp16")),
        a_cast(drift={"bf16": 0.3}),
        a_cast(raised={"fp16": "no"}),
        a_cast(baseline="bf16"),
    ],
    ids=["healthy", "overflow", "both", "drift", "raised", "bf16"],
)
def test_the_picture_and_the_table_of_the_same_title_agree(cast: Cast) -> None:
    """Every step, every series, every value; one that is not finite is -1 in the one and said in the other."""
    chart, (_, drift) = picture(cast), tables(cast)
    assert (chart.title, chart.place) == (drift.title, drift.place)
    assert chart.steps == tuple(row[0].text for row in drift.rows)
    assert [one.label for one in chart.series] == list(drift.columns[2:])
    for column, series in enumerate(chart.series, 2):
        said = ["not finite" if value < 0 else f"{value:.3g}" for value in series.values]
        assert said == [row[column].text for row in drift.rows]


def test_the_picture_has_the_limit_and_the_unit() -> None:
    """Drawn as a line; the distance is from what was the baseline."""
    assert picture(a_cast()).limit == 0.1
    assert picture(a_cast(baseline="bf16")).unit == "relative L2 distance from bf16"
    assert "its distance from bf16" in picture(a_cast(baseline="bf16")).caption


def test_a_module_that_only_one_format_reached_is_in_neither() -> None:
    """A model may go another way in another format; a hole cannot be drawn."""
    cast = a_cast()
    run = run_of(cast, "fp16")
    other = with_run(cast, replace(run, modules=tuple(one for one in run.modules if one.module != "encoder.layer.4")))
    assert "encoder.layer.4" not in picture(other).steps
    assert "encoder.layer.4" not in rows(tables(other)[1])
    assert len(picture(other).steps) == len(run.modules) - 1


def large(cast: Cast, layers: int, parts: int, *, block: bool = True) -> Cast:
    """The same with many more modules."""

    def modules() -> tuple[Drift, ...]:
        names = [(f"layers.{layer}" + (f".part{part}" if part else ""), not part) for layer in range(layers) for part in reversed(range(parts))]
        whole = Drift(module="(whole model)", kind="Large", relative_l2=0.5)
        return (*(Drift(module=name, kind="Layer", relative_l2=0.01, block=block and is_block) for name, is_block in names), whole)

    return replace(cast, runs=tuple(replace(run, modules=modules()) for run in cast.runs))


def test_of_a_large_model_the_layers_and_the_end_are_drawn() -> None:
    """The last layers are where most is lost: they must not be cut off, and what is left out is said."""
    cast = large(a_cast(), 48, 14)
    chart = picture(cast)
    assert chart.steps == (*(f"layers.{number}" for number in range(48)), "(whole model)")
    assert chart.series[0].values[-1] == 0.5
    assert chart.caption.endswith("49 of 673 modules are drawn; the table has them all.")
    assert len(tables(cast)[1].rows) == 673
    assert "are drawn" not in picture(a_cast()).caption


@pytest.mark.parametrize("block", [True, False])
def test_no_picture_has_more_steps_than_fit(block: bool) -> None:
    """Not even of a thousand layers, or of modules that repeat nothing; the end is always there."""
    chart = picture(large(a_cast(), 1000, 1, block=block))
    assert len(chart.steps) == STEPS
    assert chart.steps[-2:] == ("layers.999", "(whole model)")


def test_the_picture_is_said_in_words_too() -> None:
    """For who does not see it."""
    words = picture(a_cast(drift={"bf16": 0.3}, overflow=("fp16",))).alternative
    assert "bf16 ends at 0.3, is worst at 0.3 in encoder.layer.3.attention, and loses most in encoder.layer.3." in words
    assert "fp16 is not finite from encoder.layer.2.output.dense on." in words


def test_an_overflow_on_the_way_is_not_said_to_reach_the_end() -> None:
    """Some models clamp."""
    cast = a_cast(overflow=("fp16",))
    clamped = replace(run_of(cast, "fp16"), nonfinite=0, relative_l2=0.4)
    words = picture(with_run(cast, clamped)).alternative
    assert "fp16 is not finite in encoder.layer.2.output.dense, and ends at 0.4 all the same." in words


def test_the_miniature_has_tables_for_those_who_read_on_and_no_picture() -> None:
    """Its drift tells nobody anything about a model."""
    cast = a_cast(how="miniature")
    assert list(charts(PLACE, cast, 0.1)) == []
    assert [grid.detail for grid in tables(cast)] == [True, True]
    assert tables(cast)[0].title == "Cast, then infer: miniature"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "The largest activation is 0.3% of what float16 holds, in encoder.layer.0.output.dense."),
        ({"headroom": 1.6}, "The largest activation is 160.0% of what float16 holds"),
        ({"headroom": 4.9e-5}, "The largest activation is less than 0.1% of what float16 holds"),
        ({"inputs": "synthetic ids"}, "Synthetic ids; last_hidden_state 2x13x384 against fp32."),
        ({"baseline": "bf16"}, "Fp32 needs 24.0 GiB and 15.2 GiB on cpu are free."),
    ],
)
def test_the_caption_says_what_was_compared(changes: dict[str, Any], said: str) -> None:
    """Inputs, output, baseline and why, and how loud it is."""
    assert said in caption(a_cast(**changes))


def test_the_caption_is_silent_of_what_is_not_known() -> None:
    """No reason, no activation, no part left out; what time and memory are stands where they were measured."""
    assert caption(a_cast(headroom=None)) == (
        "2 sentences of ten words through the model's own tokenizer; last_hidden_state 2x13x384 against fp32. "
        "Time is of a warm pass, memory of the weights and what a pass adds, both over fp32's."
    )
    assert "Time is" not in caption(a_cast(skipped={"bf16": "too slow", "fp16": "too slow"}))
    assert "These inputs did not reach vision_tower." in caption(a_cast(unrun=("vision_tower",)))
    assert "In fp32 itself 5 NaN or Inf come out." in caption(a_cast(nonfinite=5))


def test_one_line_tells_every_format() -> None:
    """For the summary, with what went in."""
    said = "2 sentences of ten words through the model's own tokenizer"
    assert told(a_cast(overflow=("fp16",))) == f"bf16: relative L2 0.011; fp16: 9,984 NaN or Inf, first in encoder.layer.2.output.dense; {said}"
    assert told(a_cast(raised={"bf16": "no kernel"}, skipped={"fp16": "too slow"})) == f"bf16: no kernel; fp16: too slow; {said}"


def outcomes(place: Place, *facts: object) -> list[Outcome]:
    return [Outcome(subject=type(fact).__name__.lower(), status="ok", place=place.name, fact=fact) for fact in facts]


def test_the_users_own_model_comes_first_and_the_miniature_last() -> None:
    """What was asked for before what is shown."""
    real = [grid.title for grid in every_grid(outcomes(PLACE, a_cast(), a_mismatch()), [PLACE], Asked())]
    assert real[:3] == ["Cast, then infer: model", "Drift per module: model", "Number formats"]
    small = [grid.title for grid in every_grid(outcomes(PLACE, a_cast(how="miniature"), a_mismatch()), [PLACE], Asked())]
    assert small[0] == "Number formats"
    assert small[-2:] == ["Cast, then infer: miniature", "Drift per module: miniature"]


def test_each_place_has_its_own_picture_with_the_limit_that_was_set() -> None:
    """In the order of the places; one without a cast has none."""
    cpu = a_place()
    found = outcomes(PLACE, a_cast("cuda:0")) + outcomes(cpu, a_cast())
    assert [(one.place, one.limit) for one in every_chart(found, [cpu, PLACE], Limits(relative_l2=0.2))] == [("cpu", 0.2), ("cuda:0", 0.2)]
    assert list(every_chart(found, [a_place("mps", "Apple M2")], Limits())) == []


def test_the_made_up_drift_rises() -> None:
    """Or the pictures of the tests would prove little."""
    (bf16, _) = a_cast().runs
    assert all(one.relative_l2 <= two.relative_l2 for one, two in pairwise(bf16.modules))


def test_the_last_line_says_which_casts_are_beyond_the_limit() -> None:
    """With `--dtype auto` no cast is asked about, so a READY stands beside figures that are beyond a limit: it must not hide that."""
    cast = a_cast()
    assert "beyond" not in survival(cast, 0.5)
    beyond = [run.dtype for run in cast.runs if run.usable]
    assert survival(cast, 1e-9).endswith(f"(limit 1e-09; beyond it: {', '.join(beyond)})")
