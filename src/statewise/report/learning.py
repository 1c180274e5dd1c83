"""Learning curves: loss over steps, on training data and on the validation split, from the events of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from statewise.core.events import Evaluated, Event, Progress
from statewise.report.plot import Axis, Plot, Point, Series
from statewise.report.plots import settings_of
from statewise.report.selection import rate_of
from statewise.report.summary import Summary
from statewise.report.table import LOSSES
from statewise.report.verdict import percent
from statewise.runs import Record
from statewise.runs.events import read_events
from statewise.runs.record import model_of_run
from statewise.tasks import Task, from_identity

MOST_POINTS = 6000
"""In all learning curves of a page together: two megabytes, since each takes 350 bytes with what is said about it and
its row in the table."""

LEAST_POINTS, MOST_OF_ONE = 8, 200
"""Of one curve, however many there are, and however few."""


@dataclass(frozen=True)
class History:
    """One run, what its model is called, and what it said while it was trained."""

    model: str
    record: Record
    events: tuple[Event, ...]


ByTask = dict[Task, list[tuple[str, Record]]]
"""Runs with the names of their models."""


def points_for(runs: int) -> int:
    """How many points each curve may have for a page with so many runs to stay small.

    >>> points_for(12), points_for(10000)
    (200, 8)
    """
    return min(MOST_OF_ONE, max(LEAST_POINTS, MOST_POINTS // max(1, runs)))


def learning_plot(task: Task, histories: Sequence[History], *, points: int) -> Plot | None:
    """Training loss as a line for each run and validation loss as dashed lines with marks; None without an event.

    points  the most that one curve has
    """
    places = {model: place for place, model in enumerate(dict.fromkeys(history.model for history in histories))}
    curves = [series for each in histories for series in curves_of(each, places[each.model], points)]
    if not curves:
        return None
    models = dict.fromkeys(series.model for series in curves)
    ends = "; ".join(f"{model}: {ends_at(curves, model)}" for model in models)
    loss = LOSSES.get(task.measure, "nats per scored token")
    return Plot(
        name=f"{task.title}-learning",
        title=f"{task.title}: learning curves",
        said=f"Loss on {task.title} over training steps, a line for each run. {ends}.",
        x=Axis(label="step"),
        y=Axis(label=f"loss ({loss})"),
        series=tuple(curves),
    )


def ends_at(curves: Sequence[Series], model: str) -> str:
    """The range of the last losses of a model's runs."""
    last = [series.points[-1].y for series in curves if series.model == model]
    return f"{min(last):.3g} to {max(last):.3g} at the end"


def curves_of(history: History, place: int, points: int) -> list[Series]:
    """One run's curves: of training, and for each size that was evaluated of validation."""
    config = history.record.config
    model, seed = history.model, config["seed"]
    said = (f"seed {seed}", *settings_of(config))
    training = [Point(x=event.step, y=event.loss, said=said) for event in history.events if isinstance(event, Progress)]
    found = [
        Series(
            label=f"{model}, seed {seed}",
            legend=model,
            kind="trace",
            model=model,
            place=place,
            points=thinned(training, points),
        )
    ]
    evaluated = [event for event in history.events if isinstance(event, Evaluated)]
    for size in sorted({event.size for event in evaluated}):
        scores = [
            Point(x=event.step, y=event.loss, said=(*said, *accuracies(event)), size=size)
            for event in evaluated
            if event.size == size
        ]
        label = f"{model}, seed {seed}, {evaluated[0].split} at size {size}"
        found.append(
            Series(
                label=label,
                legend=f"{model}, {evaluated[0].split}",
                model=model,
                place=place,
                dashed=True,
                points=thinned(scores, points),
            )
        )
    return [series for series in found if series.points]


def accuracies(event: Evaluated) -> tuple[str, ...]:
    """What else an evaluation measured."""
    named = {"token accuracy": event.token_accuracy, "sequence accuracy": event.sequence_accuracy}
    texts = [f"{name} {percent(value)}" for name, value in named.items() if value is not None]
    return (", ".join(texts),) if texts else ()


def thinned(points: Sequence[Point], most: int) -> tuple[Point, ...]:
    """At most so many of the points, evenly by rank, the first and the last among them.

    >>> [point.x for point in thinned([Point(x=i, y=0) for i in range(10)], 4)]
    [0, 3, 6, 9]
    """
    if len(points) <= most:
        return tuple(points)
    return tuple(points[round(i * (len(points) - 1) / (most - 1))] for i in range(most))


def by_task(records: Sequence[Record]) -> ByTask:
    """Every run by its task, under the name of its stack."""
    found: ByTask = {}
    for record in records:
        task = from_identity(record.config["task"])
        found.setdefault(task, []).append((model_of_run(record.config), record))
    return found


def reported(summary: Summary) -> ByTask:
    """The runs that the tables are about, those that failed among them: of each model those at the selected rate."""
    rates = {(row.task, row.stack): row.selection.learning_rate for row in summary.rows}
    found: ByTask = {}
    for record, model in zip(summary.records, summary.models, strict=True):
        task, rate = from_identity(record.config["task"]), rate_of(record)
        if rates.get((task, model), rate) == rate:
            found.setdefault(task, []).append((model, record))
    return found


def learning_plots(runs: ByTask, folder: Path, *, among: int) -> dict[Task, Plot]:
    """The learning curves of each task that has any, from what stands in the run folders below `folder`.

    among  how many runs there are in the page, which share its room
    """
    plots = {}
    for task, group in runs.items():
        histories = [History(model, record, read_events(folder / record.name)) for model, record in group]
        plot = learning_plot(task, histories, points=points_for(among))
        if plot is not None:
            plots[task] = plot
    return plots
