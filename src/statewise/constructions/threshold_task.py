"""Threshold: do two sets, given as bits, have at least so many elements in common?

    at least 2    1  1  0  1   1  0  0  1        first set, then second
    target        ·  ·  ·  ·   ·  ·  ·  yes      (· is not scored)

Source: the function THRES of Bhattamishra, Hahn, Blunsom, Kanade, arXiv 2406.09347, §6, with features of two places;
how sets are drawn is ours.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks import Batch, Disjointness
from statewise.tasks.draws import distinct
from statewise.tasks.task import score_last


@dataclass(frozen=True)
class Threshold(Disjointness):
    """Two sets of `size` possible elements: do they have at least so many in common?

    interleaved  the two bits of an element stand side by side, instead of one set after the other
    at_least     b, at least 1; sizes start there

    The answers are the tokens 2 (no) and 3 (yes). As in `Disjointness`, which is b = 1, examples are at the edge: b or
    b − 1 elements at uniform places are in both sets, each other one in neither, in the first or in the second.

    >>> task = Threshold(at_least=3)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "threshold"
    at_least: int = 2

    def __post_init__(self) -> None:
        if self.at_least < 1:
            raise UsageError(f"threshold: at_least is {self.at_least}; it must be at least 1")

    def check_size(self, size: int) -> None:
        """Raise a UsageError unless there are as many elements as are asked for."""
        if size < self.at_least:
            raise UsageError(
                f"{self.name}: size is {size}; it must be at least {self.at_least}, or the answer is always no"
            )

    def num_words(self, size: int) -> int:
        """A word for each element, one for the label, one for each common element."""
        return size + 1 + self.at_least

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Disjoint sets from the first `size` words, then the label, then as many common elements as it says."""
        holders = integers(words[:, :size], 3)
        enough = integers(words[:, size : size + 1], 2)
        chosen = distinct(words[:, size + 1 :], size)
        chosen[:, -1:] = np.where(enough == 1, chosen[:, -1:], chosen[:, :1] if self.at_least > 1 else -1)
        common = (chosen[:, :, None] == np.arange(size)).any(axis=1)
        sets = [(holders == holder) | common for holder in (1, 2)]
        bits = np.stack(sets, axis=2).reshape(len(words), 2 * size) if self.interleaved else np.hstack(sets)
        return score_last(torch.from_numpy(bits.astype(np.int64)), torch.from_numpy(2 + enough))

    def solve(self, batch: Batch) -> Tensor:
        """Count the elements of both sets."""
        first, second = self._sets(batch.tokens)
        return score_last(batch.tokens, 2 + ((first * second).sum(1, keepdim=True) >= self.at_least).long()).targets

    def valid(self, tokens: Tensor) -> bool:
        """Bits of two sets that are large enough."""
        return super().valid(tokens) and tokens.numel() >= 2 * self.at_least
