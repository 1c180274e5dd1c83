"""Index lookup: read a string, then say which symbol stood at a given place.

    place    0  1  2  3  4     queries
    input    2  0  3  0  1  |  @1  @4
    target   ·  ·  ·  ·  ·      0   1          (· is not scored)

Symbols are the tokens 0 … alphabet-1; the query @p is the token alphabet + p. Attention can look the place
up; a recurrent model must have stored the string: see `statewise.bounds`.

Source: Bhattamishra, Hahn, Blunsom, Kanade, arXiv 2406.09347, §2 (one query; more queries of the same
string only make supervision denser, and each is bounded as one would be).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import MOST_INPUTS, Batch, Task, every_sequence, score_last


@dataclass(frozen=True)
class IndexLookup(Task):
    """`size` symbols, uniform and independent, then `queries` uniform places, each answered at once.

    alphabet  number of symbols, at least 2
    queries   number of queries after the string, at least 1

    >>> task = IndexLookup(alphabet=4)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "index-lookup"
    alphabet: int = 16
    queries: int = 1

    def __post_init__(self) -> None:
        if self.alphabet < 2 or self.queries < 1:
            raise UsageError(
                f"index-lookup: alphabet is {self.alphabet} and queries is {self.queries}; "
                "they must be at least 2 and 1"
            )

    def vocabulary(self, size: int) -> int:
        """The symbols and one query token for each place."""
        return self.alphabet + size

    def length(self, size: int) -> int:
        """The string and its queries."""
        return size + self.queries

    def cut(self, size: int) -> int:
        """After the string, before the first query."""
        return size

    def num_words(self, size: int) -> int:
        """One word a symbol and one a query."""
        return size + self.queries

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The string from the first `size` words, the places from the rest."""
        symbols = torch.from_numpy(integers(words[:, :size], self.alphabet))
        places = torch.from_numpy(integers(words[:, size:], size))
        return score_last(torch.cat([symbols, self.alphabet + places], dim=1), symbols.gather(1, places))

    def solve(self, batch: Batch) -> Tensor:
        """Gather the symbol at each place that is asked for."""
        size = batch.tokens.shape[1] - self.queries
        places = batch.tokens[:, size:] - self.alphabet
        return score_last(batch.tokens, batch.tokens[:, :size].gather(1, places)).targets

    def chance(self, size: int) -> float:
        """Any one symbol is right once in `alphabet`."""
        return 1 / self.alphabet

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string with every list of places."""
        self.check_size(size)
        if self.alphabet**size * size**self.queries > MOST_INPUTS:
            return None
        strings = every_sequence(self.alphabet, size)
        assert strings is not None
        asked = [torch.tensor(places) + self.alphabet for places in product(range(size), repeat=self.queries)]
        return (torch.cat([string, places]) for string in strings for places in asked)

    def valid(self, tokens: Tensor) -> bool:
        """Symbols, then `queries` places that exist."""
        size = tokens.numel() - self.queries
        symbols, places = tokens[: max(size, 0)], tokens[max(size, 0) :] - self.alphabet
        return (
            size >= 1
            and bool(((symbols >= 0) & (symbols < self.alphabet)).all())
            and bool(((places >= 0) & (places < size)).all())
        )
