"""Selective copying: find the few symbols of data among blanks, then write them in order.

    layout "minrnn", 4 of 7 places hold data (size 7)       blank ‗ is token symbols + 1, marker ? is token 0
    input    ‗  3  ‗  1  1  ‗  2  ?  ?  ?  ?
    target   ·  ·  ·  ·  ·  ·  ·  3  1  1  2               (· is not scored)

    layout "mamba", 4 symbols of data besides 3 blanks (size 3): the same picture with blank and marker exchanged

Symbols of data are the tokens 1 … symbols. In "mamba" the size counts blanks only, as in the generator of S4
from which the figures of the Mamba paper come; in "minrnn" it counts blanks and data. Tokens in all:
size + 2·data and size + data. Both ask for data · log2(symbols) bits of state: see `statewise.bounds`.

Source: Gu, Dao, arXiv 2312.00752, §4.1.1 (layout "mamba", whose code is not published: ids as in S4's copying
task); Feng, Tung, Ahmed, Bengio, Hajimirsadeghi, arXiv 2410.01201, §4 and its code (layout "minrnn").
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import MOST_INPUTS, Batch, Task, every_sequence, score_last

LAYOUTS = ("mamba", "minrnn")


@dataclass(frozen=True)
class SelectiveCopying(Task):
    """`data` uniform symbols at uniform places among blanks, then as many markers, each answered in order.

    data     how many symbols are to be copied, at least 1
    symbols  how many kinds of them, at least 2
    layout   mamba: `size` blanks besides the data; minrnn: `size` blanks and data together, at least `data`

    >>> task = SelectiveCopying(data=3, layout="minrnn")
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=9)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "selective-copying"
    data: int = 16
    symbols: int = 14
    layout: str = "mamba"

    def __post_init__(self) -> None:
        if self.data < 1 or self.symbols < 2:
            raise UsageError(
                f"selective-copying: data is {self.data} and symbols is {self.symbols}; they must be at least 1 and 2"
            )
        if self.layout not in LAYOUTS:
            raise UsageError(f"selective-copying: layout is {self.layout!r}; it must be one of {', '.join(LAYOUTS)}")

    def check_size(self, size: int) -> None:
        """Raise a UsageError unless there is room for the data."""
        super().check_size(size)
        if self.layout == "minrnn" and size < self.data:
            raise UsageError(
                f"{self.name}: size is {size}; it must be at least {self.data}, the data that layout minrnn counts in"
            )

    def vocabulary(self, size: int) -> int:
        """The symbols, the blank and the marker."""
        return self.symbols + 2

    def length(self, size: int) -> int:
        """The places of blanks and data, then one marker for each symbol of data."""
        return self._places(size) + self.data

    def cut(self, size: int) -> int:
        """Before the first marker, when all data have been read."""
        return self._places(size)

    def num_words(self, size: int) -> int:
        """One word for each place and one for each symbol of data."""
        return self._places(size) + self.data

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Data stand where the words of the places are smallest; the other words are the data."""
        ranks, symbols = words[:, : self._places(size)], words[:, self._places(size) :]
        data = torch.from_numpy(1 + integers(symbols, self.symbols))
        where = torch.from_numpy(np.sort(np.argpartition(ranks, self.data - 1, axis=1)[:, : self.data], axis=1))
        return self._laid_out(data, where, size)

    def solve(self, batch: Batch) -> Tensor:
        """Keep what is neither blank nor marker."""
        tokens = batch.tokens[:, : batch.tokens.shape[1] - self.data]
        return score_last(batch.tokens, tokens[self._is_data(tokens)].reshape(-1, self.data)).targets

    def chance(self, size: int) -> float:
        """Any one symbol is right once in `symbols`."""
        return 1 / self.symbols

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every choice of places with every string of data."""
        self.check_size(size)
        places = self._places(size)
        if comb(places, self.data) * self.symbols**self.data > MOST_INPUTS:
            return None
        strings = every_sequence(self.symbols, self.data)
        assert strings is not None
        chosen = torch.tensor(list(combinations(range(places), self.data)))
        return (
            tokens
            for string in strings
            for tokens in self._laid_out(1 + string.expand(len(chosen), -1), chosen, size).tokens
        )

    def valid(self, tokens: Tensor) -> bool:
        """Exactly `data` symbols of data among blanks, then as many markers."""
        places = tokens.numel() - self.data
        # Besides its data, layout mamba has at least one blank.
        if places < self.data + (self.layout == "mamba"):
            return False
        first, last = tokens[:places], tokens[places:]
        is_data = self._is_data(first)
        return (
            int(is_data.sum()) == self.data
            and bool((is_data | (first == self._blank)).all())
            and bool((last == self._marker).all())
        )

    @property
    def _blank(self) -> int:
        return 0 if self.layout == "mamba" else self.symbols + 1

    @property
    def _marker(self) -> int:
        return self.symbols + 1 - self._blank

    def _places(self, size: int) -> int:
        return size + self.data if self.layout == "mamba" else size

    def _is_data(self, tokens: Tensor) -> Tensor:
        return (tokens >= 1) & (tokens <= self.symbols)

    def _laid_out(self, data: Tensor, where: Tensor, size: int) -> Batch:
        """Data (B, data) at `where` (B, data) among blanks, and the markers."""
        tokens = torch.full((len(data), self.length(size)), self._blank)
        tokens[:, self._places(size) :] = self._marker
        return score_last(tokens.scatter_(1, where, data), data)
