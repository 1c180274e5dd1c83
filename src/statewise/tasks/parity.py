"""Parity: how many ones so far, odd or even.

    input    1  0  1  1
    target   1  1  0  1        every prefix
    target   ·  ·  ·  1        the last token only (· is not scored)

One bit of state is enough and a GRU finds it; a stack of layers with non-negative decay, finite precision and
no positions cannot be right at every length: see `statewise.bounds`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from statewise.core.random import Words, integers
from statewise.tasks.task import Batch, Task, every_sequence, score_last


@dataclass(frozen=True)
class Parity(Task):
    """`size` fair bits; the answer is the sum modulo 2.

    every_prefix  score the running parity at every token (dense supervision), or only at the last

    >>> batch = Parity().sample(torch.Generator().manual_seed(0), batch_size=1, size=5)
    >>> bool((batch.targets == batch.tokens.cumsum(1) % 2).all())
    True
    """

    name: ClassVar[str] = "parity"
    every_prefix: bool = True

    def vocabulary(self, size: int) -> int:
        """The two bits, which are also the answers."""
        return 2

    def length(self, size: int) -> int:
        """One token a bit."""
        return size

    def cut(self, size: int) -> int:
        """Half way; every cut asks for one bit."""
        return size // 2

    def num_words(self, size: int) -> int:
        """One word a bit."""
        return size

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The bits from the words, the answers from the rule."""
        tokens = torch.from_numpy(integers(words, 2))
        return self._score(tokens)

    def solve(self, batch: Batch) -> Tensor:
        """Running sums modulo 2."""
        return self._score(batch.tokens).targets

    def chance(self, size: int) -> float:
        """Either answer is right half of the time."""
        return 0.5

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string of bits."""
        self.check_size(size)
        return every_sequence(2, size)

    def valid(self, tokens: Tensor) -> bool:
        """Any non-empty string of bits."""
        return tokens.numel() >= 1 and bool(((tokens == 0) | (tokens == 1)).all())

    def _score(self, tokens: Tensor) -> Batch:
        answers = tokens.cumsum(1) % 2
        return score_last(tokens, answers if self.every_prefix else answers[:, -1:])
