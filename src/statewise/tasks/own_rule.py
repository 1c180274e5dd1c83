"""A task whose `solve` is not the rule of its own targets is refused before anything is concluded from it."""

import torch

from statewise.core.errors import UsageError
from statewise.tasks.task import Task

EXAMPLES = 256
"""Examples that are compared."""


def require_own_rule(task: Task, size: int) -> None:
    """Raise a UsageError that shows the first of 256 training examples whose target `solve` does not give.

    >>> from statewise.tasks.parity import Parity
    >>> require_own_rule(Parity(), size=5)
    """
    batch = task.examples("train", seed=0, start=0, count=EXAMPLES, size=size)
    answers = task.solve(batch)
    if answers.shape != batch.targets.shape:
        raise UsageError(f"{task.name}: solve gave {tuple(answers.shape)} for {tuple(batch.targets.shape)} targets")
    for example, place in torch.nonzero(~task.agree(answers, batch.targets) & batch.scored).tolist():
        raise UsageError(
            f"{task.name}: solve disagrees with the task's own targets: for {batch.tokens[example].tolist()} "
            f"(example {example} of size {size}) the target at {place} is {batch.targets[example, place].tolist()}, "
            f"solve says {answers[example, place].tolist()}"
        )
