"""The setting that is reported: the best on the validation split, whose numbers are not reported."""

import math
from collections.abc import Sequence

from statewise.models import EncoderDecoderConfig, ModelConfig
from statewise.studies.run_config import RunConfig
from statewise.studies.study import Trained
from statewise.training import TrainingConfig


def at_best_setting(trained: Trained, runs: Sequence[RunConfig]) -> list[RunConfig]:
    """Of runs in several settings, with several seeds each, the finished ones in the setting with the least mean loss.

    A setting is a model and how it is trained. A run that did not finish counts as an infinite loss, or a setting would
    look better that breaks most seeds. Of equals the lowest learning rate, then the first; none where nothing finished.
    """
    groups: dict[tuple[ModelConfig | EncoderDecoderConfig, TrainingConfig], list[RunConfig]] = {}
    for run in runs:
        groups.setdefault((run.model, run.training), []).append(run)
    by_rate = sorted(groups.values(), key=lambda group: group[0].training.learning_rate)
    return trained.finished(min(by_rate, key=lambda group: mean_validation_loss(trained, group)))


def mean_validation_loss(trained: Trained, runs: Sequence[RunConfig]) -> float:
    """Over runs; infinite where one did not finish."""
    finished = trained.finished(runs)
    if len(finished) < len(runs):
        return math.inf
    return math.fsum(map(trained.validation_loss, finished)) / len(finished)
