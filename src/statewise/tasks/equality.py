"""Equality: is the string after the separator the string before it?

    input         2  0  1  |  2  0  1
    random        ·  ·  ·  ·  ·  ·  yes     strings are equal or independent        (· is not scored)
    one-diff.     ·  ·  ·  ·  ·  ·  yes     strings are equal or differ in one place

    input         2  0  1  |  2  0
    next-char.    ·  ·  ·  2  0  1          which symbol keeps the strings equal

Symbols are the tokens 0 … alphabet-1, the separator is the token alphabet, and the answers no and yes are the
two tokens after it. What a recurrent model must hold belongs to the form: a checksum is enough where unequal
strings differ in one place, the whole string is needed otherwise: see `statewise.bounds`.

Source: Bhattamishra, Hahn, Blunsom, Kanade, arXiv 2406.09347, §6 and appendix (EQ, random, one-difference and
next-character prediction). There the last form is scored as a set of legal symbols at every prefix; before
the separator every symbol is legal, so only what follows it is asked here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import MOST_INPUTS, Batch, Task, every_sequence, score_last

FORMS = ("random", "one-difference", "next-character")


@dataclass(frozen=True)
class Equality(Task):
    """`size` uniform symbols, a separator, and `size` symbols more, in half of the examples the same ones.

    form      random: the second string is the first with probability 1/2, and independent of it otherwise.
              one-difference: otherwise one symbol, at a uniform place, is another one.
              next-character: the second string is the first, and each of its symbols is to be predicted
    alphabet  number of symbols, at least 2

    >>> task = Equality(form="one-difference", alphabet=4)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "equality"
    form: str = "random"
    alphabet: int = 2

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UsageError(f"equality: form is {self.form!r}; it must be one of {', '.join(FORMS)}")
        if self.alphabet < 2:
            raise UsageError(f"equality: alphabet is {self.alphabet}; it must be at least 2")

    def vocabulary(self, size: int) -> int:
        """The symbols, the separator and, where they are asked for, the two answers."""
        return self.alphabet + (1 if self._predicts else 3)

    def length(self, size: int) -> int:
        """Both strings and the separator; the last symbol that is predicted need not be read."""
        return 2 * size + (0 if self._predicts else 1)

    def cut(self, size: int) -> int:
        """After the first string."""
        return size

    def num_words(self, size: int) -> int:
        """A word for each symbol of both strings, one for the label, two for the difference."""
        return 2 * size + 3

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The first string from the first words, the second from it or from the rest, as the label says."""
        first = integers(words[:, :size], self.alphabet)
        separator = np.full((len(words), 1), self.alphabet)
        if self._predicts:
            tokens = np.concatenate([first, separator, first[:, :-1]], axis=1)
            return score_last(torch.from_numpy(tokens), torch.from_numpy(first))
        other = integers(words[:, size : 2 * size], self.alphabet)
        if self.form == "one-difference":
            places, shifts = integers(words[:, -2:-1], size), integers(words[:, -1:], self.alphabet - 1)
            other = (first + (np.arange(size) == places) * (1 + shifts)) % self.alphabet
        second = np.where(integers(words[:, 2 * size : 2 * size + 1], 2) == 1, first, other)
        equal = (first == second).all(axis=1, keepdims=True)
        tokens = np.concatenate([first, separator, second], axis=1)
        return score_last(torch.from_numpy(tokens), torch.from_numpy(self.alphabet + 1 + equal))

    def solve(self, batch: Batch) -> Tensor:
        """Count the mismatches of the two strings, or repeat the first."""
        tokens = batch.tokens
        size = tokens.shape[1] // 2
        if self._predicts:
            return score_last(tokens, tokens[:, :size].clone()).targets
        mismatches = (tokens[:, :size] != tokens[:, size + 1 :]).sum(1, keepdim=True)
        return score_last(tokens, self.alphabet + 1 + (mismatches == 0).long()).targets

    def chance(self, size: int) -> float:
        """Any one symbol; or yes, since independent strings too are equal once in alphabet^size."""
        if self._predicts:
            return 1 / self.alphabet
        return 0.5 if self.form == "one-difference" else 0.5 + 0.5 / self.alphabet**size

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every first string with every second one that its form can show."""
        self.check_size(size)
        seconds = {"random": self.alphabet**size, "one-difference": 1 + size * (self.alphabet - 1), "next-character": 1}
        if self.alphabet**size * seconds[self.form] > MOST_INPUTS:
            return None
        strings = every_sequence(self.alphabet, size)
        assert strings is not None
        separator = torch.tensor([self.alphabet])
        return (torch.cat([one, separator, other]) for one in strings for other in self._seconds(one))

    def valid(self, tokens: Tensor) -> bool:
        """Symbols, a separator in the middle, and a second string that the form can show."""
        size = tokens.numel() // 2
        if size < 1 or tokens.numel() != self.length(size) or int(tokens[size]) != self.alphabet:
            return False
        first, second = tokens[:size], tokens[size + 1 :]
        symbols = torch.cat([first, second])
        if not bool(((symbols >= 0) & (symbols < self.alphabet)).all()):
            return False
        most = {"random": size, "one-difference": 1, "next-character": 0}[self.form]
        return int((first[: second.numel()] != second).sum()) <= most

    @property
    def _predicts(self) -> bool:
        return self.form == "next-character"

    def _seconds(self, first: Tensor) -> Iterator[Tensor]:
        size = first.numel()
        if self.form == "random":
            yield from map(torch.tensor, product(range(self.alphabet), repeat=size))
            return
        yield first[: size - self._predicts]
        if self.form == "one-difference":
            for place, shift in product(range(size), range(1, self.alphabet)):
                second = first.clone()
                second[place] = (second[place] + shift) % self.alphabet
                yield second
