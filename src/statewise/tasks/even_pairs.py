"""Even pairs: do the bits change an even or an odd number of times, which is whether first and last differ?

    input    0  0  1  0  1        changes: 01, 10, 01
    target   ·  ·  ·  ·  1        (· is not scored; 0 even, 1 odd)

Source: Delétang et al., arXiv 2207.02098, even pairs; Feng, Tung, Ahmed, Bengio, Hajimirsadeghi,
arXiv 2410.01201, appendix D and its code, whose answer is the number of changes modulo 2, as here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from statewise.core.random import Words, integers
from statewise.tasks.task import Batch, Task, every_sequence, score_last


@dataclass(frozen=True)
class EvenPairs(Task):
    """`size` fair bits; after the last, the number of changes modulo 2.

    >>> batch = EvenPairs().sample(torch.Generator().manual_seed(0), batch_size=64, size=5)
    >>> bool((batch.targets[:, -1] == (batch.tokens[:, 0] != batch.tokens[:, -1])).all())
    True
    """

    name: ClassVar[str] = "even-pairs"

    def vocabulary(self, size: int) -> int:
        """The two bits, which are also the answers."""
        return 2

    def length(self, size: int) -> int:
        """One token a bit."""
        return size

    def cut(self, size: int) -> int:
        """Half way; every cut after the first bit asks for that bit."""
        return (size + 1) // 2

    def num_words(self, size: int) -> int:
        """One word a bit."""
        return size

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The bits from the words; first against last."""
        bits = torch.from_numpy(integers(words, 2))
        return score_last(bits, (bits[:, :1] != bits[:, -1:]).long())

    def solve(self, batch: Batch) -> Tensor:
        """Count the changes."""
        changes = (batch.tokens[:, 1:] != batch.tokens[:, :-1]).sum(1, keepdim=True)
        return score_last(batch.tokens, changes % 2).targets

    def chance(self, size: int) -> float:
        """Either answer is right half of the time; a single bit never changes."""
        return 1.0 if size == 1 else 0.5

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string of bits."""
        self.check_size(size)
        return every_sequence(2, size)

    def valid(self, tokens: Tensor) -> bool:
        """Any non-empty string of bits."""
        return tokens.numel() >= 1 and bool(((tokens == 0) | (tokens == 1)).all())
