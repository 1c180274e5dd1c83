"""Learning curves: loss over steps, on training data and on the validation split, from the events of runs."""

from collections.abc import Mapping, Sequence
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
"""In all learning curves of a page together: a few hundred kilobytes."""

LEAST_POINTS, MOST_OF_ONE = 8, 200
"""Of one curve, however many there are, and however few."""


@dataclass(frozen=True)
class History:
    """One run and what it said while it was trained."""

    record: Record
    events: tuple[Event, ...]


def points_for(runs: int) -> int:
    """How many points each curve may have for a page with so many runs to stay small.

    >>> points_for(12), points_for(10000)
    (200, 8)
    """
    return min(MOST_OF_ONE, max(LEAST_POINTS, MOST_POINTS // max(1, runs)))


def learning_plot(task: Task, histories: Sequence[History], *, places: Mapping[str, int], points: int) -> Plot | None:
    """Training loss as a line for each run and validation loss as dashed lines with marks; None without an event.

    places  the place of each model, which gives it its colour
    points  the most that one curve has
    """
    curves = [series for history in histories for series in curves_of(task, history, places, points)]
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


def curves_of(task: Task, history: History, places: Mapping[str, int], points: int) -> list[Series]:
    """One run's curves: of training, and for each size that was evaluated of validation."""
    config = history.record.config
    model, seed = model_of_run(config), config["seed"]
    said = (f"seed {seed}", *settings_of(config))
    place = places[model]
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


def histories_of(records: Sequence[Record], folder: Path) -> list[History]:
    """The runs with what stands in their folders below `folder`."""
    return [History(record, read_events(folder / record.name)) for record in records]


def reported(summary: Summary) -> dict[Task, list[Record]]:
    """The runs that the tables are about, those that failed among them: of each model those at the selected rate."""
    rates = {(row.task, row.stack): row.selection.learning_rate for row in summary.rows}
    found: dict[Task, list[Record]] = {}
    for record in summary.records:
        task, rate = from_identity(record.config["task"]), rate_of(record)
        if rates.get((task, model_of_run(record.config)), rate) == rate:
            found.setdefault(task, []).append(record)
    return found


def learning_plots(by_task: Mapping[Task, Sequence[Record]], folder: Path, *, among: int) -> dict[Task, Plot]:
    """The learning curves of each task that has any.

    among  how many runs there are in the page, which share its room
    """
    plots = {}
    for task, records in by_task.items():
        models = dict.fromkeys(model_of_run(record.config) for record in records)
        places = {model: place for place, model in enumerate(models)}
        plot = learning_plot(task, histories_of(records, folder), places=places, points=points_for(among))
        if plot is not None:
            plots[task] = plot
    return plots
