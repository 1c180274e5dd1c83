"""A figure as data: what is drawn, what is said about each point, and the same numbers as a table.

One description, two drawings: matplotlib's PNG (`figures`) and the page's interactive figure (`interactive`).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

# Okabe & Ito's palette: distinct under the common colour blindnesses.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

Scale = Literal["linear", "log", "log2", "symlog"]
Kind = Literal["measured", "points", "trace", "theorem", "ring"]
"""measured: a line through means; points: means alone; trace: a thin line without marks; theorem: a proof's dashed
line; ring: a construction."""

LINEAR_BELOW = 10.0
"""A symlog axis is linear up to here, so that it has a place for 0."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """`ticks` are the places that bear a number, all that are drawn where there are any; `limits` None: as drawn."""

    label: str
    scale: Scale = "linear"
    ticks: tuple[float, ...] = ()
    limits: tuple[float | None, float | None] = (None, None)
    percent: bool = False


@dataclass(frozen=True, kw_only=True)
class Point:
    """A mean and what it is the mean of.

    low, high  its interval; None without one
    seeds      the value of each seed, by the seed's name
    said       its configuration, a line each
    label      written beside it
    size       of the task, to filter by; None where it has none
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    seeds: tuple[tuple[str, float], ...] = ()
    said: tuple[str, ...] = ()
    label: str = ""
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points that belong together.

    place  its rank among the measured, which gives it colour and marker; -1 where it has none of its own
    model  to filter by; empty where it has none
    dashed whether its line is
    legend what the legend calls it, once for all that share it; empty: its label
    """

    label: str
    points: tuple[Point, ...]
    kind: Kind = "measured"
    place: int = -1
    model: str = ""
    dashed: bool = False
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class Across:
    """A line over the whole figure at a place on one axis, `x` or `y`."""

    label: str
    axis: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure. `said` is one sentence for whoever does not see it."""

    name: str
    title: str
    said: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    across: tuple[Across, ...] = ()
    wide: bool = False


def style_of(place: int) -> dict[str, str]:
    """How the series at this place, from 0, is drawn: no two of the first 14 alike.

    >>> style_of(0) != style_of(7)
    True
    """
    turn, colour = divmod(place, len(COLOURS))
    marker = MARKERS[(colour + turn) % len(MARKERS)]
    return {"color": COLOURS[colour], "marker": marker, "linestyle": "--" if turn % 2 else "-"}


def shown(value: float, axis: Axis) -> str:
    """A value as people read it on this axis.

    >>> bits = Axis(label="bits")
    >>> shown(0.984, Axis(label="accuracy", percent=True)), shown(131072.0, bits), shown(4.97e-8, bits)
    ('98.4 %', '131,072', '4.97e-08')
    """
    if not math.isfinite(value):
        return str(value)
    if axis.percent:
        return f"{100 * value:.1f} %"
    if value == round(value) and abs(value) < 1e12:
        return f"{value:,.0f}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def seeds_said(point: Point, axis: Axis) -> str:
    """Every seed with its value.

    >>> seeds_said(Point(x=1, y=2, seeds=(("0", 1.5), ("1", 2.5))), Axis(label="loss"))
    '0: 1.5, 1: 2.5'
    """
    return ", ".join(f"{name}: {shown(value, axis)}" for name, value in point.seeds)


def table_behind(plot: Plot) -> tuple[list[str], list[list[str]]]:
    """Headings and rows with every number of the figure, lines across included; empty columns are left out."""
    headings = ["series", plot.x.label, plot.y.label, "low", "high", "seeds", "configuration"]
    rows = [[series.label, *point_cells(point, plot)] for series in plot.series for point in series.points]
    for mark in plot.across:
        places = [shown(mark.at, plot.x), ""] if mark.axis == "x" else ["", shown(mark.at, plot.y)]
        rows.append([mark.label, *places, "", "", "", ""])
    kept = [column for column in range(len(headings)) if column < 3 or any(row[column] for row in rows)]
    return [headings[column] for column in kept], [[row[column] or "–" for column in kept] for row in rows]


def point_cells(point: Point, plot: Plot) -> list[str]:
    """One point's texts in the order of the headings, without its series."""
    ends = [shown(end, plot.y) if end is not None else "" for end in (point.low, point.high)]
    return [shown(point.x, plot.x), shown(point.y, plot.y), *ends, seeds_said(point, plot.y), "; ".join(point.said)]


def symlog(value: float) -> float:
    """Where a value stands on a symlog axis: a step for the linear part, then one for each factor of ten.

    >>> symlog(5.0), symlog(100.0)
    (0.5, 2.0)
    """
    if abs(value) <= LINEAR_BELOW:
        return value / LINEAR_BELOW
    return math.copysign(1 + math.log10(abs(value) / LINEAR_BELOW), value)


def drawable(plot: Plot) -> Plot:
    """The plot without points that no axis has a place for: not finite, or not positive on a logarithmic one."""
    axes = (plot.x, plot.y)

    def has_place(point: Point) -> bool:
        return all(
            math.isfinite(value) and (value > 0 or axis.scale in ("linear", "symlog"))
            for value, axis in zip((point.x, point.y), axes, strict=True)
        )

    kept = (replace(each, points=tuple(filter(has_place, each.points))) for each in plot.series)
    return replace(plot, series=tuple(each for each in kept if each.points))
