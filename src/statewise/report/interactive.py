"""Figures that answer: a plot as what plotly's script draws, and that script. The only place that asks for plotly."""

from typing import Any

from statewise.core.optional import require
from statewise.report.plot import COLOURS, Across, Axis, Plot, Point, Series, drawable, seeds_said, shown, symlog

SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x")
"""plotly's names of `plot.MARKERS`."""

NEUTRAL = -1
"""In place of a colour's number: that of the text."""

FADED = -2
"""That of the grid's labels."""

LONGEST_NAME = 48
"""Characters of a legend's entry: what is longer is whole under the mouse and in the table."""


def plotly_script() -> str:
    """plotly's own script, whole: its package ships no part of it alone.

    MissingExtraError where the extra `report` is not installed.
    """
    script: str = require("plotly.offline", extra="report", purpose="the HTML report").get_plotlyjs()
    return script


def figure_data(plot: Plot) -> dict[str, Any]:
    """The plot as plotly's `data` and `layout`, without colours: the page gives each theme its own.

    A trace's `meta` holds the number of its colour, its model to filter by and each point's size; numbers that an axis
    has no place for are left out, and what plotly would read as markup is escaped.
    """
    kept = drawable(plot)
    traces = [trace for series in kept.series for trace in traces_of(series, plot)]
    traces += [trace_across(mark, kept) for mark in plot.across]
    share_legend(traces)
    layout = {"xaxis": axis_layout(plot.x, kept, "x"), "yaxis": axis_layout(plot.y, kept, "y")}
    return {"data": traces, "layout": layout}


def share_legend(traces: list[dict[str, Any]]) -> None:
    """Let the legend name what is named alike once, and switch it together."""
    seen: set[str] = set()
    for trace in traces:
        name = trace["name"]
        trace |= {"legendgroup": plain(name), "name": plain(shortened(name))}
        if name in seen:
            trace["showlegend"] = False
        seen.add(name)


def shortened(name: str) -> str:
    """A name that fits a legend.

    >>> shortened("gru"), len(shortened("gru+" * 99))
    ('gru', 48)
    """
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def traces_of(series: Series, plot: Plot) -> list[dict[str, Any]]:
    """The means, and every seed as a small point where a mean has no interval to stand for them."""
    points = series.points
    trace: dict[str, Any] = {
        "type": "scatter",
        "name": series.legend or series.label,
        "x": [place(point.x, plot.x) for point in points],
        "y": [place(point.y, plot.y) for point in points],
        "hovertext": [hover(series, point, plot) for point in points],
        "hoverinfo": "text",
        "meta": {"colour": colour_of(series), "model": series.model, "sizes": [point.size for point in points]},
        **style(series),
    }
    if any(point.label for point in points):
        trace |= {"mode": f"{trace['mode']}+text", "text": [plain(point.label) for point in points]}
        trace["textposition"] = "middle center" if series.kind == "ring" else "middle right"
    if any(point.low is not None for point in points):
        trace["error_y"] = error_bars(points)
    seeds = [(point, value) for point in points if point.low is None for _, value in point.seeds]
    if series.kind != "measured" or len(seeds) <= len(points):
        return [trace]
    return [trace, seeds_trace(trace, seeds, plot)]


def seeds_trace(of: dict[str, Any], seeds: list[tuple[Point, float]], plot: Plot) -> dict[str, Any]:
    """Small points that are silent: what they are is said by their mean."""
    return {
        "type": "scatter",
        "name": of["name"],
        "x": [place(point.x, plot.x) for point, _ in seeds],
        "y": [place(value, plot.y) for _, value in seeds],
        "mode": "markers",
        "marker": {"size": 4},
        "opacity": 0.55,
        "hoverinfo": "skip",
        "meta": of["meta"] | {"sizes": [point.size for point, _ in seeds]},
    }


def style(series: Series) -> dict[str, Any]:
    """Line and marks of one series."""
    dash = "dash" if series.dashed or series.kind == "theorem" else "solid"
    if series.kind == "theorem":
        return {"mode": "lines", "line": {"dash": dash, "width": 1.6}}
    if series.kind == "ring":
        return {"mode": "markers", "marker": {"symbol": "circle-open", "size": 18, "line": {"width": 1.2}}}
    if series.kind == "trace":
        return {"mode": "lines", "line": {"dash": dash, "width": 1.2}}
    turn = series.place // len(COLOURS)
    marker = {"symbol": SYMBOLS[(series.place + turn) % len(SYMBOLS)], "size": 8}
    if series.kind == "points":
        return {"mode": "markers", "marker": marker | {"size": 10}}
    return {"mode": "lines+markers", "marker": marker, "line": {"dash": "dash" if turn % 2 else dash, "width": 2}}


def colour_of(series: Series) -> int:
    """The number of its colour in the page's palette, or that it has none of its own."""
    return series.place % len(COLOURS) if series.place >= 0 else NEUTRAL


def error_bars(points: tuple[Point, ...]) -> dict[str, Any]:
    """Distances above and below the means; none where there is no interval."""
    ends = [
        (point.y, point.y if point.low is None else point.low, point.y if point.high is None else point.high)
        for point in points
    ]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - mean for mean, _, high in ends],
        "arrayminus": [mean - low for mean, low, _ in ends],
        "thickness": 1.2,
        "width": 4,
    }


def trace_across(mark: Across, plot: Plot) -> dict[str, Any]:
    """A line over the whole figure, as a trace, so that the legend names it."""
    low, high = extent(plot, "x" if mark.axis == "y" else "y")
    other = plot.x if mark.axis == "y" else plot.y
    along, at = [place(low, other), place(high, other)], [mark.at, mark.at]
    said = f"<b>{plain(mark.label)}</b><br>{shown(mark.at, plot.y if mark.axis == 'y' else plot.x)}"
    return {
        "type": "scatter",
        "name": mark.label,
        "x": along if mark.axis == "y" else at,
        "y": at if mark.axis == "y" else along,
        "hovertext": [said, said],
        "hoverinfo": "text",
        "meta": {"colour": FADED, "model": "", "sizes": [None, None]},
        "mode": "lines",
        "line": {"dash": "dot", "width": 1.4},
    }


def extent(plot: Plot, axis: str) -> tuple[float, float]:
    """From the least to the largest value that is drawn along an axis, seeds and limits included."""
    limits = [end for end in (plot.x if axis == "x" else plot.y).limits if end is not None]
    marks = [mark.at for mark in plot.across if mark.axis == axis]
    values = [getattr(point, axis) for series in plot.series for point in series.points]
    if axis == "y":
        values += [value for series in plot.series for point in series.points for _, value in point.seeds]
    scale = (plot.x if axis == "x" else plot.y).scale
    everything = [value for value in (*limits, *marks, *values) if value > 0 or scale in ("linear", "symlog")]
    if not everything:
        return (1.0, 2.0)
    low, high = min(everything), max(everything)
    # A line needs two ends: about a single place they are as far as the next size would be.
    return (low, high) if low < high or low <= 0 else (low / 2, 2 * high)


def axis_layout(axis: Axis, plot: Plot, name: str) -> dict[str, Any]:
    """Scale, title and ticks. plotly has no symlog axis: the places are ours, and so are the numbers at them."""
    layout: dict[str, Any] = {"title": {"text": plain(axis.label)}}
    if axis.scale in ("log", "log2"):
        layout["type"] = "log"
    if axis.ticks:
        layout |= {"tickvals": list(axis.ticks), "ticktext": [f"{tick:g}" for tick in axis.ticks]}
    elif axis.scale == "symlog":
        places = symlog_ticks(extent(plot, name)[1])
        layout |= {"tickvals": [symlog(at) for at in places], "ticktext": [f"{at:,.0f}" for at in places]}
    elif axis.scale == "log":
        layout["dtick"] = 1
        layout["exponentformat"] = "power"
    if axis.percent:
        layout["tickformat"] = ".0%"
    low, high = axis.limits
    if low is not None and high is not None and axis.scale == "linear":
        layout["range"] = [low, high]
    return layout


def symlog_ticks(most: float) -> list[float]:
    """0, 5 and the powers of ten up to the first that is not exceeded.

    >>> symlog_ticks(1148.0)
    [0.0, 5.0, 10.0, 100.0, 1000.0, 10000.0]
    """
    ticks, power = [0.0, 5.0, 10.0], 10.0
    while power < most:
        power *= 10
        ticks.append(power)
    return ticks


def place(value: float, axis: Axis) -> float:
    """Where a value stands, six digits of it: more would only make the page larger."""
    return float(f"{symlog(value) if axis.scale == 'symlog' else value:.6g}")


def hover(series: Series, point: Point, plot: Plot) -> str:
    """What is said about a point: its series, both values, its seeds and its configuration."""
    interval = (
        f" ({shown(point.low, plot.y)} to {shown(point.high, plot.y)})"
        if point.low is not None and point.high is not None
        else ""
    )
    lines = [
        f"{plot.x.label}: {shown(point.x, plot.x)}",
        f"{plot.y.label}: {shown(point.y, plot.y)}{interval}",
        *([seeds_said(point, plot.y)] if point.seeds else []),
        *point.said,
    ]
    return "<br>".join([f"<b>{plain(series.label)}</b>", *map(plain, lines)])


def plain(text: str) -> str:
    """Text that plotly shows as it is: it reads a few tags and entities in whatever it draws.

    >>> plain("<b>R&D</b>")
    '&lt;b&gt;R&amp;D&lt;/b&gt;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
