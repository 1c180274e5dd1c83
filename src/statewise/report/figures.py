"""Figures as pictures: a plot drawn by matplotlib, for the PNGs beside the page and the README."""

import io
from typing import Any

from statewise.core.optional import require
from statewise.report.plot import LINEAR_BELOW, Axis, Plot, Series, drawable, style_of

GREY = "#888888"
LINES: dict[str, dict[str, Any]] = {
    "theorem": {"color": "#000000", "linestyle": "--"},
    "ring": {"color": "#444444", "marker": "o", "markersize": 13, "fillstyle": "none", "linestyle": "none"},
}
"""How series that are not measured are drawn."""

Axes = Any
Figure = Any


def picture(plot: Plot) -> Figure:
    """The plot with a title, a grid and a legend that hides nothing; wide for a long legend."""
    figure = require("matplotlib.figure", extra="report", purpose="the report's figures").Figure(
        figsize=(9.6, 5.6) if plot.wide else (7.2, 4.2), layout="constrained"
    )
    axes = figure.add_subplot()
    for series in drawable(plot).series:
        draw_series(axes, series)
    for mark in plot.across:
        across = axes.axvline if mark.axis == "x" else axes.axhline
        across(mark.at, color=GREY, linestyle=":", label=literal(mark.label))
    scale_axis(axes, "x", plot.x)
    scale_axis(axes, "y", plot.y)
    axes.set_title(literal(plot.title), loc="left", fontsize=11)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside right upper", fontsize=8, frameon=False, markerscale=0.5 if plot.wide else 1.0)
    return figure


def draw_series(axes: Axes, series: Series) -> None:
    """One series: means with their intervals or, where there are none, with every seed as a small point."""
    x, y = [point.x for point in series.points], [point.y for point in series.points]
    style = line_style(series)
    if series.kind == "measured":
        axes.errorbar(x, y, yerr=error_bars(series), capsize=3, label=literal(series.label), alpha=0.85, **style)
        draw_seeds(axes, series, style["color"])
    else:
        axes.plot(x, y, label=literal(series.label), **style)
    for point in series.points:
        centred = series.kind == "ring"
        if point.label:
            axes.annotate(
                literal(point.label),
                (point.x, point.y),
                (0, 0) if centred else (6, -3),
                textcoords="offset points",
                fontsize=7 if centred else 8,
                ha="center" if centred else "left",
                va="center" if centred else "baseline",
            )


def literal(text: str) -> str:
    """Text that matplotlib draws as it is: between dollars it would read a formula.

    >>> literal("a$b")
    'a\\\\$b'
    """
    return text.replace("$", r"\$")


def line_style(series: Series) -> dict[str, Any]:
    """Colour, marker and line."""
    if series.kind in LINES:
        return LINES[series.kind]
    style: dict[str, Any] = {**style_of(series.place)}
    if series.kind == "points":
        style |= {"linestyle": "none", "alpha": 0.85}
    if series.kind == "trace":
        style |= {"marker": "", "linewidth": 1}
    return style | ({"linestyle": "--"} if series.dashed else {})


def draw_seeds(axes: Axes, series: Series, colour: str) -> None:
    """Seeds beside the means that have no interval."""
    seeds = [(point.x, value) for point in series.points if point.low is None for _, value in point.seeds]
    if len(seeds) > len(series.points):
        axes.plot(*zip(*seeds, strict=True), color=colour, marker=".", linestyle="none", markersize=3, alpha=0.6)


def error_bars(series: Series) -> list[list[float]] | None:
    """Distances below and above the means, or None where there is no interval."""
    points = [(point.y, point.low, point.high) for point in series.points]
    bars = [(mean - low, high - mean) for mean, low, high in points if low is not None and high is not None]
    return [list(side) for side in zip(*bars, strict=True)] if len(bars) == len(points) else None


def scale_axis(axes: Axes, name: str, axis: Axis) -> None:
    """Scale, ticks, limits and label of one axis."""
    options = {"log2": {"value": "log", "base": 2}, "symlog": {"value": "symlog", "linthresh": LINEAR_BELOW}}
    getattr(axes, f"set_{name}scale")(**options.get(axis.scale, {"value": axis.scale}))
    if axis.ticks:
        getattr(axes, f"set_{name}ticks")(axis.ticks, [f"{tick:g}" for tick in axis.ticks])
        getattr(axes, f"{name}axis").minorticks_off()
    axes.set(**{f"{name}label": literal(axis.label)})
    if axis.limits != (None, None):
        getattr(axes, f"set_{name}lim")(*axis.limits)


def svg(figure: Figure) -> str:
    """The figure as an <svg> element, the same text for the same figure."""
    buffer = io.StringIO()
    matplotlib = require("matplotlib", extra="report", purpose="the report's figures")
    with matplotlib.rc_context({"svg.hashsalt": "statewise", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
