"""Majority count: how often does the most frequent symbol occur?

    input    2  0  2  1  0        0 and 2 occur twice
    target   ·  ·  ·  ·  2        (· is not scored)

Symbols are the tokens 0 … alphabet-1, and the answer c is the token c. Answers grow with the size, so longer strings
have answers that were never trained.

Source: Feng, Tung, Ahmed, Bengio, Hajimirsadeghi, arXiv 2410.01201, appendix D and its code (63 symbols); the
task is from the formal languages of Beck et al., arXiv 2405.04517, Figure 4.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.multinomial import share_capped
from statewise.tasks.task import Batch, Task, every_sequence, score_last


@dataclass(frozen=True)
class MajorityCount(Task):
    """`size` symbols, uniform and independent; after the last, the largest count.

    alphabet  number of symbols, at least 2

    >>> task = MajorityCount(alphabet=4)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "majority-count"
    alphabet: int = 63

    def __post_init__(self) -> None:
        if self.alphabet < 2:
            raise UsageError(f"majority-count: alphabet is {self.alphabet}; it must be at least 2")

    def vocabulary(self, size: int) -> int:
        """The symbols and the counts up to `size`, which share ids."""
        return max(self.alphabet, size + 1)

    def length(self, size: int) -> int:
        """One token a symbol."""
        return size

    def cut(self, size: int) -> int:
        """Before the last symbol for two symbols, where each count differs; else half way, by the lower bound."""
        return size - 1 if self.alphabet == 2 else size // 2

    def num_words(self, size: int) -> int:
        """One word a symbol."""
        return size

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The string from the words, and its largest count."""
        symbols = torch.from_numpy(integers(words, self.alphabet))
        counts = torch.zeros(len(symbols), self.alphabet, dtype=torch.int64)
        counts.scatter_add_(1, symbols, torch.ones_like(symbols))
        return score_last(symbols, counts.amax(1, keepdim=True))

    def solve(self, batch: Batch) -> Tensor:
        """The longest distance over which a symbol of the sorted string stays the same."""
        ordered = batch.tokens.sort(dim=1).values
        place = torch.arange(1, ordered.shape[1] + 1)
        starts = torch.searchsorted(ordered, ordered)
        return score_last(batch.tokens, (place - starts).amax(1, keepdim=True)).targets

    def chance(self, size: int) -> float:
        """How often the likeliest largest count is the answer."""
        return _likeliest(size, self.alphabet)

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string."""
        self.check_size(size)
        return every_sequence(self.alphabet, size)

    def valid(self, tokens: Tensor) -> bool:
        """Any non-empty string of symbols."""
        return tokens.numel() >= 1 and bool(((tokens >= 0) & (tokens < self.alphabet)).all())


@cache
def _likeliest(size: int, alphabet: int) -> float:
    """The largest probability of a largest count: the differences of P(all counts are at most c)."""
    best, below = 0.0, 0.0
    for count in range(1, size + 1):
        up_to = share_capped(size, alphabet, count)
        best, below = max(best, up_to - below), up_to
        # No later count can be likelier than what is left.
        if 1 - up_to < best:
            break
    return best
