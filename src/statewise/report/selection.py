"""Which learning rate is reported, and which seed is the best: decided on the validation split alone."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from statewise.runs import Record, Result
from statewise.runs.record import Validation
from statewise.tasks import Task

NOTHING_RIGHT = Validation(loss=math.inf, token_accuracy=0.0, sequence_accuracy=0.0)
"""The scores of a run that gave no numbers: left out, it would make a rate look better that breaks most seeds."""


@dataclass(frozen=True)
class Trial:
    """One learning rate. `by_size` holds means over its seeds on the validation split, at each size."""

    learning_rate: float
    by_size: Mapping[int, Validation]


@dataclass(frozen=True)
class Selection:
    """The learning rate that does best on the validation split, over all sizes, and every one that was tried."""

    learning_rate: float
    trials: tuple[Trial, ...]


def select(task: Task, records: Sequence[Record]) -> Selection:
    """The selection among the records of one model on one task, rates ascending; of equals the lowest rate."""
    rates = sorted({rate_of(record) for record in records})
    trials = tuple(trial_of(rate, [record for record in records if rate_of(record) == rate]) for rate in rates)
    best = min(trials, key=lambda trial: rank(task, mean_of(trial.by_size.values())))
    return Selection(best.learning_rate, trials)


def trial_of(rate: float, records: Sequence[Record]) -> Trial:
    """The seeds of one rate, size by size."""
    sizes = records[0].config["evaluation"]["sizes"]
    scores = [validations(record) for record in records]
    return Trial(rate, {size: mean_of([score.get(size, NOTHING_RIGHT) for score in scores]) for size in sizes})


def validations(record: Record) -> dict[int, Validation]:
    """A run's scores on the validation split by size; none unless it finished."""
    return {result.size: result.validation for result in record.results}


def best_seed(task: Task, records: Sequence[Record]) -> Record:
    """Of the finished runs of one rate the one that does best on the validation split, over all sizes."""
    return min(records, key=lambda record: rank(task, mean_of(validations(record).values())))


def rank(task: Task, score: Validation) -> tuple[float, float]:
    """What to sort by, best first: with a rule on symbols sequence accuracy, then loss; else the loss."""
    loss = math.inf if math.isnan(score.loss) else score.loss
    return (-number(score.sequence_accuracy), loss) if task.measure == "accuracy" else (loss, 0.0)


def mean_of(scores: Iterable[Validation]) -> Validation:
    """The mean of each score.

    >>> mean_of([NOTHING_RIGHT, Validation(loss=0.0, token_accuracy=1.0, sequence_accuracy=1.0)]).token_accuracy
    0.5
    """
    listed = list(scores)
    return Validation(
        loss=math.fsum(score.loss for score in listed) / len(listed),
        token_accuracy=math.fsum(number(score.token_accuracy) for score in listed) / len(listed),
        sequence_accuracy=math.fsum(number(score.sequence_accuracy) for score in listed) / len(listed),
    )


def number(accuracy: float | None) -> float:
    """An accuracy, or NaN where tokens are vectors and have none.

    >>> number(0.5), number(None)
    (0.5, nan)
    """
    return math.nan if accuracy is None else accuracy


def rate_of(record: Record) -> float:
    """The peak learning rate of a run."""
    rate: float = record.config["training"]["learning_rate"]
    return rate


def result_at(record: Record, size: int) -> Result:
    """What a finished run measured at one of its sizes."""
    return next(result for result in record.results if result.size == size)
