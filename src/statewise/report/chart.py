"""A study's chart as a plot: means over seeds, every seed beside them, and the study's marks across."""

import math
from collections.abc import Sequence

from statewise.report.plot import Across, Axis, Plot, Point, Series, shown
from statewise.runs.findings import Chart, Curve

MOST_TICKS = 12
"""Places on the x axis, up to which each has its tick."""


def chart_plot(chart: Chart) -> Plot:
    """Geometric means over seeds unless y is linear; curves without a single value are left out."""
    curves = [
        Series(label=curve.label, place=place, points=curve_points(curve, linear=chart.linear))
        for place, curve in enumerate(chart.curves)
    ]
    places = sorted({x for curve in chart.curves for x, _ in curve.points})
    x = Axis(label=chart.x_label, scale="log", ticks=tuple(places) if len(places) <= MOST_TICKS else ())
    y = Axis(label=chart.y_label, scale="linear" if chart.linear else "log")
    drawn = tuple(series for series in curves if series.points)
    said = "; ".join(f"{series.label}: {end_to_end(series, y)}" for series in drawn)
    return Plot(
        name=chart.name,
        title=chart.title,
        said=f"{chart.title}: {chart.y_label} against {chart.x_label}. {said or 'No run finished'}.",
        x=x,
        y=y,
        series=drawn,
        across=tuple(Across(label=mark.label, axis=mark.axis, at=mark.at) for mark in chart.marks),
    )


def curve_points(curve: Curve, *, linear: bool) -> tuple[Point, ...]:
    """The means of a curve, each with the values that it is over."""
    return tuple(
        Point(
            x=x, y=mean(values, linear=linear), seeds=tuple((f"seed {i}", value) for i, value in enumerate(values, 1))
        )
        for x, values in curve.points
        if values
    )


def mean(values: Sequence[float], *, linear: bool) -> float:
    """The arithmetic mean, or the geometric one of positive numbers.

    >>> mean([1.0, 3.0], linear=True), round(mean([1.0, 100.0], linear=False), 6)
    (2.0, 10.0)
    """
    if linear:
        return math.fsum(values) / len(values)
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def end_to_end(series: Series, y: Axis) -> str:
    """Where a curve begins and where it ends."""
    first, last = series.points[0], series.points[-1]
    if len(series.points) == 1:
        return f"{shown(first.y, y)} at {first.x:g}"
    return f"{shown(first.y, y)} at {first.x:g}, {shown(last.y, y)} at {last.x:g}"
