"""How a model is trained: one frozen dataclass, and its schedule."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from statewise.core.errors import UsageError, pick
from statewise.training.precision import PRECISIONS

SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": lambda fraction: 0.5 * (1 + math.cos(math.pi * fraction)),
    "constant": lambda fraction: 1.0,
}
"""The learning rate as a share of its peak, when a share of the budget is used."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """AdamW with warm-up, then cosine decay or none, over a budget of steps or of seconds.

    sizes           task sizes to train on; each step draws one
    steps           budget in optimiser steps, 0 trains nothing; with `time` it is not used
    time            budget in seconds, over which the schedule is laid instead; such a run is `wall-clock`
    batch_size      sequences in a step
    learning_rate   at the end of warm-up
    warmup          steps over which the learning rate rises from 0
    schedule        after it: cosine, down to 0 over the budget, or constant
    weight_decay    decoupled, on matrices only (not on biases, norms and embeddings)
    clip            largest gradient norm
    precision       in which a step computes: full, bf16-autocast or bf16-weights
    evaluate_every  steps between evaluations on the validation split
    validation      examples in such an evaluation
    solved_at       stop when validation sequence accuracy reaches this at every training size; None never stops
    """

    sizes: tuple[int, ...]
    steps: int = 1000
    time: float | None = None
    batch_size: int = 32
    learning_rate: float = 3e-3
    warmup: int = 50
    schedule: str = "cosine"
    weight_decay: float = 0.01
    clip: float = 1.0
    precision: str = "full"
    evaluate_every: int = 50
    validation: int = 256
    solved_at: float | None = 0.999

    def __post_init__(self) -> None:
        if not self.sizes:
            raise UsageError("training: there are no sizes to train on; name at least one")
        pick("schedule", self.schedule, SCHEDULES)
        if self.steps < 0:
            raise UsageError(f"training: steps is {self.steps}; it must be at least 0")
        for name in ("batch_size", "evaluate_every", "validation"):
            if getattr(self, name) < 1:
                raise UsageError(f"training: {name} is {getattr(self, name)}; it must be at least 1")
        pick("precision", self.precision, PRECISIONS)
        if self.time is not None and not 0 < self.time < math.inf:
            raise UsageError(f"training: time is {self.time} seconds; it must be positive")
        if not (0 < self.learning_rate < math.inf and self.clip > 0):
            raise UsageError(
                f"training: learning_rate is {self.learning_rate} and clip is {self.clip}; both must be positive"
            )

    def rate(self, step: int, fraction: float) -> float:
        """Learning rate at a step (from 0), when `fraction` of the budget is used: warm-up times the schedule.

        >>> config = TrainingConfig(sizes=(8,), learning_rate=1.0, warmup=10)
        >>> config.rate(4, 0.0), config.rate(100, 1.0)
        (0.5, 0.0)
        """
        warm = min(1.0, (step + 1) / max(1, self.warmup))
        return self.learning_rate * warm * SCHEDULES[self.schedule](min(1.0, fraction))
