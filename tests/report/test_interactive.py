"""Figures as plotly's data: what plotly accepts, in which a name is a name."""

import math

import pytest

from statewise.report.chart import chart_plot
from statewise.report.interactive import LONGEST_NAME, NEUTRAL, figure_data, plotly_script
from statewise.report.plot import Across, Axis, Plot, Point, Series, table_behind
from statewise.report.plots import Marker, plots_of
from statewise.report.summary import summarise
from statewise.runs.findings import Chart, Curve, Mark

X, Y = Axis(label="size", scale="log2", ticks=(8.0, 16.0)), Axis(label="accuracy", percent=True)


def plot(*series, x=X, y=Y, across=()):
    return Plot(name="a", title="title", said="said", x=x, y=y, series=series, across=across)


def traces(drawn):
    return figure_data(drawn)["data"]


def test_plotly_accepts_every_figure(records):
    objects = pytest.importorskip("plotly.graph_objects")
    drawn = [each for _, plots in plots_of(summarise(records), [Marker("a/b", 4, 64, 20.0)]) for each in plots]
    chart = Chart(
        name="c", title="t", x_label="x", y_label="y", curves=(Curve(label="a", points=((1.0, (1.0, 2.0)),)),),
        marks=(Mark(label="m", axis="x", at=2.0), Mark(label="n", axis="y", at=2.0)),
    )  # fmt: skip
    for each in (*drawn, chart_plot(chart)):
        assert objects.Figure(figure_data(each)).data


def test_the_script_can_stand_in_a_page():
    script = plotly_script()
    assert "</script" not in script.lower()
    assert "<!--" not in script
    assert "\r" not in script
    assert len(script.encode()) < 5_000_000


def test_a_point_says_its_series_values_interval_seeds_and_configuration():
    point = Point(x=16, y=0.5, low=0.4, high=0.6, seeds=(("seed 0", 0.45), ("seed 1", 0.55)), said=("width 8",))
    (trace,) = traces(plot(Series(label="gru", points=(point,), place=0)))
    assert trace["hovertext"] == [
        "<b>gru</b><br>size: 16<br>accuracy: 50.0 % (40.0 % to 60.0 %)<br>seed 0: 45.0 %, seed 1: 55.0 %<br>width 8"
    ]
    assert trace["error_y"]["array"] == [pytest.approx(0.1)]
    assert trace["error_y"]["arrayminus"] == [pytest.approx(0.1)]


def test_what_plotly_would_read_as_markup_is_escaped():
    name = "<a href='https://example.org'>&amp;</a>"
    series = Series(label=name, points=(Point(x=1, y=1, said=(name,), label=name),), place=0)
    data = figure_data(plot(series, x=Axis(label=name), across=(Across(label=name, axis="y", at=1.0),)))
    escaped = "&lt;a href='https://example.org'&gt;&amp;amp;&lt;/a&gt;"
    assert len(name) < LONGEST_NAME
    assert [trace["name"] for trace in data["data"]] == [escaped, escaped]
    assert data["data"][0]["text"] == [escaped]
    assert data["layout"]["xaxis"]["title"]["text"] == escaped
    assert "<a" not in str(data)


def test_a_theorem_is_a_dashed_line_in_the_colour_of_the_text():
    (trace,) = traces(plot(Series(label="limit", kind="theorem", points=(Point(x=8, y=1), Point(x=16, y=0.5)))))
    assert (trace["mode"], trace["line"]["dash"], trace["meta"]["colour"]) == ("lines", "dash", NEUTRAL)


def test_seeds_are_small_silent_points_where_there_is_no_interval():
    seeds = (("seed 1", 1.0), ("seed 2", 3.0))
    mean, small = traces(plot(Series(label="gru", points=(Point(x=8, y=2, seeds=seeds),), place=1)))
    assert (small["y"], small["hoverinfo"], small["showlegend"]) == ([1.0, 3.0], "skip", False)
    assert small["meta"]["colour"] == mean["meta"]["colour"] == 1


def test_series_that_share_a_name_share_an_entry_of_the_legend():
    runs = [
        Series(label=f"gru, seed {seed}", legend="gru", kind="trace", points=(Point(x=1, y=1),), place=0)
        for seed in (0, 1)
    ]
    first, second = traces(plot(*runs))
    assert "showlegend" not in first
    assert (second["showlegend"], second["name"], second["legendgroup"]) == (False, "gru", first["legendgroup"])
    assert "gru, seed 1" in second["hovertext"][0]


def test_bits_stand_on_an_axis_that_has_a_place_for_none():
    y = Axis(label="bits", scale="symlog")
    data = figure_data(
        plot(Series(label="gru", points=tuple(Point(x=8, y=bits) for bits in (0, 5, 10, 1000)), place=0), y=y)
    )
    assert data["data"][0]["y"] == [0.0, 0.5, 1.0, 3.0]
    assert data["layout"]["yaxis"]["tickvals"] == [0.0, 0.5, 1.0, 2.0, 3.0]
    assert data["layout"]["yaxis"]["ticktext"] == ["0", "5", "10", "100", "1,000"]


def test_a_line_across_reaches_from_end_to_end():
    points = (Point(x=8, y=0.5), Point(x=16, y=0.75))
    (_, line) = traces(plot(Series(label="gru", points=points, place=0), across=(Across(label="c", axis="y", at=0.1),)))
    assert (line["x"], line["y"]) == ([8, 16], [0.1, 0.1])
    (_, line) = traces(
        plot(Series(label="gru", points=points[:1], place=0), across=(Across(label="c", axis="y", at=0.1),))
    )
    assert line["x"] == [4, 16]


def test_a_long_name_is_short_in_the_legend_and_whole_under_the_mouse():
    name = "<" * 60
    first, second = traces(
        plot(*(Series(label=name + end, points=(Point(x=8, y=1),), place=0) for end in ("first", "second")))
    )
    assert first["name"] == second["name"] == "&lt;" * (LONGEST_NAME - 1) + "…"
    assert "showlegend" not in second
    assert "&lt;" * 60 + "second</b>" in second["hovertext"][0]


def test_points_that_no_axis_has_a_place_for_are_left_out():
    points = (Point(x=8, y=math.nan), Point(x=0, y=1), Point(x=8, y=math.inf), Point(x=8, y=0.5))
    (trace,) = traces(plot(Series(label="gru", points=points, place=0)))
    assert (trace["x"], trace["y"]) == ([8], [0.5])


def test_the_table_behind_a_figure_has_every_number_of_it():
    point = Point(x=16, y=0.5, low=0.4, high=0.6, seeds=(("seed 0", 0.45),))
    drawn = plot(Series(label="gru", points=(point,), place=0), across=(Across(label="chance", axis="y", at=0.25),))
    headings, rows = table_behind(drawn)
    assert headings == ["series", "size", "accuracy", "low", "high", "seeds"]
    assert rows == [
        ["gru", "16", "50.0 %", "40.0 %", "60.0 %", "seed 0: 45.0 %"],
        ["chance", "–", "25.0 %", "–", "–", "–"],
    ]


def test_a_chart_has_its_means_its_seeds_and_its_marks():
    curves = (
        Curve(label="ours", points=((4.0, (0.1, 0.001)), (8.0, ()))),
        Curve(label="nothing finished", points=((4.0, ()),)),
        Curve(label="another", points=((4.0, (1.0,)),)),
    )
    chart = Chart(
        name="c",
        title="Loss",
        x_label="units",
        y_label="loss",
        curves=curves,
        marks=(Mark(label="m", axis="x", at=6.0),),
    )
    drawn = chart_plot(chart)
    assert [(series.label, series.place) for series in drawn.series] == [("ours", 0), ("another", 2)]
    (point,) = drawn.series[0].points
    assert (point.x, point.y) == (4.0, pytest.approx(0.01))
    assert point.seeds == (("seed 1", 0.1), ("seed 2", 0.001))
    assert drawn.said == "Loss: loss against units. ours: 0.01 at 4; another: 1 at 4."
    assert drawn.across == (Across(label="m", axis="x", at=6.0),)
