"""The pictures' geometry: every value where it belongs, and nothing larger than it may be, whatever the texts and numbers."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.formats import _plot, _svg
from ivdoctor.formats.html import html
from ivdoctor.report import Chart, Grid, GridCell, Report, Series

POINT = re.compile(r"[ML](-?[\d.]+) (-?[\d.]+)")
EVIL = "</title></svg><script>alert(1)</script>\"&'<b onclick=x>{{ 7*7 }}"


def _chart(*values: tuple[float, ...], limit: float = 0.0, steps: int = 0) -> Chart:
    count = steps or max(map(len, values), default=0)
    return Chart(
        title="Drift",
        steps=tuple(f"encoder.layer.{number}.attention.self.query" for number in range(count)),
        unit="relative L2",
        series=tuple(Series(label=f"s{number}", values=one) for number, one in enumerate(values)),
        limit=limit,
        alternative="In words.",
    )


def _plotted(chart: Chart) -> _plot.Plot:
    plot = _plot.plot(chart)
    assert plot is not None
    return plot


def _points(line: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in POINT.findall(line)]


def test_the_scale_is_logarithmic() -> None:
    """Equal ratios are equal distances, and a larger value stands higher."""
    heights = [y for _, y in _points(_plotted(_chart((1e-4, 1e-3, 1e-2, 1e-1))).curves[0].line)]
    falls = [before - after for before, after in pairwise(heights)]
    assert falls == pytest.approx([falls[0]] * 3, abs=0.2)
    assert falls[0] > 50


def test_rules_stand_at_their_values() -> None:
    """A value that a line across is labelled with is drawn on that line."""
    plot = _plotted(_chart((1e-4, 2e-3, 3e-2)))
    assert [rule.text for rule in plot.rules] == ["0.0001", "0.0002", "0.0005", "0.001", "0.002", "0.005", "0.01", "0.02", "0.05"]
    (at_rule,) = [rule.y for rule in plot.rules if rule.text == "0.002"]
    assert _points(plot.curves[0].line)[1][1] == pytest.approx(at_rule, abs=0.11)


@pytest.mark.parametrize("values", [(1e-300, 1e300), (5e-324, 1.7e308), (1.0,), (0.0,), (-1.0,), (3e-7, 3e-7), (math.nan, math.inf, -math.inf, 1.0)])
@pytest.mark.parametrize("limit", [0.0, 0.02, 1.7e308, math.inf, math.nan, -1.0])
def test_any_number_has_a_place(values: tuple[float, ...], limit: float) -> None:
    """Everything drawn is inside the picture, and a few lines across are labelled."""
    plot = _plotted(_chart(values, limit=limit))
    for curve in plot.curves:
        for x, y in _points(curve.line + curve.crosses):
            assert plot.left <= x <= plot.right
            assert plot.top <= y <= plot.bottom
    assert 2 <= len(plot.rules) <= 14
    assert all(plot.ceiling <= rule.y <= plot.bottom for rule in plot.rules)
    assert bool(plot.limit) == (0 < limit < math.inf)
    assert plot.limit is None or plot.ceiling <= plot.limit.y <= plot.floor


def test_the_limit_has_room_for_its_label() -> None:
    """Above the limit the scale goes on."""
    plot = _plotted(_chart((1e-4, 1e-3), limit=0.02))
    assert plot.limit is not None
    assert plot.limit.text == "limit 0.02"
    assert plot.limit.y - plot.ceiling > 12


def test_what_is_not_finite_is_a_cross_at_the_top() -> None:
    """One cross a value, in the strip of its series, whose marker stands beside it; the line is broken there."""
    plot = _plotted(_chart((0.1, -1.0, -1.0, 0.2, 0.3), (0.1, 0.1, math.inf, 0.1, 0.1), (0.1,) * 5))
    first, second, third = plot.curves
    assert first.line.count("M") == 2
    assert [curve.crosses.count("M") for curve in plot.curves] == [2, 1, 0]
    assert third.crosses == ""
    strips = {y for curve in (first, second) for _, y in _points(curve.crosses)}
    assert len(strips) == 2
    assert max(strips) < plot.ceiling
    assert [number for number, _ in plot.keys] == [1, 2]
    assert {y for _, key in plot.keys for _, y in _points(key)} == strips


def test_a_lone_value_is_seen() -> None:
    """A value between two that were not finite has no line, so it has a marker."""
    values = tuple(0.1 if number == 51 else -1.0 for number in range(100))
    assert _plotted(_chart(values)).curves[0].markers.count("M") == 1


def test_zero_stands_below_the_scale() -> None:
    """Zero has a strip of its own, labelled, and only where there is a zero."""
    plot = _plotted(_chart((0.0, 1e-3, 1e-2)))
    assert _points(plot.curves[0].line)[0][1] > plot.floor
    assert [rule.text for rule in plot.rules][-1] == "0"
    assert "0" not in [rule.text for rule in _plotted(_chart((1e-3, 1e-2))).rules]


def test_lines_differ_in_shape_and_not_in_colour_alone() -> None:
    """No two of eight series share both marker and stroke."""
    plot = _plotted(_chart(*[(0.1, 0.2)] * 8))
    assert len({(curve.number, curve.dashed) for curve in plot.curves}) == 8
    shapes = [re.sub(r"^M[\d.]+ [\d.]+", "", curve.markers).partition("M")[0] for curve in plot.curves]
    assert len(set(shapes)) == 4


@pytest.mark.parametrize("count", [601, 1200, 1201, 5000])
@pytest.mark.parametrize("worst", [9.0, -1.0])
@pytest.mark.parametrize("share", [0, 0.37, 0.5, 0.9991, 1])
def test_the_worst_is_never_left_out(count: int, worst: float, share: float) -> None:
    """Of more steps than can be shown each point is the worst of several, wherever that is."""
    at = round(share * (count - 1))
    plot = _plotted(_chart(tuple(worst if one == at else 0.1 for one in range(count))))
    assert plot.together == -(-count // 600)
    (curve,) = plot.curves
    assert curve.crosses.count("M") == (worst < 0)
    heights = [y for _, y in _points(curve.line)]
    assert heights.count(min(heights)) == (1 if worst > 0 else len(heights))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 110, 200, 201, 600, 601, 5000])
def test_few_steps_are_named_and_all_have_tips(count: int) -> None:
    """The first, the last and some between, with no two on the same spot; a tooltip for each of up to 200."""
    plot = _plotted(_chart((0.1,) * count))
    assert len(plot.names) == min(count, 5)
    assert len({name.x for name in plot.names}) == len(plot.names)
    assert plot.names[0].text.startswith("encoder.layer.0.")
    assert len(plot.tips) == (count if count <= 200 else 0)
    assert len(_points(plot.curves[0].line)) <= 600


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 110, 600])
def test_names_never_meet(count: int) -> None:
    """On each of the two rows the longest names, at their anchors, stay apart; most of each is there."""
    plot = _plotted(replace(_chart((0.1,) * count), steps=("w" * 500,) * count))
    share = {"start": 0.0, "middle": 0.5, "end": 1.0}
    for row in {name.y for name in plot.names}:
        widths = [(name, len(name.text) * _plot.LETTER) for name in plot.names if name.y == row]
        spans = [(name.x - share[name.anchor] * wide, name.x + (1 - share[name.anchor]) * wide) for name, wide in widths]
        assert all(end < start for (_, end), (start, _) in pairwise(spans))
        assert spans[0][0] >= 0
        assert spans[-1][1] <= plot.width
    assert all(len(name.text) > 28 for name in plot.names)


def test_a_tip_tells_the_step_and_its_numbers() -> None:
    """The module's name, and what each series has there."""
    assert _plotted(_chart((0.00123,), (-1.0,))).tips[0].tip == "encoder.layer.0.attention.self.query\ns0 0.00123\ns1 not finite"


@pytest.mark.parametrize("chart", [_chart(), _chart(steps=3), _chart((), steps=3), replace(_chart((0.1,)), steps=())])
def test_nothing_is_no_picture(chart: Chart) -> None:
    """Neither steps nor series make a picture of nothing."""
    assert _plot.plot(chart) is None


def test_values_without_steps_and_steps_without_values() -> None:
    """Series of other lengths are drawn as far as both go."""
    plot = _plotted(_chart((0.1,) * 9, (0.1,) * 2, steps=4))
    assert [len(_points(curve.line)) for curve in plot.curves] == [4, 2]
    assert plot.tips[3].tip.endswith("\ns0 0.1")


@pytest.mark.parametrize(
    ("text", "longest", "expected"), [("short", 12, "short"), ("a.very.long.name", 10, "a.v…g.name"), ("日本語日本語", 12, "日本語日本語")]
)
def test_long_texts_keep_both_ends(text: str, longest: int, expected: str) -> None:
    """What is cut is the middle."""
    assert _svg.clipped(text, longest) == expected


@given(st.text(), st.integers(4, 40))
def test_clipped_texts_fit(text: str, longest: int) -> None:
    """Wide letters count twice."""
    assert sum(map(_svg._wide, _svg.clipped(text, longest))) <= longest


def _grid(*rows: tuple[GridCell, ...]) -> Grid:
    return Grid(title="Number formats", columns=("format", "hardware", "matmul on cuda:1"), rows=rows)


def test_a_heat_map_has_every_cell_with_its_word() -> None:
    """Each cell has its mark, its word, and in full who it is; the legend says what each colour means."""
    heat = _svg.heat(
        _grid(
            (GridCell(text="fp16"), GridCell(text="native", mark="good"), GridCell(text="RuntimeError: no kernel", brief="refused", mark="bad")),
            (GridCell(text="bf16"), GridCell(text="emulated", mark="poor"), GridCell(text="-")),
        )
    )
    assert [(cell.text, cell.mark) for cell in heat.cells] == [("native", "good"), ("refused", "bad"), ("emulated", "poor"), ("-", "none")]
    assert heat.cells[1].tip == "fp16, matmul on cuda:1: RuntimeError: no kernel"
    assert [text.text for text in heat.texts] == ["hardware", "matmul on", "cuda:1", "fp16", "bf16"]
    assert heat.told == "fp16: native (hardware), refused (matmul on cuda:1); bf16: emulated (hardware), - (matmul on cuda:1)"
    assert heat.legend == [
        ("good", "native: usable"),
        ("poor", "emulated: usable at a cost"),
        ("bad", "refused: not usable"),
        ("none", "-: not known, or not tried"),
    ]


def test_a_heat_map_is_bounded() -> None:
    """Of a huge table the picture has the beginning."""
    row = (GridCell(text="x" * 9999),) * 500
    heat = _svg.heat(Grid(title="Number formats", columns=("y" * 9999,) * 500, rows=(row,) * 500))
    assert len(heat.cells) == _svg.MOST_ROWS * _svg.MOST_COLUMNS
    assert max(len(text.text) for text in heat.texts) <= _svg.NAME
    assert max(len(cell.tip) for cell in heat.cells) < 500


def test_a_page_of_charts_stays_small(clash: Report) -> None:
    """Hundreds of steps with long names are some hundred kilobytes, not megabytes."""
    steps = tuple(f"model.language_model.layers.{number}.block_sparse_moe.experts.{number}.w{number}" for number in range(500))
    values = tuple(tuple(1e-4 * (1 + (number * 37 + series) % 91) for number in range(500)) for series in range(3))
    chart = replace(_chart(*values, limit=0.02), steps=steps)
    assert len(html.render(replace(clash, charts=(chart,) * 2))) - len(html.render(replace(clash, charts=()))) < 150_000


class Texts(HTMLParser):
    """The tags of a page and what stands between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(f"{tag} {sorted(name for name, _ in attrs)}")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_hostile_names_are_only_read(clash: Report) -> None:
    """A stranger's module names, labels and cells add no tag to a picture."""

    def page(text: str) -> str:
        chart = replace(
            clash.charts[0],
            title=text,
            unit=text,
            caption=text,
            alternative=text,
            steps=(text,) * 4,
            series=tuple(replace(one, label=text) for one in clash.charts[0].series),
        )
        formats = replace(clash.grids[0], columns=(text,) * 3, caption=text, rows=((GridCell(text=text),) * 3,) * 2)
        return html.render(replace(clash, charts=(chart,), grids=(formats,)))

    evil = Texts(page(EVIL))
    assert evil.tags == Texts(page("harmless but as long as the other text is, and a little longer")).tags
    assert sum(EVIL in text for text in evil.texts) >= 8
