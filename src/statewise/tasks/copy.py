"""Copy: read a string, then write it again.

    input    2  0  3  ?  ?  ?
    target   ·  ·  ·  2  0  3          (· is not scored)

Symbols are the tokens 0 … alphabet-1, the marker ? is the token alphabet. Attention can look each symbol up; a
recurrent model must have stored the string: see `statewise.bounds`.

Source: Arjovsky, Shah, Bengio, arXiv 1511.06464, §4.1 (the copying memory problem, here without a delay);
Jelassi, Brandfonbrener, Kakade, Malach, arXiv 2402.01032, §2 (why a fixed state cannot copy long strings).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import Batch, Task, every_sequence, score_last


@dataclass(frozen=True)
class Copy(Task):
    """`size` symbols, uniform and independent, then as many markers, each answered by the next symbol.

    alphabet  number of symbols, at least 2

    >>> task = Copy(alphabet=4)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "copy"
    alphabet: int = 16

    def __post_init__(self) -> None:
        if self.alphabet < 2:
            raise UsageError(f"copy: alphabet is {self.alphabet}; it must be at least 2")

    def vocabulary(self, size: int) -> int:
        """The symbols and the marker."""
        return self.alphabet + 1

    def length(self, size: int) -> int:
        """The string and its markers."""
        return 2 * size

    def cut(self, size: int) -> int:
        """After the string, before the first marker."""
        return size

    def num_words(self, size: int) -> int:
        """One word a symbol."""
        return size

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The string from the words."""
        symbols = torch.from_numpy(integers(words, self.alphabet))
        return score_last(torch.cat([symbols, torch.full_like(symbols, self.alphabet)], dim=1), symbols)

    def solve(self, batch: Batch) -> Tensor:
        """The first half once more."""
        return score_last(batch.tokens, batch.tokens[:, : batch.tokens.shape[1] // 2]).targets

    def chance(self, size: int) -> float:
        """Any one symbol is right once in `alphabet`."""
        return 1 / self.alphabet

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string, with its markers."""
        self.check_size(size)
        strings = every_sequence(self.alphabet, size)
        markers = torch.full((size,), self.alphabet)
        return None if strings is None else (torch.cat([string, markers]) for string in strings)

    def valid(self, tokens: Tensor) -> bool:
        """Symbols, then as many markers."""
        size = tokens.numel() // 2
        string, markers = tokens[:size], tokens[size:]
        return (
            size >= 1
            and tokens.numel() == 2 * size
            and bool(((string >= 0) & (string < self.alphabet)).all())
            and bool((markers == self.alphabet).all())
        )
