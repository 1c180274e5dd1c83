"""The learning rate that is reported: the best on the validation split, whose numbers are not reported."""

import math
from collections.abc import Sequence

from statewise.studies.run_config import RunConfig
from statewise.studies.study import Trained


def at_best_rate(trained: Trained, runs: Sequence[RunConfig]) -> list[RunConfig]:
    """Of runs of one model at several rates and seeds, the finished ones at the rate with the least mean loss.

    A run that did not finish counts as an infinite loss, or a rate would look better that breaks most seeds. Of equals
    the lowest rate; none where nothing finished.
    """
    rates = sorted({run.training.learning_rate for run in runs})
    groups = [[run for run in runs if run.training.learning_rate == rate] for rate in rates]
    return trained.finished(min(groups, key=lambda group: mean_validation_loss(trained, group)))


def mean_validation_loss(trained: Trained, runs: Sequence[RunConfig]) -> float:
    """Over runs; infinite where one did not finish."""
    finished = trained.finished(runs)
    if len(finished) < len(runs):
        return math.inf
    return math.fsum(map(trained.validation_loss, finished)) / len(finished)
