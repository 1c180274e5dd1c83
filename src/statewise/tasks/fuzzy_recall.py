"""Fuzzy recall: keys and values of one or more tokens each; a key that returns has its first value.

    pad   key    value   key  value    key    value        key  (its last token is never read)
    _ _   k1 k2  v3      k1   v0 v2    k1 k2  v3           k1   v0
    · ·   ·  ·   ·       ·    ·  ·     ·  v3  ·            v0   v2        target  (· is not scored)

Where a key ends is told by the value that follows. A key that returns is scored from its last token on, token by
token, to the end of its value. Key tokens are 0 … keys-1, then come those of values, then the padding, which
stands in front so that all examples of a size are of one length. See `statewise.bounds`.

Source: Poli et al., arXiv 2403.17844 (MAD), fuzzy in-context recall, base setting keys=8, values=8 and up to 3
tokens each. There examples are filled up to a number of tokens, here to a number of pairs; there the loss in
training is on every token, here, as in its test, on the values of keys that return.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, product
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.noisy_recall import num_lists
from statewise.tasks.task import MOST_INPUTS, UNSCORED, Batch, Task

Motif = tuple[int, ...]


@dataclass(frozen=True)
class FuzzyRecall(Task):
    """`size` pairs of keys and values, then the key of one of them, drawn uniformly, and its value once more.

    keys          number of key tokens, at least 1
    values        number of value tokens, at least 2
    key_tokens    most tokens of a key, at least 1: its length is uniform, then each token
    value_tokens  most tokens of a value, at least 1, likewise

    >>> task = FuzzyRecall()
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "fuzzy-recall"
    keys: int = 8
    values: int = 8
    key_tokens: int = 3
    value_tokens: int = 3

    def __post_init__(self) -> None:
        for field, least in (("keys", 1), ("values", 2), ("key_tokens", 1), ("value_tokens", 1)):
            if getattr(self, field) < least:
                raise UsageError(f"fuzzy-recall: {field} is {getattr(self, field)}; it must be at least {least}")

    def vocabulary(self, size: int) -> int:
        """The tokens of keys and of values, and the padding."""
        return self.keys + self.values + 1

    def length(self, size: int) -> int:
        """As many tokens as the longest pairs and the last query have, without the last token."""
        return (size + 1) * self._slot - 1

    def cut(self, size: int) -> int:
        """After the pairs, where the last key and value are of full length."""
        return size * self._slot

    def num_words(self, size: int) -> int:
        """For each pair two lengths and all the tokens it might have, and one word for the last query."""
        return size * (2 + self._slot) + 1

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Draw all pairs at full length, hide what is beyond their lengths, and move the rest to the end."""
        count = len(words)
        drawn = words[:, :-1].reshape(count * size, 2 + self._slot)
        key_ends = 1 + integers(drawn[:, :1], self.key_tokens)
        value_ends = 1 + integers(drawn[:, 1:2], self.value_tokens)
        key_symbols = integers(drawn[:, 2 : 2 + self.key_tokens], self.keys)
        value_symbols = self.keys + integers(drawn[:, 2 + self.key_tokens :], self.values)
        pad = self.vocabulary(size) - 1
        keys = np.where(np.arange(self.key_tokens) < key_ends, key_symbols, pad)
        values = np.where(np.arange(self.value_tokens) < value_ends, value_symbols, pad)
        keys = keys.reshape(count, size, self.key_tokens)
        values = values.reshape(count, size, self.value_tokens)

        asked = integers(words[:, -1:], size)
        keys = np.concatenate([keys, np.take_along_axis(keys, asked[:, :, None], axis=1)], axis=1)
        first = (keys[:, :, None] == keys[:, None, :]).all(axis=3).argmax(axis=2)
        values = np.take_along_axis(values, first[:, :, None], axis=1)

        slots = np.concatenate([keys, values], axis=2)
        targets = np.full_like(slots, UNSCORED)
        returns = first < np.arange(size + 1)
        targets[:, :, self.key_tokens :] = np.where(returns[:, :, None] & (values != pad), values, UNSCORED)
        tokens, targets = (part.reshape(count, self.length(size) + 1) for part in (slots, targets))
        order = np.argsort(tokens != pad, axis=1, kind="stable")
        tokens, targets = np.take_along_axis(tokens, order, axis=1), np.take_along_axis(targets, order, axis=1)
        # A token of a value is the target of the token before it.
        tokens, targets = tokens[:, :-1].copy(), targets[:, 1:].copy()
        return Batch(torch.from_numpy(tokens), torch.from_numpy(targets), torch.from_numpy(targets != UNSCORED))

    def solve(self, batch: Batch) -> Tensor:
        """Part each row into keys and values, and look the keys up that were seen before."""
        targets = torch.full_like(batch.tokens, UNSCORED)
        for row, tokens in enumerate(batch.tokens.tolist()):
            table: dict[Motif, Motif] = {}
            at = 0
            for key, value in self._pairs([token for token in tokens if token < self.keys + self.values]):
                at += len(key)
                answer = table.setdefault(key, value)
                if answer is not value:
                    begin = len(tokens) - self._num_read(tokens) + at - 1
                    targets[row, begin : begin + len(answer)] = torch.tensor(answer)
                at += len(value)
        return targets

    def chance(self, size: int) -> float:
        """Any one token of values is right once in `values`."""
        return 1 / self.values

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every list of pairs, with every key that it shows and its value."""
        self.check_size(size)
        keys, values = (sum(n**i for i in range(1, most + 1)) for n, most in self._alphabets)
        return None if num_lists(size, keys, values, others=0) > MOST_INPUTS else self._inputs(size)

    def valid(self, tokens: Tensor) -> bool:
        """Padding, then keys with one value each, the last of them seen before, to the length of a size."""
        row = tokens.tolist()
        size, rest = divmod(len(row) + 1 - self._slot, self._slot)
        read = self._num_read(row)
        pads, shown = row[: len(row) - read], row[len(row) - read :]
        within = all(0 <= token < self.keys + self.values for token in shown)
        if size < 1 or rest or not within or any(token != self.vocabulary(size) - 1 for token in pads):
            return False
        pairs = self._pairs(shown)
        if len(pairs) != size + 1 or shown[0] >= self.keys:
            return False
        table: dict[Motif, Motif] = {}
        for key, value in pairs[:-1]:
            fits = 1 <= len(key) <= self.key_tokens and 1 <= len(value) <= self.value_tokens
            if not fits or table.setdefault(key, value) != value:
                return False
        last, begun = pairs[-1]
        return last in table and table[last][:-1] == begun

    @property
    def _slot(self) -> int:
        return self.key_tokens + self.value_tokens

    @property
    def _alphabets(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return (self.keys, self.key_tokens), (self.values, self.value_tokens)

    def _num_read(self, row: list[int]) -> int:
        """How many tokens there are from the first that is not padding on."""
        return next((len(row) - t for t, token in enumerate(row) if token != self.keys + self.values), 0)

    def _pairs(self, row: list[int]) -> list[tuple[Motif, Motif]]:
        """Each run of key tokens with the run of value tokens after it, which may be missing at the end."""
        runs = [tuple(run) for _, run in groupby(row, lambda token: token < self.keys)]
        runs += [()] * (len(runs) % 2)
        return list(zip(runs[0::2], runs[1::2], strict=True))

    def _inputs(self, size: int) -> Iterator[Tensor]:
        keys, values = (
            [m for length in range(1, most + 1) for m in product(range(first, first + n), repeat=length)]
            for first, (n, most) in zip((0, self.keys), self._alphabets, strict=True)
        )

        def endings(left: int, table: dict[Motif, Motif]) -> Iterator[Motif]:
            if not left:
                yield from (key + value[:-1] for key, value in table.items())
                return
            for key in keys:
                for value in [table[key]] if key in table else values:
                    yield from (key + value + rest for rest in endings(left - 1, {**table, key: value}))

        for row in endings(size, {}):
            yield torch.tensor([self.vocabulary(size) - 1] * (self.length(size) - len(row)) + list(row))
