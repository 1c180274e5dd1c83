"""A task that is a list: inputs and targets written out, for counting by hand and by brute force."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from typing import ClassVar

import torch

from statewise.core.random import integers
from statewise.tasks import UNSCORED, Batch, Task


@dataclass(frozen=True)
class Listed(Task):
    """Rows of (tokens, targets), all of one length; there is one size, 1."""

    name: ClassVar[str] = "listed"
    rows: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()

    def vocabulary(self, size):
        return 1 + max(max(max(tokens), max(targets)) for tokens, targets in self.rows)

    def length(self, size):
        return len(self.rows[0][0])

    def cut(self, size):
        return self.length(size) // 2

    def num_words(self, size):
        return 1

    def build(self, words, size, *, split, start):
        chosen = [self.rows[i] for i in integers(words, len(self.rows))[:, 0]]
        tokens, targets = (torch.tensor([row[part] for row in chosen]) for part in (0, 1))
        return Batch(tokens, targets, targets != UNSCORED)

    def solve(self, batch):
        right = dict(self.rows)
        return torch.tensor([right[tuple(row)] for row in batch.tokens.tolist()])

    def chance(self, size):
        return 0.0

    def inputs(self, size):
        return (torch.tensor(tokens) for tokens, _ in self.rows)

    def valid(self, tokens):
        return tuple(tokens.tolist()) in dict(self.rows)


Rows = Iterator[tuple[tuple[int, ...], tuple[int, ...]]]


def only_last(tokens: tuple[int, ...], answer: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tokens, (UNSCORED,) * (len(tokens) - 1) + (answer,)


def masked_copy(alphabet: int, length: int) -> Rows:
    """Missing duplicate as Chomsky tasks lay it out: w, then w with one token masked, which is the answer."""
    for word in product(range(alphabet), repeat=length):
        for j in range(length):
            yield only_last((*word, *word[:j], alphabet, *word[j + 1 :]), word[j])


def cut_copy(alphabet: int, length: int) -> Rows:
    """Missing duplicate of the minimal RNNs: w, then its beginning and blanks, the first of which is asked."""
    for word in product(range(alphabet), repeat=length):
        for j in range(length):
            targets = (UNSCORED,) * (length + j) + (word[j],) + (UNSCORED,) * (length - j - 1)
            yield (*word, *word[:j], *(alphabet,) * (length - j)), targets


def equal_or_one_apart(alphabet: int, length: int) -> Rows:
    """Equality of two words that are the same or differ in one symbol."""
    for word in product(range(alphabet), repeat=length):
        yield only_last((*word, *word), 1)
        for j, other in product(range(length), range(alphabet)):
            if other != word[j]:
                yield only_last((*word, *word[:j], other, *word[j + 1 :]), 0)


def any_two_words(alphabet: int, length: int) -> Rows:
    """Equality of any two words."""
    for one, other in product(product(range(alphabet), repeat=length), repeat=2):
        yield only_last((*one, *other), int(one == other))


def pairs_and_one_query(pairs: int, keys: int, values: int) -> Rows:
    """Associative recall: key, value, …, then one of the keys, whose value is asked."""
    for context, held in contexts(pairs, keys, values):
        for key, value in held:
            yield only_last((*context, key), value)


def pairs_and_every_query(pairs: int, keys: int, values: int) -> Rows:
    """Multi-query recall: key, value, …, then all keys in any order."""
    for context, held in contexts(pairs, keys, values):
        for order in permutations(held):
            yield (
                context + tuple(key for key, _ in order),
                (UNSCORED,) * len(context) + tuple(value for _, value in order),
            )


def contexts(pairs: int, keys: int, values: int) -> Iterator[tuple[tuple[int, ...], list[tuple[int, int]]]]:
    for shown, stored in product(permutations(range(keys), pairs), product(range(values), repeat=pairs)):
        held = list(zip(shown, stored, strict=True))
        yield tuple(token for key, value in held for token in (key, keys + value)), held
