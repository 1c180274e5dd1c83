"""Permutations: the word problem of a finite group, whose running product is asked for at every token.

    group S3     0 = 012   1 = 021   2 = 102   3 = 120   4 = 201   5 = 210

    input        2    1    3    1
    as images  102  021  120  021
    product    102  201  012  021
    target       2    4    0    1

Token g is the g-th element: of S or A, permutations in the order of their images, of which 0 is the identity; of
Z, the residues. The product acts in the order of reading: first 102, then 021, takes 0 to 1 to 2. One element
is all the state that is needed; S5 and A5 are the groups whose word problem is complete for NC1.

Source: Merrill, Petty, Sabharwal 2024, arXiv 2404.08819 (S5 in its theorems, A5 and Z60 among its experiments), and
its code, jopetty/word-problem: tokens are uniform elements of the group, not generators, and every prefix is tagged
with its product.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import Batch, Task, every_sequence, score_last

Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

DEGREES = {"S": (2, 6), "A": (3, 6), "Z": (2, 1024)}


@dataclass(frozen=True)
class Permutations(Task):
    """`size` elements of a group, uniform and independent; the answers are the products of the prefixes.

    group  S2 … S6 (symmetric), A3 … A6 (alternating, the even permutations) or Z2 … Z1024 (sums modulo m)

    >>> task = Permutations(group="Z60")
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=4, size=8)
    >>> bool((batch.targets == batch.tokens.cumsum(1) % 60).all())
    True
    """

    name: ClassVar[str] = "permutations"
    group: str = "S5"

    def __post_init__(self) -> None:
        match = re.fullmatch("([SAZ])([1-9][0-9]{0,3})", self.group)
        if match:
            least, most = DEGREES[match[1]]
        if not match or not least <= int(match[2]) <= most:
            raise UsageError(f"permutations: group is {self.group!r}; it must be one of S2 … S6, A3 … A6, Z2 … Z1024")

    @property
    def order(self) -> int:
        """How many elements the group has."""
        degree = int(self.group[1:])
        return {"S": math.factorial(degree), "A": math.factorial(degree) // 2, "Z": degree}[self.group[0]]

    def vocabulary(self, size: int) -> int:
        """The elements, which are also the answers."""
        return self.order

    def length(self, size: int) -> int:
        """One token an element."""
        return size

    def cut(self, size: int) -> int:
        """Half way; every cut asks for one element."""
        return size // 2

    def num_words(self, size: int) -> int:
        """One word an element."""
        return size

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The elements from the words, the products from the multiplication table."""
        tokens, table = integers(words, self.order), _table(self.group)
        products = tokens.copy()
        for t in range(1, size):
            products[:, t] = table[products[:, t - 1], tokens[:, t]]
        return score_last(torch.from_numpy(tokens), torch.from_numpy(products))

    def solve(self, batch: Batch) -> Tensor:
        """Add residues, or let each permutation act on where the ones before it have moved everything."""
        if self.group[0] == "Z":
            return score_last(batch.tokens, batch.tokens.cumsum(1) % self.order).targets
        moves = _images(self.group)[batch.tokens.numpy()]
        moved = np.empty_like(moves)
        for t in range(moves.shape[1]):
            moved[:, t] = np.take_along_axis(moves[:, t], moved[:, t - 1], axis=1) if t else moves[:, t]
        return score_last(batch.tokens, torch.from_numpy(_numbers(self.group, moved))).targets

    def chance(self, size: int) -> float:
        """A product of uniform elements is uniform."""
        return 1 / self.order

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every sequence of elements."""
        self.check_size(size)
        return every_sequence(self.order, size)

    def valid(self, tokens: Tensor) -> bool:
        """Any non-empty sequence of elements."""
        return tokens.numel() >= 1 and bool(((tokens >= 0) & (tokens < self.order)).all())


@cache
def _images(group: str) -> Ints:
    """Each element of a group S or A as the images of 0 … degree-1: (order, degree), in ascending order."""
    every = permutations(range(int(group[1:])))
    return np.array([images for images in every if group[0] == "S" or _is_even(images)], np.int64)


def _is_even(images: tuple[int, ...]) -> bool:
    return sum(first > second for first, second in combinations(images, 2)) % 2 == 0


def _numbers(group: str, images: Ints) -> Ints:
    """Which element each row of images is: (…, degree) to (…)."""
    places = images.shape[-1] ** np.arange(images.shape[-1])[::-1]
    return np.searchsorted(_images(group) @ places, images @ places)


@cache
def _table(group: str) -> Ints:
    """The element "first row, then column": (order, order)."""
    if group[0] == "Z":
        residues = np.arange(int(group[1:]))
        return (residues[:, None] + residues) % len(residues)
    images = _images(group)
    return np.stack([_numbers(group, images[:, first]) for first in images])
