"""c-gram retrieval: the last tokens are a gram that was seen before; which symbol followed it the first time?

    c = 3    place    0  1  2  3  4  5  6
             input    0  2  1  0  2  3  1   0  2
             target   ·  ·  ·  ·  ·  ·  ·   ·  1         (· is not scored)

Symbols are the tokens 0 … alphabet-1, which are also the answers; nothing marks where the string ends. The
gram always occurs in the string with a symbol after it, and where it occurs more than once the first occurrence counts.
Attention copies the symbols before each place and matches; a recurrent model must have kept a map from grams to
symbols: see `statewise.bounds`.

Source: Wen, Dang, Lyu, arXiv 2402.18510, §4 (the task of a theorem, on which nobody has published a training run;
its construction returns the first match); how strings and grams are drawn is ours.
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
class CGramRetrieval(Task):
    """`size` symbols, uniform and independent, then the first `gram − 1` symbols of a window at a uniform place.

    alphabet  number of symbols, at least 2
    gram      c, at least 2: the answer is the last symbol of a window of c; sizes are at least c

    >>> task = CGramRetrieval(alphabet=4, gram=3)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=20)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "c-gram-retrieval"
    alphabet: int = 16
    gram: int = 2

    def __post_init__(self) -> None:
        if self.alphabet < 2 or self.gram < 2:
            raise UsageError(
                f"c-gram-retrieval: alphabet is {self.alphabet} and gram is {self.gram}; both must be at least 2"
            )

    def check_size(self, size: int) -> None:
        """Raise a UsageError unless a whole window fits into the string."""
        if size < self.gram:
            raise UsageError(f"c-gram-retrieval: size is {size}; it must be an integer of at least {self.gram} (gram)")

    def vocabulary(self, size: int) -> int:
        """The symbols, which are also the answers."""
        return self.alphabet

    def length(self, size: int) -> int:
        """The string and all but the last symbol of a gram."""
        return size + self.gram - 1

    def cut(self, size: int) -> int:
        """After the string, before the gram."""
        return size

    def num_words(self, size: int) -> int:
        """One word a symbol and one for the place."""
        return size + 1

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The string from the first `size` words; the gram that stands at the place of the last word."""
        string, windows = integers(words[:, :size], self.alphabet), size - self.gram + 1
        rows, place = np.arange(len(words))[:, None], integers(words[:, size:], windows)
        asked = string[rows, place + np.arange(self.gram - 1)]
        matches = string[:, :windows] == asked[:, :1]
        for i in range(1, self.gram - 1):
            matches &= string[:, i : i + windows] == asked[:, i : i + 1]
        answers = string[rows, matches.argmax(axis=1)[:, None] + self.gram - 1]
        return score_last(torch.from_numpy(np.concatenate([string, asked], axis=1)), torch.from_numpy(answers))

    def solve(self, batch: Batch) -> Tensor:
        """Go through the string backwards and write down what follows the gram, so that the first match stays."""
        size = batch.tokens.shape[1] - self.gram + 1
        asked, answer = batch.tokens[:, size:], torch.zeros_like(batch.tokens[:, 0])
        for place in reversed(range(size - self.gram + 1)):
            window = batch.tokens[:, place : place + self.gram]
            matches = (window[:, :-1] - asked).abs().sum(1) == 0
            answer = torch.where(matches, window[:, -1], answer)
        return score_last(batch.tokens, answer[:, None]).targets

    def chance(self, size: int) -> float:
        """Renaming the symbols changes nothing, so any one of them is right once in `alphabet`."""
        return 1 / self.alphabet

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string with every gram that a symbol follows in it."""
        self.check_size(size)
        strings = every_sequence(self.alphabet, size)
        if strings is None:
            return None
        every = torch.stack(list(strings))
        # Each gram as one number; in ascending order, equal numbers are one gram of that string.
        numbers = (every.unfold(1, self.gram, 1)[:, :, :-1] * self._places()).sum(2).sort(1).values
        distinct = torch.ones_like(numbers, dtype=torch.bool)
        distinct[:, 1:] = numbers[:, 1:] != numbers[:, :-1]
        if int(distinct.sum()) > MOST_INPUTS:
            return None
        row, place = distinct.nonzero(as_tuple=True)
        grams = numbers[row, place, None] // self._places() % self.alphabet
        return iter(torch.cat([every[row], grams], 1).unbind())

    def valid(self, tokens: Tensor) -> bool:
        """Symbols, the last `gram − 1` of which occur, with a symbol after them, in what comes before them."""
        size = tokens.numel() - self.gram + 1
        if size < self.gram or not bool(((tokens >= 0) & (tokens < self.alphabet)).all()):
            return False
        windows = tokens[:size].unfold(0, self.gram, 1)[:, :-1]
        return bool((windows == tokens[size:]).all(1).any())

    def _places(self) -> Tensor:
        """What each symbol of a gram weighs where the gram is written as one number."""
        return torch.tensor([self.alphabet**place for place in range(self.gram - 1)])
