"""Noisy recall: keys return, each with its first value, among tokens that mean nothing.

    input    k1 v0  n3 n0  k4 v2  k1 v0  n1 n1  k4
    target   ·  ·   ·  ·   ·  ·   v0 ·   ·  ·   v2        (· is not scored)

A key is scored wherever it returns, before its value is shown again. Keys are the tokens 0 … keys-1, then come
the values, then the noise. A table of all keys is what a recurrent model needs: see `statewise.bounds`.

Source: Poli et al., arXiv 2403.17844 (MAD), noisy in-context recall, whose base setting is keys=8, values=8,
noise_tokens=16, noise=0.2 and 63 slots; with noise=0 it is its in-context recall. There the loss in training is
on every token; here, as in its test, keys that return are scored and nothing else.
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
from statewise.tasks.draws import uniforms
from statewise.tasks.task import MOST_INPUTS, UNSCORED, Batch, Task


@dataclass(frozen=True)
class NoisyRecall(Task):
    """`size` slots, each with a uniform key and its value or with two tokens of noise, then a key that was shown.

    keys          number of keys, at least 1
    values        number of values, at least 2; each key has a uniform one in each example
    noise_tokens  number of noise tokens, at least 1
    noise         probability that a slot is noise, in [0, 1); one slot, drawn uniformly, never is

    The last key is that of one of the slots that are not noise, drawn uniformly.

    >>> task = NoisyRecall()
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "noisy-recall"
    keys: int = 8
    values: int = 8
    noise_tokens: int = 16
    noise: float = 0.2

    def __post_init__(self) -> None:
        for field, least in (("keys", 1), ("values", 2), ("noise_tokens", 1)):
            if getattr(self, field) < least:
                raise UsageError(f"noisy-recall: {field} is {getattr(self, field)}; it must be at least {least}")
        if not 0 <= self.noise < 1:
            raise UsageError(f"noisy-recall: noise is {self.noise}; it must be in [0, 1)")

    def vocabulary(self, size: int) -> int:
        """The keys, the values and the noise."""
        return self.keys + self.values + self.noise_tokens

    def length(self, size: int) -> int:
        """Two tokens a slot, and the last key."""
        return 2 * size + 1

    def cut(self, size: int) -> int:
        """After the slots, before the last key."""
        return 2 * size

    def num_words(self, size: int) -> int:
        """Five words a slot, one for the slot without noise, one for the last key."""
        return 5 * size + 2

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Keys, values and noise for every slot; a key takes the value of the first slot that has it."""
        key_words, value_words, kind_words, noise_words = np.split(words[:, : 5 * size], [size, 2 * size, 3 * size], 1)
        keys, values = integers(key_words, self.keys), self.keys + integers(value_words, self.values)
        kept = np.arange(size) == integers(words[:, 5 * size : 5 * size + 1], size)
        noisy = (uniforms(kind_words) < self.noise) & ~kept
        # Slots of noise have keys of their own, which no other slot shares.
        marks = np.where(noisy, -1 - np.arange(size), keys)
        first = (marks[:, :, None] == marks[:, None, :]).argmax(axis=2)
        values = np.take_along_axis(values, first, axis=1)
        # The slot of the last key: as many slots in as its word says, of those that are not noise.
        rank = words[:, 5 * size + 1 :] % (~noisy).sum(axis=1, keepdims=True).astype(np.uint64)
        asked = ((~noisy).cumsum(axis=1) > rank.astype(np.int64)).argmax(axis=1, keepdims=True)

        pairs = np.stack([keys, values], axis=2).reshape(len(words), 2 * size)
        noise = self.keys + self.values + integers(noise_words, self.noise_tokens)
        tokens = np.hstack([np.where(noisy.repeat(2, axis=1), noise, pairs), np.take_along_axis(keys, asked, axis=1)])
        targets = np.full_like(tokens, UNSCORED)
        targets[:, 0:-1:2] = np.where(first < np.arange(size), values, UNSCORED)
        targets[:, -1:] = np.take_along_axis(values, asked, axis=1)
        scored = targets != UNSCORED
        return Batch(torch.from_numpy(tokens), torch.from_numpy(targets), torch.from_numpy(scored))

    def solve(self, batch: Batch) -> Tensor:
        """Read slot by slot with a table of the keys seen so far."""
        tokens = batch.tokens
        table = torch.full((len(tokens), self.keys + 1), UNSCORED)
        targets = torch.full_like(tokens, UNSCORED)
        for t in range(0, tokens.shape[1], 2):
            # Noise is looked up in the last column, which stays empty.
            keys = tokens[:, t : t + 1].clamp(max=self.keys)
            known = table.gather(1, keys)
            targets[:, t : t + 1] = known
            if t + 1 < tokens.shape[1]:
                new = (known == UNSCORED) & (keys < self.keys)
                table.scatter_(1, keys, torch.where(new, tokens[:, t + 1 : t + 2], known))
        return targets

    def chance(self, size: int) -> float:
        """Any one value is right once in `values`."""
        return 1 / self.values

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every list of slots, with every key that it shows."""
        self.check_size(size)
        return None if self._num_inputs(size) > MOST_INPUTS else self._inputs(size)

    def valid(self, tokens: Tensor) -> bool:
        """Slots of one key with one value or of noise, not all of noise, then a key that was shown."""
        row = tokens.tolist()
        table: dict[int, int] = {}
        noise = range(self.keys + self.values, self.vocabulary(0)) if self.noise else range(0)
        for key, value in zip(row[0:-1:2], row[1::2], strict=False):
            if key in noise and value in noise:
                continue
            known = 0 <= key < self.keys <= value < self.keys + self.values
            if not known or table.setdefault(key, value) != value:
                return False
        return len(row) % 2 == 1 and row[-1] in table

    def _num_inputs(self, size: int) -> int:
        return num_lists(size, self.keys, self.values, self.noise_tokens**2 if self.noise else 0)

    def _inputs(self, size: int) -> Iterator[Tensor]:
        noise = list(product(range(self.keys + self.values, self.vocabulary(size)), repeat=2)) if self.noise else []

        def endings(left: int, table: dict[int, int]) -> Iterator[list[int]]:
            if not left:
                yield from ([key] for key in table)
                return
            for slot in noise:
                yield from ([*slot, *rest] for rest in endings(left - 1, table))
            for key in range(self.keys):
                for value in [table[key]] if key in table else range(self.keys, self.keys + self.values):
                    yield from ([key, value, *rest] for rest in endings(left - 1, {**table, key: value}))

        return map(torch.tensor, endings(size, {}))


def num_lists(size: int, keys: int, values: int, others: int) -> int:
    """Lists of `size` slots in which every key keeps its value, with one of their keys after them.

    others  what a slot may hold that is neither key nor value

    >>> num_lists(1, keys=3, values=2, others=5), num_lists(2, keys=1, values=2, others=5)
    (6, 22)
    """
    counts = [1] + [0] * size  # of the lists so far, by how many keys they show
    for _ in range(size):
        more = [0, *(count * max(0, keys - seen) * values for seen, count in enumerate(counts[:-1]))]
        counts = [count * (others + seen) + new for seen, (count, new) in enumerate(zip(counts, more, strict=True))]
    return sum(count * seen for seen, count in enumerate(counts))
