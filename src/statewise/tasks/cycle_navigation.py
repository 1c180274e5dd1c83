"""Cycle navigation: walk round a cycle, then say where you are.

    input     2   1   0   2   2        steps +1, 0, −1, +1, +1 on a cycle of 5, from place 0
    target    ·   ·   ·   ·   2        (· is not scored)

Tokens 0, 1, 2 are the steps −1, 0, +1; the answer is the place. The number of places is all that a reader needs
to hold: see `statewise.bounds`.

Source: Delétang et al., arXiv 2207.02098, cycle navigation (a cycle of 5); the order of the steps is that of
the code of Feng, Tung, Ahmed, Bengio, Hajimirsadeghi, arXiv 2410.01201.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import Batch, Task, every_sequence, score_last

STEPS = 3


@dataclass(frozen=True)
class CycleNavigation(Task):
    """`size` uniform steps from place 0; after the last, the place.

    cycle  number of places, at least 2

    >>> task = CycleNavigation(cycle=5)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "cycle-navigation"
    cycle: int = 5

    def __post_init__(self) -> None:
        if self.cycle < 2:
            raise UsageError(f"cycle-navigation: cycle is {self.cycle}; it must be at least 2")

    def vocabulary(self, size: int) -> int:
        """The three steps and the places, which share ids."""
        return max(STEPS, self.cycle)

    def length(self, size: int) -> int:
        """One token a step."""
        return size

    def cut(self, size: int) -> int:
        """Before the last step, when most places have been in reach."""
        return size - 1

    def num_words(self, size: int) -> int:
        """One word a step."""
        return size

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The steps from the words, the place from their sum."""
        tokens = torch.from_numpy(integers(words, STEPS))
        return score_last(tokens, (tokens - 1).sum(1, keepdim=True) % self.cycle)

    def solve(self, batch: Batch) -> Tensor:
        """Count the steps in either direction."""
        forward, backward = ((batch.tokens == step).sum(1, keepdim=True) for step in (2, 0))
        return score_last(batch.tokens, (forward - backward) % self.cycle).targets

    def chance(self, size: int) -> float:
        """How likely the likeliest place is after `size` steps."""
        places = np.zeros(self.cycle)
        places[0] = 1
        for _ in range(size):
            places = (np.roll(places, -1) + places + np.roll(places, 1)) / STEPS
        return float(places.max())

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string of steps."""
        self.check_size(size)
        return every_sequence(STEPS, size)

    def valid(self, tokens: Tensor) -> bool:
        """Any non-empty string of steps."""
        return tokens.numel() >= 1 and bool(((tokens >= 0) & (tokens < STEPS)).all())
