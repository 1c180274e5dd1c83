"""Majority: which symbol is the most frequent?

    input    2  0  2  1  0        0 and 2 occur twice
    target   ·  ·  ·  ·  2        (· is not scored; of equally frequent symbols the largest)

Source: Feng, Tung, Ahmed, Bengio, Hajimirsadeghi, arXiv 2410.01201, appendix D and its code (63 symbols, ties to the
largest); the task is from the formal languages of Beck et al., arXiv 2405.04517, Figure 4.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import comb
from typing import ClassVar

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.multinomial import share_capped
from statewise.tasks.task import Batch, Task, every_sequence, score_last


@dataclass(frozen=True)
class Majority(Task):
    """`size` symbols, uniform and independent; after the last, the most frequent one.

    alphabet  number of symbols, at least 2

    >>> task = Majority(alphabet=4)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "majority"
    alphabet: int = 63

    def __post_init__(self) -> None:
        if self.alphabet < 2:
            raise UsageError(f"majority: alphabet is {self.alphabet}; it must be at least 2")

    def vocabulary(self, size: int) -> int:
        """The symbols, which are also the answers."""
        return self.alphabet

    def length(self, size: int) -> int:
        """One token a symbol."""
        return size

    def cut(self, size: int) -> int:
        """Half way; of two symbols the worst cut."""
        return (size + 1) // 2

    def num_words(self, size: int) -> int:
        """One word a symbol."""
        return size

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The string from the words; counts, with a symbol's own id to break ties."""
        symbols = torch.from_numpy(integers(words, self.alphabet))
        counts = torch.zeros(len(symbols), self.alphabet, dtype=torch.int64)
        counts.scatter_add_(1, symbols, torch.ones_like(symbols))
        ranked = self.alphabet * counts + torch.arange(self.alphabet)
        return score_last(symbols, ranked.argmax(1, keepdim=True))

    def solve(self, batch: Batch) -> Tensor:
        """In the sorted string the longest run wins, the last of several."""
        runs = batch.tokens.sort(dim=1).values
        best, length, longest = runs[:, 0].clone(), torch.ones_like(runs[:, 0]), torch.ones_like(runs[:, 0])
        for i in range(1, runs.shape[1]):
            length = torch.where(runs[:, i] == runs[:, i - 1], length + 1, 1)
            wins = length >= longest
            best, longest = torch.where(wins, runs[:, i], best), torch.where(wins, length, longest)
        return score_last(batch.tokens, best[:, None]).targets

    def chance(self, size: int) -> float:
        """How often the largest symbol, which wins every tie, is the answer."""
        return _last_wins(size, self.alphabet)

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string."""
        self.check_size(size)
        return every_sequence(self.alphabet, size)

    def valid(self, tokens: Tensor) -> bool:
        """Any non-empty string of symbols."""
        return tokens.numel() >= 1 and bool(((tokens >= 0) & (tokens < self.alphabet)).all())


@cache
def _last_wins(size: int, alphabet: int) -> float:
    """Σ_c P(the last symbol occurs c times) · P(none of the others occurs more often)."""
    strings, others = alphabet**size, alphabet - 1
    chance = 0.0
    for count in range(size + 1):
        occurs: float = comb(size, count) * others ** (size - count) / strings
        # What is left out is far below the rounding of the sum.
        if occurs > 1e-24:
            chance += occurs * share_capped(size - count, others, count)
    return chance
