"""What runs will cost: a few real steps of each kind of run, and what follows for the whole of it."""

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from statewise.core.config import digest
from statewise.core.events import Event
from statewise.models import Trainable
from statewise.studies.execute import initial_model
from statewise.studies.run_config import RunConfig
from statewise.tasks import Task, from_identity
from statewise.training import evaluate, train
from statewise.training.evaluate import TOKENS_AT_ONCE

STEPS = 3
"""Steps that are timed at each training size, after one that is not: the first pays for what is set up once."""

NEVER = 2**62


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds, as measured.

    step        one step of training, on average over the training sizes
    validation  one evaluation during training, at the largest training size: the first, and until that is solved alone
    scores      what is scored after training, on both splits at every size
    """

    step: float
    validation: float
    scores: float

    def of(self, run: RunConfig) -> float:
        """Seconds of a whole run that uses up its budget.

        >>> from statewise.studies import Comparison
        >>> run = Comparison(tasks=("parity",), steps=200).plan()[0]
        >>> run.training.evaluate_every, Cost(step=0.1, validation=1, scores=5).of(run)
        (50, 29.0)
        """
        training = run.training
        steps = training.steps if training.time is None else training.time / self.step
        spent = steps * self.step + steps // training.evaluate_every * self.validation
        return spent + self.scores


def kind_of(run: RunConfig) -> str:
    """What runs that cost the same have in common: all but seed, learning rate and budget."""
    training = replace(run.training, steps=0, time=None, learning_rate=1.0, warmup=0)
    return digest(replace(run, seed=0, training=training))


def measure_costs(runs: Sequence[RunConfig]) -> dict[str, Cost]:
    """The cost of each kind of run among `runs`, measured with the threads that torch has; nothing is written."""
    kinds = {kind_of(run): run for run in runs}
    return {kind: measure_cost(run) for kind, run in kinds.items()}


def measure_cost(run: RunConfig) -> Cost:
    """Seconds of a few steps, and of one batch of each evaluation."""
    task, model = from_identity(run.task), initial_model(run)
    sizes = run.training.sizes
    return Cost(
        step=sum(seconds_of_step(model, task, run, size) for size in sizes) / len(sizes),
        validation=seconds_to_score(model, task, run, max(sizes), run.training.validation),
        scores=2
        * sum(seconds_to_score(model, task, run, size, run.evaluation.examples) for size in run.evaluation.sizes),
    )


def seconds_of_step(model: Trainable, task: Task, run: RunConfig, size: int) -> float:
    """One step at a size: the mean of a few. The model is trained by them."""
    only = replace(run.training, sizes=(size,), time=None, evaluate_every=NEVER)
    train(model, task, replace(only, steps=1), seed=run.seed, sink=Unheard())
    return train(model, task, replace(only, steps=STEPS), seed=run.seed, sink=Unheard()).seconds / STEPS


def seconds_to_score(model: Trainable, task: Task, run: RunConfig, size: int, examples: int | None) -> float:
    """An evaluation on so many examples, from its first batch."""
    limits = [limit for limit in (examples, task.num_examples("validation", size)) if limit is not None]
    batch = max(1, TOKENS_AT_ONCE // task.length(size))
    begun = time.perf_counter()
    evaluate(model, task, split="validation", size=size, examples=min(batch, *limits), seed=run.seed)
    return (time.perf_counter() - begun) * max(1.0, min(limits) / batch)


def makespan(seconds: Sequence[float], at_a_time: int) -> float:
    """When the last of runs ends that are taken up in order, so many at a time.

    >>> makespan([3, 1, 1, 1], 2), makespan([], 2)
    (3.0, 0.0)
    """
    free = [0.0] * at_a_time
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


class Unheard:
    """A sink for what nobody wants to know."""

    def write(self, event: Event) -> None:
        """Forget the event."""
