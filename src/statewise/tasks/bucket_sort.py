"""Bucket sort: read symbols, then write them in ascending order.

    input    2  0  3  0  ‗  ‗  ‗  ‗
    target   ·  ·  ·  ·  0  0  2  3        (· is not scored)

Symbols are the tokens 0 … alphabet-1, the blank ‗ is the token alphabet. How often each symbol occurred is all that
a reader needs to hold: see `statewise.bounds`.

Source: Delétang et al., arXiv 2207.02098, bucket sort (5 symbols); Feng, Tung, Ahmed, Bengio, Hajimirsadeghi,
arXiv 2410.01201, appendix D and its code (10 symbols).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import Batch, Task, every_sequence, score_last


@dataclass(frozen=True)
class BucketSort(Task):
    """`size` symbols, uniform and independent, then as many blanks, answered by the sorted string.

    alphabet  number of symbols, at least 2

    >>> task = BucketSort(alphabet=4)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "bucket-sort"
    alphabet: int = 10

    def __post_init__(self) -> None:
        if self.alphabet < 2:
            raise UsageError(f"bucket-sort: alphabet is {self.alphabet}; it must be at least 2")

    def vocabulary(self, size: int) -> int:
        """The symbols and the blank."""
        return self.alphabet + 1

    def length(self, size: int) -> int:
        """The string and its blanks."""
        return 2 * size

    def cut(self, size: int) -> int:
        """After the string, before the first blank."""
        return size

    def num_words(self, size: int) -> int:
        """One word a symbol."""
        return size

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The string from the words, sorted."""
        symbols = torch.from_numpy(integers(words, self.alphabet))
        tokens = torch.cat([symbols, torch.full_like(symbols, self.alphabet)], dim=1)
        return score_last(tokens, symbols.sort(dim=1).values)

    def solve(self, batch: Batch) -> Tensor:
        """Count each symbol; the answer at i is how many symbols end at or before i in sorted order."""
        size = batch.tokens.shape[1] // 2
        ends = one_hot(batch.tokens[:, :size], self.alphabet).sum(1).cumsum(1)
        answers = torch.searchsorted(ends, torch.arange(size).repeat(len(ends), 1), right=True)
        return score_last(batch.tokens, answers).targets

    def chance(self, size: int) -> float:
        """Any one symbol, written everywhere, is right once in `alphabet`; who minds the place guesses better."""
        return 1 / self.alphabet

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string, with its blanks."""
        self.check_size(size)
        strings = every_sequence(self.alphabet, size)
        blanks = torch.full((size,), self.alphabet)
        return None if strings is None else (torch.cat([string, blanks]) for string in strings)

    def valid(self, tokens: Tensor) -> bool:
        """Symbols, then as many blanks."""
        size = tokens.numel() // 2
        string, blanks = tokens[:size], tokens[size:]
        return (
            size >= 1
            and tokens.numel() == 2 * size
            and bool(((string >= 0) & (string < self.alphabet)).all())
            and bool((blanks == self.alphabet).all())
        )
