"""Tasks whose tokens are vectors: what is asked is a vector too, and what counts is the squared error.

B examples, T tokens, C channels of a token, O channels of an answer.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, final

import torch
from torch import Tensor

from statewise.tasks.task import Batch, Measure, Task

TOLERANCE = 1e-3
"""Of the largest target: by how much a rule may differ from the targets, which are rounded to float32 and may have to
be found through badly conditioned equations."""


class VectorTask(Task):
    """A task over batches of tokens (B, T, C) float32, targets (B, T, O) float32 (0 where nothing is asked) and scored
    (B, T) bool. `solve` gives (B, T, O) float32, right where scored.
    """

    measure: ClassVar[Measure] = "squared error"

    @property
    @abstractmethod
    def channels(self) -> tuple[int, int]:
        """C and O."""

    @abstractmethod
    def chance(self, size: int) -> float:
        """Mean squared error, over scored tokens and channels, of the best answer that ignores the input."""

    @final
    def vocabulary(self, size: int) -> int:
        """None of the tokens has an id."""
        return 0

    @final
    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """None: there are infinitely many."""
        return None

    def valid(self, tokens: Tensor) -> bool:
        """Whether `tokens` (T, C) are finite vectors of as many channels as a token has."""
        return tokens.ndim == 2 and tokens.shape[1] == self.channels[0] and bool(tokens.isfinite().all())

    def agree(self, answers: Tensor, targets: Tensor) -> Tensor:
        """Where two (B, T, O) are the same answer, (B, T) bool: to a thousandth of the largest target."""
        largest = targets.abs().amax() if targets.numel() else 0.0
        return ((answers - targets).abs() <= TOLERANCE * largest).all(-1)


def score_last_vector(tokens: Tensor, answers: Tensor) -> Batch:
    """A batch in which the last position alone is scored: tokens (B, T, C), answers (B, O)."""
    batch, length, _ = tokens.shape
    targets = torch.zeros(batch, length, answers.shape[1], dtype=tokens.dtype)
    targets[:, -1] = answers
    scored = torch.zeros(batch, length, dtype=torch.bool)
    scored[:, -1] = True
    return Batch(tokens, targets, scored)
