"""Associative recall: pairs of keys and values, then one of the keys: which value stood beside it?

    input    k1 v0  k3 v2  k0 v2  k3
    target   ·  ·   ·  ·   ·  ·   v2        (· is not scored)

Keys are the tokens 0 … keys-1, values the tokens after them. A recurrent model must have stored the value of
every key that was shown: see `statewise.bounds`.

Source: Bhattamishra, Hahn, Blunsom, Kanade, arXiv 2406.09347, appendix (AR, single query, distinct keys).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from math import perm
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.draws import distinct
from statewise.tasks.task import MOST_INPUTS, Batch, Task, score_last


@dataclass(frozen=True)
class AssociativeRecall(Task):
    """`size` pairs of distinct uniform keys and independent uniform values, then one of the keys shown.

    keys    number of keys, at least 1; a size is at most this
    values  number of values, at least 2

    >>> task = AssociativeRecall(keys=16, values=4)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "associative-recall"
    keys: int = 64
    values: int = 16

    def __post_init__(self) -> None:
        if self.keys < 1 or self.values < 2:
            raise UsageError(
                f"associative-recall: keys is {self.keys} and values is {self.values}; they must be at least 1 and 2"
            )

    def check_size(self, size: int) -> None:
        """Raise a UsageError unless there are as many keys."""
        super().check_size(size)
        if size > self.keys:
            raise UsageError(f"associative-recall: size is {size}; it must be at most keys, which is {self.keys}")

    def vocabulary(self, size: int) -> int:
        """The keys and the values."""
        return self.keys + self.values

    def length(self, size: int) -> int:
        """The pairs and the query."""
        return 2 * size + 1

    def cut(self, size: int) -> int:
        """After the pairs, before the query."""
        return 2 * size

    def num_words(self, size: int) -> int:
        """Two words for each pair and one for the query."""
        return 2 * size + 1

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Keys and values from words of their own, the place of the query from the last."""
        keys = distinct(words[:, :size], self.keys)
        values = self.keys + integers(words[:, size : 2 * size], self.values)
        asked = integers(words[:, 2 * size :], size)
        pairs = np.stack([keys, values], axis=2).reshape(len(words), 2 * size)
        tokens = np.hstack([pairs, np.take_along_axis(keys, asked, axis=1)])
        return score_last(torch.from_numpy(tokens), torch.from_numpy(np.take_along_axis(values, asked, axis=1)))

    def solve(self, batch: Batch) -> Tensor:
        """The value that stands after the first occurrence of the last token."""
        tokens = batch.tokens
        places = (tokens[:, 0:-1:2] == tokens[:, -1:]).long().argmax(1, keepdim=True)
        return score_last(tokens, tokens[:, 1::2].gather(1, places)).targets

    def chance(self, size: int) -> float:
        """Any one value is right once in `values`."""
        return 1 / self.values

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every list of pairs with every key of it."""
        self.check_size(size)
        if perm(self.keys, size) * self.values**size * size > MOST_INPUTS:
            return None
        values = range(self.keys, self.keys + self.values)
        return (
            torch.tensor([*(token for pair in zip(shown, held, strict=True) for token in pair), asked])
            for shown in permutations(range(self.keys), size)
            for held in product(values, repeat=size)
            for asked in shown
        )

    def valid(self, tokens: Tensor) -> bool:
        """Distinct keys with a value each, then one of the keys."""
        row = tokens.tolist()
        keys, values = row[0:-1:2], row[1::2]
        return (
            len(row) % 2 == 1
            and 1 <= len(keys) == len(set(keys))
            and row[-1] in keys
            and all(0 <= key < self.keys for key in keys)
            and all(self.keys <= value < self.keys + self.values for value in values)
        )
