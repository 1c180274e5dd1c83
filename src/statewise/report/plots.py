"""The figures of a comparison as data: accuracy or loss against size, and recovered bits against state bits."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from statewise.report.interval import Interval
from statewise.report.plot import Across, Axis, Plot, Point, Series
from statewise.report.selection import result_at
from statewise.report.summary import Row, Summary
from statewise.report.table import LOSSES, listed, rows_by_task
from statewise.report.verdict import percent
from statewise.runs import Result
from statewise.tasks import Task

LEGIBLE_BITS = 10.0
"""Points below are all but zero and lie on each other: they carry no label."""

STEPS_OF_A_DIAGONAL = 48
"""Points of a line that two scales bend."""


class Marker(NamedTuple):
    """A construction in the figure of bits: what its state is made of, and what being always right asks it to hold."""

    name: str
    size: int
    state_bits: int
    required_bits: float


def plots_of(summary: Summary, markers: Sequence[Marker] = ()) -> list[tuple[Task, list[Plot]]]:
    """Every task that has rows with its figures; `markers` stand in those of bits."""
    found = []
    for task, rows in rows_by_task(summary):
        if not rows:
            continue
        plots = [accuracy_plot(task, rows) if task.measure == "accuracy" else loss_plot(task, rows)]
        if any(row.recovered for row in rows):
            plots.append(bits_plot(task, rows, markers))
        found.append((task, plots))
    return found


def accuracy_plot(task: Task, rows: list[Row]) -> Plot:
    """Token accuracy, or that of answers run freely, against size, with each model's proven limit on the same axes."""
    free = task.step_by_step
    measured = against_size(rows, lambda row: row.answers if free and row.answers else row.token_accuracy, accuracy_of)
    limits = [
        Series(
            label=f"proven limit of {bits:,} bits of state",
            kind="theorem",
            points=tuple(
                Point(x=size, y=limit, size=size, said=(f"no reader with {bits:,} bits of state is right more often",))
                for size, limit in places
            ),
        )
        for bits, places in proven_limits(rows).items()
    ]
    chance = Across(label="chance", axis="y", at=task.chance(rows[0].size))
    return Plot(
        name=f"{task.title}-accuracy",
        title=f"{task.title}: accuracy and proof",
        said=said_of(
            f"{'Answer' if free else 'Token'} accuracy of {task.title} against size", rows, ends_of(accuracy_said)
        ),
        x=size_axis(rows),
        y=Axis(
            label=f"{'answers, run freely' if free else 'token accuracy'}, test split",
            limits=(-0.03, 1.05),
            percent=True,
        ),
        series=(*measured, *limits),
        across=(chance,),
    )


def loss_plot(task: Task, rows: list[Row]) -> Plot:
    """Test loss against size."""
    return Plot(
        name=f"{task.title}-loss",
        title=f"{task.title}: loss",
        said=said_of(f"Loss on {task.title} against size", rows, ends_of(lambda row: f"{row.loss.mean:.3f}")),
        x=size_axis(rows),
        y=Axis(label=f"{LOSSES[task.measure]}, test split"),
        series=against_size(rows, lambda row: row.loss, lambda result: result.loss),
    )


def against_size(
    rows: list[Row], value: Callable[[Row], Interval], read: Callable[[Result], float | None]
) -> tuple[Series, ...]:
    """A series for each model: `value` of its rows, and what `read` finds for each seed."""
    return tuple(
        Series(
            label=points[0].stack,
            model=points[0].stack,
            place=place,
            points=tuple(point_of(row, value(row), read) for row in points),
        )
        for place, points in by_stack(rows)
    )


def bits_plot(task: Task, rows: list[Row], markers: Sequence[Marker] = ()) -> Plot:
    """Recovered bits against state bits: nothing lies above the diagonal. Constructions are numbered rings."""
    measured = [row for row in rows if row.recovered is not None]
    held = [row.state_bits for row in measured] + [marker.state_bits for marker in markers]
    points = [
        Series(
            label=group[0].stack,
            kind="points",
            model=group[0].stack,
            place=place,
            points=tuple(map(bits_point, group)),
        )
        for place, group in by_stack(measured)
    ]
    rings = [
        Series(
            label=f"{number}  {marker.name}, n={marker.size}",
            kind="ring",
            points=(
                Point(
                    x=marker.state_bits,
                    y=marker.required_bits,
                    label=str(number),
                    said=("a construction: required bits",),
                ),
            ),
        )
        for number, marker in enumerate(markers, 1)
    ]
    return Plot(
        name=f"{task.title}-bits",
        title=f"{task.title}: recovered bits against state bits",
        said=said_of(f"Bits recovered from the state on {task.title} against bits of state", measured, most_recovered),
        x=Axis(label="state bits", scale="log", limits=(min(held) / 2, 1.5 * max(held))),
        y=Axis(
            label="recovered bits" + ("; rings: required bits" if markers else ""),
            scale="symlog",
            limits=(-1, None),
        ),
        series=(*points, *rings, diagonal(1.0, 1.5 * max(held))),
        wide=bool(markers),
    )


def bits_point(row: Row) -> Point:
    """One row in the figure of bits; less than nothing is drawn as nothing."""
    assert row.recovered is not None
    bits = max(0.0, row.recovered.mean)
    return Point(
        x=row.state_bits,
        y=bits,
        seeds=seeds_of(row, lambda result: result.recovered_bits),
        said=(f"size {row.size}", *configuration(row)),
        label=f"n={row.size}" if bits >= LEGIBLE_BITS else "",
        size=row.size,
    )


def diagonal(first: float, last: float) -> Series:
    """All that a state of a size can hold: as many bits as it has."""
    ratio = (last / first) ** (1 / (STEPS_OF_A_DIAGONAL - 1))
    places = [first * ratio**step for step in range(STEPS_OF_A_DIAGONAL - 1)] + [last]
    return Series(
        label="all that a state of this size can hold",
        kind="theorem",
        points=tuple(Point(x=place, y=place) for place in places),
    )


def point_of(row: Row, value: Interval, read: Callable[[Result], float | None]) -> Point:
    """One row against its size."""
    single = value.count == 1
    return Point(
        x=row.size,
        y=value.mean,
        low=None if single else value.low,
        high=None if single else value.high,
        seeds=seeds_of(row, read),
        said=configuration(row),
        size=row.size,
    )


def accuracy_of(result: Result) -> float | None:
    """What the accuracy of one seed at one size is: of answers where the model runs freely."""
    return result.token_accuracy if result.free is None else result.free.accuracy


def seeds_of(row: Row, read: Callable[[Result], float | None]) -> tuple[tuple[str, float], ...]:
    """The value of every seed that a row's mean is over."""
    values = ((record.config["seed"], read(result_at(record, row.size))) for record in row.records)
    return tuple((f"seed {seed}", value) for seed, value in values if value is not None)


def configuration(row: Row) -> tuple[str, ...]:
    """What was run, and what a proof says of it, a line each."""
    bits = f"{row.state_bits:,} bits of state"
    if row.required_bits is not None:
        bits += f", {row.required_bits:,.4g} required"
    trained = settings_of(row.records[0].config) if row.records else ()
    return (*trained, bits, row.verdict.text)


def settings_of(config: dict[str, Any]) -> tuple[str, ...]:
    """The settings of a run that figures name: the model's in a line, its training's in another."""
    model, training = config["model"], config["training"]
    names = [
        f"{name} {model[name]}" for name in ("width", "depth", "positions") if model.get(name) not in (None, "none")
    ]
    budget = f"{training['time']:g} s" if training.get("time") is not None else f"{training['steps']:,} steps"
    batch = f" of {training['batch_size']}" if "batch_size" in training else ""
    return tuple(filter(None, (", ".join(names), f"rate {training['learning_rate']:g}, {budget}{batch}")))


def by_stack(rows: list[Row]) -> list[tuple[int, list[Row]]]:
    """The rows of each model, with the place that gives it its style in every figure."""
    stacks = list(dict.fromkeys(row.stack for row in rows))
    return [(place, [row for row in rows if row.stack == stack]) for place, stack in enumerate(stacks)]


def proven_limits(rows: list[Row]) -> dict[int, list[tuple[int, float]]]:
    """Best accuracy against size for each state that has the same bits at every size and is too small for one."""
    limits: dict[int, dict[int, float]] = {}
    for row in rows:
        if row.best_accuracy is not None:
            limits.setdefault(row.state_bits, {})[row.size] = row.best_accuracy
    return {bits: list(points.items()) for bits, points in limits.items() if min(points.values()) < 1}


def size_axis(rows: list[Row]) -> Axis:
    """A base-2 axis with a tick at each size."""
    return Axis(label="size", scale="log2", ticks=tuple(sorted({row.size for row in rows})))


def said_of(title: str, rows: list[Row], ends: Callable[[list[Row]], str]) -> str:
    """A figure in a sentence: what it shows, and for each model where it ends."""
    return f"{title}. {'; '.join(ends(points) for _, points in by_stack(rows))}."


def accuracy_said(row: Row) -> str:
    """The accuracy that its figure draws."""
    return percent((row.answers or row.token_accuracy).mean)


def ends_of(text: Callable[[Row], str]) -> Callable[[list[Row]], str]:
    """One model in words: what is measured at its least and at its largest size."""

    def said(rows: list[Row]) -> str:
        ordered = sorted(rows, key=lambda row: row.size)
        ends = dict.fromkeys((ordered[0].size, ordered[-1].size))
        return f"{rows[0].stack}: {listed([f'{text(row)} at size {row.size}' for row in ordered if row.size in ends])}"

    return said


def most_recovered(rows: list[Row]) -> str:
    """The most that was read back out of one model's state."""
    best = max(rows, key=lambda row: row.recovered.mean if row.recovered else 0.0)
    assert best.recovered is not None
    most = max(0.0, best.recovered.mean)
    return f"{best.stack}: at most {most:,.0f} bits of {best.state_bits:,}, at size {best.size}"
