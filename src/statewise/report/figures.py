"""The figures: drawn once, kept as SVG for the page and as PNG beside it."""

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from statewise.core.optional import require
from statewise.report.summary import Row, Summary
from statewise.report.table import LOSSES, rows_by_task
from statewise.tasks import Task

# Okabe & Ito's palette: distinct under the common colour blindnesses.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LEGIBLE_BITS = 10.0
"""Points below are all but zero and lie on each other: they carry no label."""

Axes = Any
Figure = Any


class Marker(NamedTuple):
    """A construction in the figure of bits: what its state is made of, and what being always right asks it to hold."""

    name: str
    size: int
    state_bits: int
    required_bits: float


def draw_all(summary: Summary, markers: Sequence[Marker] = ()) -> dict[str, Figure]:
    """Every figure that the records give, by name; `markers` stand in those of bits."""
    figures: dict[str, Figure] = {}
    for task, rows in rows_by_task(summary):
        if not rows:
            continue
        if task.measure == "accuracy":
            figures[f"{task.title}-accuracy"] = accuracy_figure(task, rows)
        else:
            figures[f"{task.title}-loss"] = loss_figure(rows)
        if any(row.recovered for row in rows):
            figures[f"{task.title}-bits"] = bits_figure(rows, markers)
    return figures


def accuracy_figure(task: Task, rows: list[Row]) -> Figure:
    """Token accuracy, or that of answers run freely, against size, with each model's proven limit on the same axes."""

    def draw(axes: Axes) -> None:
        for points, style in by_stack(rows):
            sizes = [row.size for row in points]
            accuracies = [row.token_accuracy if row.answers is None else row.answers for row in points]
            errors = error_bars(accuracies)
            axes.errorbar(
                sizes,
                [accuracy.mean for accuracy in accuracies],
                yerr=errors,
                capsize=3,
                label=points[0].stack,
                **style,
            )
        for bits, limits in proven_limits(rows).items():
            axes.plot(*zip(*limits, strict=True), "k--", label=f"proven limit of {bits:,} bits of state")
        chance = task.chance(rows[0].size)
        axes.axhline(chance, color="#888888", linestyle=":", label="chance")
        measured = "answers, run freely" if task.step_by_step else "token accuracy"
        axes.set(xlabel="size (tokens)", ylabel=f"{measured}, test split", ylim=(-0.03, 1.05))
        size_axis(axes, rows)

    return framed(f"{task.title}: accuracy and proof", draw)


def loss_figure(rows: list[Row]) -> Figure:
    """Test loss against size."""

    def draw(axes: Axes) -> None:
        for points, style in by_stack(rows):
            errors = error_bars([row.loss for row in points])
            means = [row.loss.mean for row in points]
            axes.errorbar([row.size for row in points], means, yerr=errors, capsize=3, label=points[0].stack, **style)
        axes.set(xlabel="size", ylabel=f"{LOSSES[rows[0].task.measure]}, test split")
        size_axis(axes, rows)

    return framed(f"{rows[0].task.title}: loss", draw)


def bits_figure(rows: list[Row], markers: Sequence[Marker] = ()) -> Figure:
    """Recovered bits against state bits: nothing lies above the diagonal. Constructions are numbered rings."""

    def draw(axes: Axes) -> None:
        measured = [row for row in rows if row.recovered is not None]
        for points, style in by_stack(measured):
            states = [row.state_bits for row in points]
            recovered = [max(0.0, row.recovered.mean) for row in points if row.recovered]
            axes.plot(states, recovered, label=points[0].stack, **{**style, "linestyle": "none"})
            for row, state, bits in zip(points, states, recovered, strict=True):
                if bits < LEGIBLE_BITS:
                    continue
                axes.annotate(f"n={row.size}", (state, bits), (6, -3), textcoords="offset points", fontsize=8)
        for number, marker in enumerate(markers, 1):
            place = (marker.state_bits, marker.required_bits)
            label = f"{number}  {marker.name}, n={marker.size}"
            axes.plot(
                *place, marker="o", markersize=13, color="#444444", fillstyle="none", linestyle="none", label=label
            )
            axes.annotate(str(number), place, ha="center", va="center", fontsize=7)
        held = [row.state_bits for row in measured] + [marker.state_bits for marker in markers]
        ends = [1.0, 1.5 * max(held)]
        axes.plot(ends, ends, color="#888888", label="all that a state of this size can hold")
        axes.set_xscale("log")
        axes.set_yscale("symlog", linthresh=10)
        axes.set(
            xlabel="state bits",
            ylabel="recovered bits" + ("; rings: required bits" if markers else ""),
            xlim=(min(held) / 2, ends[1]),
        )
        axes.set_ylim(bottom=-1)

    return framed(f"{rows[0].task.title}: recovered bits against state bits", draw, tall=bool(markers))


def by_stack(rows: list[Row]) -> list[tuple[list[Row], dict[str, Any]]]:
    """The rows of each model, with the line style that it keeps in every figure."""
    stacks = list(dict.fromkeys(row.stack for row in rows))
    return [
        (
            [row for row in rows if row.stack == stack],
            {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)], "alpha": 0.85},
        )
        for i, stack in enumerate(stacks)
    ]


def proven_limits(rows: list[Row]) -> dict[int, list[tuple[int, float]]]:
    """Best accuracy against size for each state that has the same bits at every size and is too small for one."""
    limits: dict[int, dict[int, float]] = {}
    for row in rows:
        if row.best_accuracy is not None:
            limits.setdefault(row.state_bits, {})[row.size] = row.best_accuracy
    return {bits: list(points.items()) for bits, points in limits.items() if min(points.values()) < 1}


def error_bars(intervals: list[Any]) -> list[list[float]] | None:
    """Distances below and above the means, or None for a single seed."""
    if intervals[0].count == 1:
        return None
    return [[value.mean - value.low for value in intervals], [value.high - value.mean for value in intervals]]


def size_axis(axes: Axes, rows: list[Row]) -> None:
    """A base-2 axis with a tick at each size."""
    sizes = sorted({row.size for row in rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()


def framed(title: str, draw: Callable[[Axes], None], *, tall: bool = False) -> Figure:
    """A figure with a title, a grid and a legend that hides nothing; tall and wide for a long legend."""
    figure = require("matplotlib.figure", extra="report", purpose="the report's figures").Figure(
        figsize=(9.6, 5.6) if tall else (7.2, 4.2), layout="constrained"
    )
    axes = figure.add_subplot()
    draw(axes)
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False, markerscale=0.5 if tall else 1.0)
    return figure


def svg(figure: Figure) -> str:
    """The figure as an <svg> element, the same text for the same figure."""
    buffer = io.StringIO()
    matplotlib = require("matplotlib", extra="report", purpose="the report's figures")
    with matplotlib.rc_context({"svg.hashsalt": "statewise", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
