"""Induction: one special token stands once in the sequence and once at its end: what followed it?

    input    2  0  !  3  1  2  !
    target   ·  ·  ·  ·  ·  ·  3        (· is not scored)

Symbols are the tokens 0 … alphabet-1, the trigger ! is the token alphabet. One symbol is all that a recurrent
model must carry, at any length: see `statewise.bounds`.

Source: Gu, Dao, arXiv 2312.00752, §4.1.2 (induction heads: 16 tokens, trained at length 256, tested from 2^6
to 2^20).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import MOST_INPUTS, Batch, Task, every_sequence, score_last


@dataclass(frozen=True)
class Induction(Task):
    """`size` uniform symbols, the trigger before one of them, which is drawn uniformly, and again at the end.

    alphabet  number of symbols besides the trigger, at least 2

    >>> task = Induction(alphabet=4)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "induction"
    alphabet: int = 15

    def __post_init__(self) -> None:
        if self.alphabet < 2:
            raise UsageError(f"induction: alphabet is {self.alphabet}; it must be at least 2")

    def vocabulary(self, size: int) -> int:
        """The symbols and the trigger."""
        return self.alphabet + 1

    def length(self, size: int) -> int:
        """The symbols and both triggers."""
        return size + 2

    def cut(self, size: int) -> int:
        """Between the triggers, where the first may be the last token read."""
        return max(2, size // 2)

    def num_words(self, size: int) -> int:
        """One word a symbol and one for the place of the trigger."""
        return size + 1

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The symbols from the first `size` words, the place from the last."""
        symbols = integers(words[:, :size], self.alphabet)
        place = integers(words[:, size:], size)
        tokens = np.full((len(words), size + 2), self.alphabet)
        # Row by row the symbols fill every place but the two triggers'.
        tokens[:, :-1][np.arange(size + 1) != place] = symbols.reshape(-1)
        answers = symbols[np.arange(len(words))[:, None], place]
        return score_last(torch.from_numpy(tokens), torch.from_numpy(answers))

    def solve(self, batch: Batch) -> Tensor:
        """The token after the first trigger."""
        triggers = (batch.tokens == self.alphabet).long().argmax(1, keepdim=True)
        return score_last(batch.tokens, batch.tokens.gather(1, triggers + 1)).targets

    def chance(self, size: int) -> float:
        """Any one symbol is right once in `alphabet`."""
        return 1 / self.alphabet

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string with the trigger before each of its symbols."""
        self.check_size(size)
        if self.alphabet**size * size > MOST_INPUTS:
            return None
        strings = every_sequence(self.alphabet, size)
        assert strings is not None
        trigger = torch.tensor([self.alphabet])
        return (torch.cat([s[:place], trigger, s[place:], trigger]) for s in strings for place in range(size))

    def valid(self, tokens: Tensor) -> bool:
        """Symbols and two triggers, one of them last, with a symbol at least between them."""
        triggers = (tokens == self.alphabet).nonzero().flatten().tolist()
        return (
            bool(((tokens >= 0) & (tokens <= self.alphabet)).all())
            and len(triggers) == 2
            and triggers[1] == tokens.numel() - 1
            and triggers[0] < triggers[1] - 1
        )
