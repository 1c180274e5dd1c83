"""Counting: does a symbol stand in the string more than a given number of times?

    place    0  1  2  3  4
    input    2  0  2  1  2   2  >2
    target   ·  ·  ·  ·  ·   ·  yes         (· is not scored)

Symbols are the tokens 0 … alphabet-1, the answers are alphabet (no) and alphabet + 1 (yes), and the threshold >t is
the token alphabet + 2 + t. One attention head counts; a recurrent model must have kept the whole histogram:
see `statewise.bounds`.

Source: Wen, Dang, Lyu, arXiv 2402.18510, §4 (the task of a theorem, on which nobody has published a training run);
how symbols and thresholds are drawn is ours.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import MOST_INPUTS, Batch, Task, every_sequence, score_last


@dataclass(frozen=True)
class Counting(Task):
    """`size` symbols, uniform and independent; then a uniform symbol q and a threshold t < size: is #q > t?

    alphabet   number of symbols, at least 2
    threshold  the same t for every example, at least 0, or None: t = #q − 1 (yes) or t = #q (no) with equal chance,
               as far as 0 ≤ t < size, so that a rough count is of no help

    With a fixed threshold one answer may be much more frequent, and from t = size on it is always no.

    >>> task = Counting(alphabet=4)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=12)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "counting"
    alphabet: int = 4
    threshold: int | None = None

    def __post_init__(self) -> None:
        if self.alphabet < 2 or (self.threshold is not None and self.threshold < 0):
            raise UsageError(
                f"counting: alphabet is {self.alphabet} and threshold is {self.threshold}; "
                "they must be at least 2, and None or at least 0"
            )

    def vocabulary(self, size: int) -> int:
        """The symbols, the two answers, and the thresholds."""
        return self.alphabet + 2 + (size if self.threshold is None else self.threshold + 1)

    def length(self, size: int) -> int:
        """The string, the symbol that is asked for, and the threshold."""
        return size + 2

    def cut(self, size: int) -> int:
        """After the string, before the symbol that is asked for."""
        return size

    def num_words(self, size: int) -> int:
        """One word a symbol, one for the symbol that is asked for, one for the answer."""
        return size + 2

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The symbols from the first `size + 1` words; the threshold beside their count, as the last word says."""
        symbols = integers(words[:, : size + 1], self.alphabet)
        count = (symbols[:, :size] == symbols[:, size:]).sum(axis=1, keepdims=True)
        if self.threshold is None:
            below = integers(words[:, size + 1 :], 2)
            threshold = np.minimum(np.maximum(count - below, 0), size - 1)
        else:
            threshold = np.full_like(count, self.threshold)
        tokens = np.concatenate([symbols, self.alphabet + 2 + threshold], axis=1)
        return score_last(torch.from_numpy(tokens), torch.from_numpy(self.alphabet + (count > threshold)))

    def solve(self, batch: Batch) -> Tensor:
        """Look the symbol up in the histogram of the string."""
        string, symbol, threshold = batch.tokens.tensor_split((-2, -1), dim=1)
        histogram = torch.zeros(len(string), self.alphabet, dtype=torch.int64)
        histogram.scatter_add_(1, string, torch.ones_like(string))
        more = histogram.gather(1, symbol) > threshold - self.alphabet - 2
        return score_last(batch.tokens, self.alphabet + more.long()).targets

    def chance(self, size: int) -> float:
        """The more frequent answer; a count is binomial with `size` trials and success 1/alphabet."""
        if self.threshold is None:
            # Fair, but that a count of 0 leaves only no, and one of `size` only yes.
            yes = (1 - self._count_is(0, size) + self._count_is(size, size)) / 2
        else:
            yes = sum((self._count_is(c, size) for c in range(self.threshold + 1, size + 1)), Fraction(0))
        return float(max(yes, 1 - yes))

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string with every symbol and every threshold."""
        self.check_size(size)
        thresholds = range(size) if self.threshold is None else [self.threshold]
        if self.alphabet ** (size + 1) * len(thresholds) > MOST_INPUTS:
            return None
        symbols = every_sequence(self.alphabet, size + 1)
        assert symbols is not None
        asked = [torch.tensor([self.alphabet + 2 + threshold]) for threshold in thresholds]
        return (torch.cat(parts) for parts in product(symbols, asked))

    def valid(self, tokens: Tensor) -> bool:
        """At least two symbols, the last of them asked for, then a threshold that exists."""
        size = tokens.numel() - 2
        if size < 1:
            return False
        symbols, threshold = tokens[:-1], int(tokens[-1]) - self.alphabet - 2
        known = 0 <= threshold < size if self.threshold is None else threshold == self.threshold
        return known and bool(((symbols >= 0) & (symbols < self.alphabet)).all())

    def _count_is(self, count: int, size: int) -> Fraction:
        ways = math.comb(size, count) * (self.alphabet - 1) ** (size - count)
        return Fraction(ways, self.alphabet**size)
