"""What runs said of the validation split on their way."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from statewise.core.events import Evaluated
from statewise.runs.findings import Curve
from statewise.studies.run_config import RunConfig
from statewise.studies.study import Trained


def curve_of(
    trained: Trained, runs: Sequence[RunConfig], label: str, value: Callable[[Evaluated], float | None]
) -> Curve:
    """One value for each run that finished, at each of its evaluations; events without a value are left out."""
    by_step: dict[int, list[float]] = {}
    for run in trained.finished(runs):
        for event in trained.evaluations(run):
            if (found := value(event)) is not None:
                by_step.setdefault(event.step, []).append(found)
    return Curve(label=label, points=tuple((step, tuple(values)) for step, values in sorted(by_step.items())))


def mean_loss(events: Sequence[Evaluated]) -> float:
    """The mean over evaluations: small where a model learns early, whatever it ends at."""
    return sum(event.loss for event in events) / len(events)


def rises(events: Sequence[Evaluated]) -> float:
    """By how much the loss rose between evaluations, in all: 0 for a training that never goes back."""
    losses = [event.loss for event in events]
    return sum(max(0.0, later - sooner) for sooner, later in pairwise(losses))
