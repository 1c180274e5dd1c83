"""The setting that is reported: the best on the validation split, whose numbers are not reported."""

import math
from collections.abc import Sequence

from statewise.studies.run_config import RunConfig
from statewise.studies.study import Trained


def at_best_setting(trained: Trained, runs: Sequence[RunConfig]) -> list[RunConfig]:
    """Of runs in several settings, with several seeds each, the finished ones in the setting with the least mean loss.

    A setting is a model and how it is trained. A run that did not finish counts as an infinite loss, or a setting would
    look better that breaks most seeds. Of equals the lowest learning rate, then the first; none where nothing finished.
    """
    settings = dict.fromkeys((run.model, run.training) for run in runs)
    by_rate = sorted(settings, key=lambda setting: setting[1].learning_rate)
    groups = [[run for run in runs if (run.model, run.training) == setting] for setting in by_rate]
    return trained.finished(min(groups, key=lambda group: mean_validation_loss(trained, group)))


def mean_validation_loss(trained: Trained, runs: Sequence[RunConfig]) -> float:
    """Over runs; infinite where one did not finish."""
    finished = trained.finished(runs)
    if len(finished) < len(runs):
        return math.inf
    return math.fsum(map(trained.validation_loss, finished)) / len(finished)
