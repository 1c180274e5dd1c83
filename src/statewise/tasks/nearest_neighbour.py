"""Nearest neighbour: points with labels, then points without: which label has the nearest one?

    points of three bits and their labels     query
    1 1 0 A    0 0 1 B    1 1 1 B             0 1 0
    · · · ·    · · · ·    · · · ·             · · A     (· is not scored; 010 is one bit from 110, two from others)

The bits are the tokens 0 and 1, the labels the tokens after them. A label is given once and cannot be taken
back: of equal points the first counts. Of distinct points at one distance the smallest counts, as a binary
number, so that the answer depends on the set of points alone. See `statewise.bounds`.

Source: Bhattamishra, Hahn, Blunsom, Kanade, arXiv 2406.09347, §6 (NSTNB); points of the hypercube as in
Bhattamishra, Patel, Blunsom, Kanade, arXiv 2310.03016. There a point is one vector and queries join the
labelled points; here it is a token for each bit, and queries stay without a label.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import MOST_INPUTS, UNSCORED, Batch, Task, every_sequence

MOST_BITS = 32


@dataclass(frozen=True)
class NearestNeighbour(Task):
    """`size` uniform points with independent uniform labels, then `queries` uniform points.

    bits     of a point, in [1, 32]; the distance is the number of bits that differ
    labels   number of labels, at least 2
    queries  number of points to be labelled, at least 1

    >>> task = NearestNeighbour(bits=6)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "nearest-neighbour"
    bits: int = 8
    labels: int = 2
    queries: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MOST_BITS:
            raise UsageError(f"nearest-neighbour: bits is {self.bits}; it must be in [1, {MOST_BITS}]")
        if self.labels < 2 or self.queries < 1:
            raise UsageError(
                f"nearest-neighbour: labels is {self.labels} and queries is {self.queries}; "
                "they must be at least 2 and 1"
            )

    def vocabulary(self, size: int) -> int:
        """The two bits and the labels."""
        return 2 + self.labels

    def length(self, size: int) -> int:
        """The bits of all points and the labels of some."""
        return size * (self.bits + 1) + self.queries * self.bits

    def cut(self, size: int) -> int:
        """After the labelled points, before the first query."""
        return size * (self.bits + 1)

    def num_words(self, size: int) -> int:
        """A word for each point and one for each label."""
        return 2 * size + self.queries

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Points are binary numbers; the smallest (distance, point, place) gives the label."""
        points, queries = integers(words[:, :size], 2**self.bits), integers(words[:, 2 * size :], 2**self.bits)
        labels = 2 + integers(words[:, size : 2 * size], self.labels)
        places = np.arange(self.bits)[::-1]
        differ = (queries[:, :, None] ^ points[:, None, :])[..., None] >> places & 1
        nearest = ((differ.sum(axis=3) << self.bits) | points[:, None, :]).argmin(axis=2)
        shown = np.concatenate([points[:, :, None] >> places & 1, labels[:, :, None]], axis=2)
        asked = queries[:, :, None] >> places & 1
        tokens = np.hstack([part.reshape(len(words), np.prod(part.shape[1:], dtype=int)) for part in (shown, asked)])
        return self._score(torch.from_numpy(tokens), torch.from_numpy(np.take_along_axis(labels, nearest, axis=1)))

    def solve(self, batch: Batch) -> Tensor:
        """Read the points one by one; a point that is nearer, or as near and smaller, replaces the one kept."""
        tokens = batch.tokens
        size = (tokens.shape[1] - self.queries * self.bits) // (self.bits + 1)
        shown = tokens[:, : size * (self.bits + 1)].view(-1, size, self.bits + 1)
        asked = tokens[:, size * (self.bits + 1) :].reshape(-1, self.queries, self.bits)
        numbers = (shown[:, :, :-1] * 2 ** torch.arange(self.bits - 1, -1, -1)).sum(2)
        least = torch.full(asked.shape[:2], self.bits + 1)
        kept, answers = torch.zeros_like(least), torch.zeros_like(least)
        for i in range(size):
            apart = (asked != shown[:, i : i + 1, :-1]).sum(2)
            number, label = numbers[:, i : i + 1].expand_as(apart), shown[:, i : i + 1, -1].expand_as(apart)
            better = (apart < least) | ((apart == least) & (number < kept))
            least, kept, answers = (
                torch.where(better, new, old) for new, old in ((apart, least), (number, kept), (label, answers))
            )
        return self._score(tokens, answers).targets

    def chance(self, size: int) -> float:
        """Any one label is right once in `labels`."""
        return 1 / self.labels

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every list of labelled points with every list of queries."""
        self.check_size(size)
        if 2 ** (self.bits * (size + self.queries)) * self.labels**size > MOST_INPUTS:
            return None
        points, labels = every_sequence(2, self.bits * (size + self.queries)), every_sequence(self.labels, size)
        assert points is not None
        assert labels is not None
        named = [2 + label[:, None] for label in labels]
        shown = size * self.bits
        return (
            torch.cat([torch.cat([p[:shown].view(size, self.bits), label], dim=1).flatten(), p[shown:]])
            for p in points
            for label in named
        )

    def valid(self, tokens: Tensor) -> bool:
        """Bits with a label after each point, then the bits of the queries."""
        size, rest = divmod(tokens.numel() - self.queries * self.bits, self.bits + 1)
        if rest or size < 1:
            return False
        shown = tokens[: size * (self.bits + 1)].reshape(size, self.bits + 1)
        bits = torch.cat([shown[:, :-1].flatten(), tokens[size * (self.bits + 1) :]])
        labels = shown[:, -1]
        return bool(((bits == 0) | (bits == 1)).all()) and bool(((labels >= 2) & (labels < 2 + self.labels)).all())

    def _score(self, tokens: Tensor, answers: Tensor) -> Batch:
        """Score the last bit of each query: answers (B, queries)."""
        targets = torch.full_like(tokens, UNSCORED)
        asked = self.queries * self.bits
        targets[:, tokens.shape[1] - asked + self.bits - 1 :: self.bits] = answers
        return Batch(tokens, targets, targets != UNSCORED)
