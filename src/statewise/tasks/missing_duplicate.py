"""Missing duplicate: a string is shown twice with one symbol left out; which one?

    layout "chomsky": one symbol of either copy is masked (?)
    input    0  1  1  0  0  ?  1  0
    target   ·  ·  ·  ·  ·  ·  ·  1        (· is not scored)

    layout "minrnn": the second copy breaks off, and blanks (the same token) follow
    input    0  1  1  0  0  ?  ?  ?
    target   ·  ·  ·  ·  ·  ·  ·  1        the symbol that comes next

Symbols are the tokens 0 … alphabet-1, mask and blank the token alphabet. The size is the length of one copy. Little
as the layouts differ, "chomsky" needs a running sum only and "minrnn" the string: see `statewise.bounds`.

Source: Delétang et al., arXiv 2207.02098, and its code (layout "chomsky", 2 symbols, even lengths); Feng, Tung,
Ahmed, Bengio, Hajimirsadeghi, arXiv 2410.01201, appendix D and its code (layout "minrnn").
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import MOST_INPUTS, Batch, Task, every_sequence, score_last

LAYOUTS = ("chomsky", "minrnn")


@dataclass(frozen=True)
class MissingDuplicate(Task):
    """`size` uniform symbols twice, one left out at a uniform place; after the last token, that symbol.

    alphabet  number of symbols, at least 2
    layout    chomsky: one of the 2·size symbols is masked; minrnn: the second copy stops at any of its places

    >>> task = MissingDuplicate(layout="minrnn")
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=8)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "missing-duplicate"
    alphabet: int = 2
    layout: str = "chomsky"

    def __post_init__(self) -> None:
        if self.alphabet < 2:
            raise UsageError(f"missing-duplicate: alphabet is {self.alphabet}; it must be at least 2")
        if self.layout not in LAYOUTS:
            raise UsageError(f"missing-duplicate: layout is {self.layout!r}; it must be one of {', '.join(LAYOUTS)}")

    def vocabulary(self, size: int) -> int:
        """The symbols, which are also the answers, and the mask."""
        return self.alphabet + 1

    def length(self, size: int) -> int:
        """Both copies."""
        return 2 * size

    def cut(self, size: int) -> int:
        """After the first copy."""
        return size

    def num_words(self, size: int) -> int:
        """One word a symbol and one for the place."""
        return size + 1

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The string from the first `size` words, the place from the last one."""
        symbols = torch.from_numpy(integers(words[:, :size], self.alphabet))
        places = torch.from_numpy(integers(words[:, size:], self._choices(size)))
        tokens = self._shown(symbols, places)
        return score_last(tokens, symbols.gather(1, places % size))

    def solve(self, batch: Batch) -> Tensor:
        """chomsky: the sums of what both copies show differ by the symbol. minrnn: count what was repeated."""
        hidden = batch.tokens == self.alphabet
        size = batch.tokens.shape[1] // 2
        shown = torch.where(hidden, 0, batch.tokens)
        if self.layout == "chomsky":
            answers = (shown[:, :size].sum(1) - shown[:, size:].sum(1)).abs()[:, None]
        else:
            # An input has at least one blank, so the place lies in the string.
            answers = shown.gather(1, size - hidden.sum(1, keepdim=True))
        return score_last(batch.tokens, answers).targets

    def chance(self, size: int) -> float:
        """Any one symbol is right once in `alphabet`."""
        return 1 / self.alphabet

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string, with every place."""
        self.check_size(size)
        choices = self._choices(size)
        if self.alphabet**size * choices > MOST_INPUTS:
            return None
        strings = every_sequence(self.alphabet, size)
        assert strings is not None
        places = torch.arange(choices)[:, None]
        return (tokens for string in strings for tokens in self._shown(string.expand(choices, -1), places))

    def valid(self, tokens: Tensor) -> bool:
        """Two copies that agree where both are shown, with one mask, or with blanks from some place on."""
        size = tokens.numel() // 2
        if size < 1 or tokens.numel() % 2 or not bool(((tokens >= 0) & (tokens <= self.alphabet)).all()):
            return False
        first, second = tokens[:size], tokens[size:]
        hidden = tokens == self.alphabet
        agree = bool(((first == second) | hidden[:size] | hidden[size:]).all())
        if self.layout == "chomsky":
            return agree and int(hidden.sum()) == 1
        blanks = int(hidden.sum())
        return agree and blanks >= 1 and bool(hidden[2 * size - blanks :].all()) and not bool(hidden[:size].any())

    def _choices(self, size: int) -> int:
        """At how many places a symbol may be left out."""
        return 2 * size if self.layout == "chomsky" else size

    def _shown(self, symbols: Tensor, places: Tensor) -> Tensor:
        """Strings (B, N) twice (B, 2N), with what `places` (B, 1) leave out."""
        twice = torch.cat([symbols, symbols], dim=1)
        place = torch.arange(twice.shape[1])
        hidden = place == places if self.layout == "chomsky" else place >= symbols.shape[1] + places
        return twice.masked_fill(hidden, self.alphabet)
