"""Modular arithmetic: the value of a sum of numbers, or of a sum of products.

    input    1  +  2  ×  4  −  3         modulo 5, size 4
    target   ·  ·  ·  ·  ·  ·  1         (· is not scored; 1 + 2·4 − 3 = 6)

Numbers are the tokens 0 … modulus-1, then come + and − and, with `times`, ×, which binds more tightly. The size is
the number of numbers, so that every size exists; the published lengths count operators too: 2·size − 1.

Source: Delétang et al., arXiv 2207.02098, and its code: modular arithmetic without brackets, modulus 5.
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
from statewise.tasks.task import MOST_INPUTS, Batch, Task, score_last

Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
PLUS, MINUS, TIMES = range(3)


@dataclass(frozen=True)
class ModularArithmetic(Task):
    """`size` uniform numbers with uniform operators between them; at the last number, the value.

    modulus  at least 2
    times    whether × is among the operators

    >>> task = ModularArithmetic(modulus=5, times=True)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "modular-arithmetic"
    modulus: int = 5
    times: bool = False

    def __post_init__(self) -> None:
        if self.modulus < 2:
            raise UsageError(f"modular-arithmetic: modulus is {self.modulus}; it must be at least 2")

    def vocabulary(self, size: int) -> int:
        """The numbers, which are also the answers, and the operators."""
        return self.modulus + self._operators

    def length(self, size: int) -> int:
        """The numbers and the operators between them."""
        return 2 * size - 1

    def cut(self, size: int) -> int:
        """After the last operator, which still waits for its number."""
        return 2 * size - 2

    def num_words(self, size: int) -> int:
        """One word a token."""
        return self.length(size)

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Numbers from the even words, operators from the odd ones; one pass from left to right."""
        numbers, operators = integers(words[:, ::2], self.modulus), integers(words[:, 1::2], self._operators)
        tokens = np.empty(words.shape, np.int64)
        tokens[:, ::2], tokens[:, 1::2] = numbers, self.modulus + operators
        return score_last(torch.from_numpy(tokens), torch.from_numpy(self._values(numbers, operators)))

    def solve(self, batch: Batch) -> Tensor:
        """From right to left: a product grows until the operator before it says where it goes."""
        numbers, operators = batch.tokens[:, ::2], batch.tokens[:, 1::2] - self.modulus
        total, factor = torch.zeros_like(numbers[:, 0]), torch.ones_like(numbers[:, 0])
        for i in reversed(range(1, numbers.shape[1])):
            factor = factor * numbers[:, i] % self.modulus
            total = total + torch.where(operators[:, i - 1] == PLUS, factor, 0)
            total = total - torch.where(operators[:, i - 1] == MINUS, factor, 0)
            factor = torch.where(operators[:, i - 1] == TIMES, factor, 1)
        value = (total + factor * numbers[:, 0]) % self.modulus
        return score_last(batch.tokens, value[:, None]).targets

    def chance(self, size: int) -> float:
        """How likely the likeliest value is: 1/modulus without ×, which makes products of 0 likely."""
        if not self.times:
            return 1 / self.modulus
        # joint[s, p] is the probability of the closed sum s and the open product p.
        modulus = self.modulus
        joint = np.zeros((modulus, modulus))
        joint[0] = 1 / modulus
        for _ in range(size - 1):
            opened = np.repeat(2 / 3 * _closed(joint)[:, None] / modulus, modulus, axis=1)
            for p, factor in product(range(modulus), repeat=2):
                opened[:, p * factor % modulus] += joint[:, p] / (3 * modulus)
            joint = opened
        return float(_closed(joint).max())

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every expression."""
        self.check_size(size)
        if self.modulus**size * self._operators ** (size - 1) > MOST_INPUTS:
            return None
        numbers, operators = range(self.modulus), range(self.modulus, self.modulus + self._operators)
        places = [operators if t % 2 else numbers for t in range(self.length(size))]
        return (torch.tensor(tokens) for tokens in product(*places))

    def valid(self, tokens: Tensor) -> bool:
        """Numbers at even places, operators between them."""
        numbers, operators = tokens[::2], tokens[1::2] - self.modulus
        return (
            tokens.numel() % 2 == 1
            and bool(((numbers >= 0) & (numbers < self.modulus)).all())
            and bool(((operators >= 0) & (operators < self._operators)).all())
        )

    @property
    def _operators(self) -> int:
        return 3 if self.times else 2

    def _values(self, numbers: Ints, operators: Ints) -> Ints:
        """The values (B, 1) of numbers (B, N) joined by operators (B, N-1)."""
        total, term = np.zeros_like(numbers[:, 0]), numbers[:, 0]
        for i in range(operators.shape[1]):
            operator, number = operators[:, i], numbers[:, i + 1]
            total = np.where(operator == TIMES, total, total + term)
            term = np.where(operator == TIMES, term * number, np.where(operator == MINUS, -number, number))
            total, term = total % self.modulus, term % self.modulus
        values: Ints = ((total + term) % self.modulus)[:, None]
        return values


def _closed(joint: Floats) -> Floats:
    """The distribution of s + p (mod m), from the joint one of s and p (m, m)."""
    moved = [np.roll(joint[:, p], p) for p in range(len(joint))]
    total: Floats = np.sum(moved, axis=0)
    return total
