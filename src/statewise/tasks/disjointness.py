"""Disjointness: do two sets, given as bits, have an element in common?

    input    1  0  0  1   0  1  0  1        first set, then second
    target   ·  ·  ·  ·   ·  ·  ·  yes      (· is not scored)

    input    1 0   0 1   0 0   1 1          interleaved: each element's two bits together
    target   · ·   · ·   · ·   · yes

The answers are the tokens 2 (no, disjoint) and 3 (yes, they intersect). Read one after the other, the first set
has to be kept; interleaved, one bit does: see `statewise.bounds`.

Source: Bhattamishra, Hahn, Blunsom, Kanade, arXiv 2406.09347, §6 (DISJ, the value 1 for sets that intersect).
They give no distribution; ours is the one that is hard for communication, where sets share at most one
element: with independent dense sets nearly every answer is yes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.random import Words, integers
from statewise.tasks.task import Batch, Task, every_sequence, score_last


@dataclass(frozen=True)
class Disjointness(Task):
    """Two sets of `size` possible elements: disjoint in half of the examples, else with one in common.

    interleaved  the two bits of an element stand side by side, instead of one set after the other

    Each element is in neither set, in the first or in the second with equal chance, and in the examples whose
    sets intersect one more, at a uniform place, is in both.

    >>> task = Disjointness()
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "disjointness"
    interleaved: bool = False

    def vocabulary(self, size: int) -> int:
        """The two bits and the two answers."""
        return 4

    def length(self, size: int) -> int:
        """A bit for each element of each set."""
        return 2 * size

    def cut(self, size: int) -> int:
        """After the first set; interleaved, after the first bit of the last element."""
        return 2 * size - 1 if self.interleaved else size

    def num_words(self, size: int) -> int:
        """A word for each element, one for the label, one for the common element."""
        return size + 2

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Disjoint sets from the first `size` words, and a common element where the label says so."""
        holders = integers(words[:, :size], 3)
        intersecting = integers(words[:, size : size + 1], 2) == 1
        common = intersecting & (np.arange(size) == integers(words[:, size + 1 :], size))
        sets = [(holders == holder) | common for holder in (1, 2)]
        bits = np.stack(sets, axis=2).reshape(len(words), 2 * size) if self.interleaved else np.hstack(sets)
        return score_last(torch.from_numpy(bits.astype(np.int64)), torch.from_numpy(2 + intersecting))

    def solve(self, batch: Batch) -> Tensor:
        """Multiply the sets element by element."""
        first, second = self._sets(batch.tokens)
        return score_last(batch.tokens, 2 + (first * second).amax(1, keepdim=True)).targets

    def chance(self, size: int) -> float:
        """Both answers are equally likely."""
        return 0.5

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every pair of sets."""
        self.check_size(size)
        return every_sequence(2, 2 * size)

    def valid(self, tokens: Tensor) -> bool:
        """Any non-empty string of bits of even length."""
        return tokens.numel() >= 2 and tokens.numel() % 2 == 0 and bool(((tokens == 0) | (tokens == 1)).all())

    def _sets(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        if self.interleaved:
            return tokens[:, 0::2], tokens[:, 1::2]
        return tokens[:, : tokens.shape[1] // 2], tokens[:, tokens.shape[1] // 2 :]
