"""Pictures of a comparison: drawn from the rows, the proof on the axes of the measurement."""

import xml.etree.ElementTree
from dataclasses import replace

import pytest

from statewise.report.figures import picture, svg
from statewise.report.plot import Axis, Plot, Point, Series
from statewise.report.plots import Marker, plots_of
from statewise.report.summary import summarise
from statewise.tasks import IndexLookup, Parity


def pictures(records, markers=()):
    return {plot.name: picture(plot) for _, plots in plots_of(summarise(records), markers) for plot in plots}


def test_accuracy_is_drawn_with_its_interval_and_chance(record):
    made = [record(IndexLookup(alphabet=4), "gru", seed, [(8, 0.9 + 0.1 * seed, 0.25, 64)]) for seed in range(2)]
    (axes,) = pictures(made)["index-lookup-accuracy"].axes
    ((drawn, _, (bar,)),) = axes.containers
    assert list(drawn.get_ydata()) == [pytest.approx(0.95)]
    ((_, low), (_, high)) = bar.get_segments()[0]
    assert (low, high) == (pytest.approx(0.95 - 12.706 * 0.05), 1.0)
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines["chance"].get_ydata()) == [0.25, 0.25]


def test_a_single_seed_has_no_interval_and_a_large_state_no_limit(record):
    made = [record(IndexLookup(alphabet=4), "gru", 0, [(8, 0.9, 0.25, 64)])]
    (axes,) = pictures(made)["index-lookup-accuracy"].axes
    ((_, _, bars),) = axes.containers
    assert bars == ()
    assert not [line for line in axes.get_lines() if "limit" in line.get_label()]


def test_the_loss_is_drawn_in_nats(records):
    (axes,) = pictures(records)["text-loss"].axes
    ((drawn, _, _),) = axes.containers
    assert list(drawn.get_ydata()) == [0.5]
    assert axes.get_ylabel() == "nats per token, test split"


def test_bits_are_drawn_where_they_are_and_labelled_where_there_is_room(record):
    made = record(IndexLookup(alphabet=4), "gru", 0, [(size, 0.9, 0.25, 4 * size) for size in (16, 32, 64)])
    found = [replace(result, recovered_bits=bits) for result, bits in zip(made.results, (-1.0, 3.0, 90.0), strict=True)]
    (axes,) = pictures([replace(made, results=tuple(found))])["index-lookup-bits"].axes
    (drawn,) = [line for line in axes.get_lines() if line.get_label() == "gru"]
    assert list(drawn.get_xdata()) == [64, 128, 256]
    assert list(drawn.get_ydata()) == [0.0, 3.0, 90.0]
    assert [text.get_text() for text in axes.texts] == ["n=64"]


def test_more_models_than_colours_can_be_drawn(record):
    made = [record(Parity(), "+".join(["gru"] * count), 0, [(8, 0.5, 0.0, 64)]) for count in range(1, 10)]
    (axes,) = pictures(made)["parity-accuracy"].axes
    assert len(axes.containers) == 9


def test_the_proven_limit_is_on_the_axes_of_the_measurement(records):
    axes = pictures(records)["index-lookup-accuracy"].axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    limit = lines["proven limit of 1,024 bits of state"]
    assert limit.get_linestyle() == "--"
    assert list(limit.get_xdata()) == [16, 256]
    assert list(limit.get_ydata()) == [1.0, pytest.approx(0.786, abs=1e-3)]


def test_recovered_bits_stand_under_the_diagonal(records):
    axes = pictures(records)["index-lookup-bits"].axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines["mingru"].get_ydata()) == [3.0, 3.0]
    diagonal = lines["all that a state of this size can hold"]
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
    assert diagonal.get_xdata()[-1] >= 524288


def test_constructions_are_numbered_rings_in_the_figure_of_bits(records):
    rings = [Marker("parity/gru", 16, 32, 1.0), Marker("a/b", 4, 64, 20.0)]
    (axes,) = pictures(records, rings)["index-lookup-bits"].axes
    points = {line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines}
    assert points["1  parity/gru, n=16"] == (32, 1.0)
    assert points["2  a/b, n=4"] == (64, 20.0)
    assert {"1", "2"} <= {text.get_text() for text in axes.texts}
    assert axes.get_xlim()[0] <= 32


def test_a_figure_is_the_same_text_every_time(records):
    first, second = (svg(pictures(records)["parity-accuracy"]) for _ in range(2))
    assert first == second
    xml.etree.ElementTree.fromstring(first)


def test_names_are_no_formulas_and_points_without_a_place_are_left_out():
    axis = Axis(label=r"$\frac$", scale="log")
    points = (Point(x=1.0, y=0.0), Point(x=2.0, y=float("nan")), Point(x=4.0, y=8.0))
    series = Series(label=r"$\nothing$", points=points, place=0)
    figure = picture(Plot(name="a", title=r"$\bad", said="", x=axis, y=axis, series=(series,)))
    assert "<svg" in svg(figure)
    ((drawn, _, _),) = figure.axes[0].containers
    assert list(drawn.get_xdata()) == [4.0]
