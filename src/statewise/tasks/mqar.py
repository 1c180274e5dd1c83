"""Multi-query associative recall: pairs of keys and values first, then every key once more, in any order.

    pairs           queries, with filler between them
    k1 v5  k3 v2    _  _  k3 _        input, blank filler
    ·  ·   ·  ·     ·  ·  v2 ·        target            (· is not scored)

The tokens are the blank 0, the keys 1 … keys and then the values. Queries stand at even distances from the pairs
and are nearer to them the more often, the smaller `power` is. A recurrent model must have stored the values of
all pairs: see `statewise.bounds`.

Source: Arora, Eyuboglu, Timalsina, Johnson, Poli, Zou, Rudra, Ré (zoology), arXiv 2312.04927, §3 and appendix;
the layout is that of its published code. There filler is drawn over the whole vocabulary, keys included, from a
generator that depends on the model; here it is a function of the example's index, and there are two more kinds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from math import comb, isfinite, perm
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.draws import Ints, distinct, weighted_distinct
from statewise.tasks.task import MOST_INPUTS, UNSCORED, Batch, Task

FILLERS = ("blank", "noise", "decoys")


@dataclass(frozen=True)
class MQAR(Task):
    """`size` pairs of distinct uniform keys and their values, then each key once, at `tokens_per_pair` tokens a pair.

    keys             number of keys, at least 1; a size is at most this
    values           number of values, at least 2; a size is at most this, unless values repeat
    replace_values   values are independent, instead of all different
    tokens_per_pair  tokens for each pair, its query and filler included, at least 4
    power            place i = 1, 2, … of the queries has weight i^(power − 1); positive, 1 is uniform
    filler           blank: one token. noise: blank and values alike. decoys: every token alike, so that shown
                     keys occur where nothing is asked

    >>> task = MQAR(keys=16, values=16)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "mqar"
    keys: int = 64
    values: int = 64
    replace_values: bool = False
    tokens_per_pair: int = 4
    power: float = 0.01
    filler: str = "blank"

    def __post_init__(self) -> None:
        for field, least in (("keys", 1), ("values", 2), ("tokens_per_pair", 4)):
            if getattr(self, field) < least:
                raise UsageError(f"mqar: {field} is {getattr(self, field)}; it must be at least {least}")
        if not (isfinite(self.power) and self.power > 0):
            raise UsageError(f"mqar: power is {self.power}; it must be positive and finite")
        if self.filler not in FILLERS:
            raise UsageError(f"mqar: filler is {self.filler!r}; it must be one of {', '.join(FILLERS)}")

    def check_size(self, size: int) -> None:
        """Raise a UsageError unless there are as many keys, and values where they do not repeat."""
        super().check_size(size)
        if size > self._most_pairs:
            raise UsageError(
                f"mqar: size is {size}; it must be at most {self._most_pairs}, "
                f"with {self.keys} keys and {self.values} values{'' if self.replace_values else ' that do not repeat'}"
            )

    def vocabulary(self, size: int) -> int:
        """The blank, the keys and the values."""
        return 1 + self.keys + self.values

    def length(self, size: int) -> int:
        """The pairs, the queries and the filler."""
        return self.tokens_per_pair * size

    def cut(self, size: int) -> int:
        """After the pairs, before the queries."""
        return 2 * size

    def num_words(self, size: int) -> int:
        """Two words for each pair, one for each place of a query, one for each token of filler."""
        return 2 * size + self._places(size) + self.length(size) - 2 * size

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Keys, values, places and filler, each from words of their own."""
        key_words, value_words, place_words, filler_words = np.split(
            words, np.cumsum([size, size, self._places(size)]), axis=1
        )
        keys = 1 + distinct(key_words, self.keys)
        drawn = integers(value_words, self.values) if self.replace_values else distinct(value_words, self.values)
        values = 1 + self.keys + drawn
        weights = np.arange(1, self._places(size) + 1, dtype=np.float64)[None] ** (self.power - 1)
        asked = 2 * size + 2 * weighted_distinct(place_words, weights, size)
        tokens = np.hstack([np.stack([keys, values], axis=2).reshape(len(words), 2 * size), self._fill(filler_words)])
        targets = np.full_like(tokens, UNSCORED)
        np.put_along_axis(tokens, asked, keys, axis=1)
        np.put_along_axis(targets, asked, values, axis=1)
        scored = targets != UNSCORED
        return Batch(torch.from_numpy(tokens), torch.from_numpy(targets), torch.from_numpy(scored))

    def solve(self, batch: Batch) -> Tensor:
        """After the pairs, the value that stood beside each key that was shown."""
        tokens = batch.tokens
        context = 2 * (tokens.shape[1] // self.tokens_per_pair)
        matches = tokens[:, context:, None] == tokens[:, None, 0:context:2]
        values = tokens[:, 1:context:2].gather(1, matches.long().argmax(2))
        targets = torch.full_like(tokens, UNSCORED)
        targets[:, context:] = torch.where(matches.any(2), values, UNSCORED)
        return targets

    def chance(self, size: int) -> float:
        """Any one value is right once in `values`."""
        return 1 / self.values

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every list of pairs with everything that may follow it."""
        self.check_size(size)
        contexts = perm(self.keys, size) * (self.values**size if self.replace_values else perm(self.values, size))
        if contexts * self._num_endings(size) > MOST_INPUTS:
            return None
        return (
            torch.tensor([token for pair in zip(keys, values, strict=True) for token in pair] + list(ending))
            for keys in permutations(range(1, self.keys + 1), size)
            for values in self._value_lists(size)
            for ending in self._endings(keys)
        )

    def valid(self, tokens: Tensor) -> bool:
        """Distinct keys with their values, then each of the keys where a query may stand, and filler."""
        size, rest = divmod(tokens.numel(), self.tokens_per_pair)
        if rest or not 1 <= size <= self._most_pairs:
            return False
        row = tokens.tolist()
        keys, values, ending = row[0 : 2 * size : 2], row[1 : 2 * size : 2], row[2 * size :]
        distinct_values = self.replace_values or len(set(values)) == size
        return (
            len(set(keys)) == size
            and distinct_values
            and all(1 <= key <= self.keys for key in keys)
            and all(self.keys < value <= self.keys + self.values for value in values)
            and all(token in choices for token, choices in zip(ending, self._choices(tuple(keys)), strict=True))
            and self._asks_all(keys, ending)
        )

    @property
    def _most_pairs(self) -> int:
        return self.keys if self.replace_values else min(self.keys, self.values)

    def _places(self, size: int) -> int:
        return (self.tokens_per_pair - 2) * size // 2

    def _fill(self, words: Words) -> Ints:
        if self.filler == "blank":
            return np.zeros(words.shape, np.int64)
        if self.filler == "decoys":
            return integers(words, self.vocabulary(0))
        drawn = integers(words, 1 + self.values)
        return np.where(drawn == 0, 0, self.keys + drawn)

    def _fillers(self) -> list[int]:
        """The tokens of which filler is made."""
        first_value, end = self.keys + 1, self.vocabulary(0)
        return {"blank": [0], "noise": [0, *range(first_value, end)], "decoys": list(range(end))}[self.filler]

    def _choices(self, keys: tuple[int, ...]) -> list[list[int]]:
        """What may stand at each place after these keys were shown."""
        size, fillers = len(keys), self._fillers()
        queries = sorted({*fillers, *keys})
        places = self._places(size)
        return [queries if t % 2 == 0 and t < 2 * places else fillers for t in range((self.tokens_per_pair - 2) * size)]

    def _asks_all(self, keys: list[int], ending: list[int]) -> bool:
        """Whether each key stands where a query may, and only once unless there are decoys."""
        found = [token for token in ending[0 : 2 * self._places(len(keys)) : 2] if token in keys]
        return set(found) == set(keys) and (self.filler == "decoys" or len(found) == len(keys))

    def _value_lists(self, size: int) -> Iterator[tuple[int, ...]]:
        values = range(self.keys + 1, self.vocabulary(size))
        return product(values, repeat=size) if self.replace_values else permutations(values, size)

    def _endings(self, keys: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        return (ending for ending in product(*self._choices(keys)) if self._asks_all(list(keys), list(ending)))

    def _num_endings(self, size: int) -> int:
        places, others, fillers = self._places(size), self.length(size) - 2 * size, len(self._fillers())
        if self.filler != "decoys":
            return perm(places, size) * int(fillers ** (others - size))
        asking = sum((-1) ** j * comb(size, j) * (fillers - j) ** places for j in range(size + 1))
        return int(asking * fillers ** (others - places))
