"""Bounded Dyck: is this string of brackets balanced, and never deeper than it may be?

    input    (  [  ]  (  )  )
    target   ·  ·  ·  ·  ·  yes         (· is not scored)

Bracket types 0 … types-1 open as tokens 0 … types-1 and close as types … 2·types-1; the answers are the tokens
2·types (no) and 2·types + 1 (yes). A finite automaton decides it at every length, so a recurrent model
of constant size can; one layer of attention needs a size that grows: see `statewise.bounds`.

Source: Bhattamishra, Hahn, Blunsom, Kanade, arXiv 2406.09347, §5 and appendix (Dyck-(n, k)); the walk that
draws members is ours, since the paper's text does not fix its probabilities.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import Batch, Task, every_sequence, score_last

Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@dataclass(frozen=True)
class Dyck(Task):
    """Strings of exactly `size` brackets, balanced with probability 1/2, else corrupted in a few places.

    types  kinds of brackets, at least 1
    depth  deepest nesting allowed, at least 1

    A corruption changes 1 … max(1, size/10) brackets of a member, each in type or in direction with equal
    chance; where the changes cancel out, one more bracket is turned round, which always breaks the balance.

    >>> task = Dyck(types=2, depth=2)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=12)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "dyck"
    size_step: ClassVar[int] = 2
    types: int = 2
    depth: int = 2

    def __post_init__(self) -> None:
        if self.types < 1 or self.depth < 1:
            raise UsageError(f"dyck: types is {self.types} and depth is {self.depth}; both must be at least 1")

    def vocabulary(self, size: int) -> int:
        """Opening and closing brackets of each type, and the two answers."""
        return 2 * self.types + 2

    def length(self, size: int) -> int:
        """One token a bracket."""
        return size

    def cut(self, size: int) -> int:
        """Half way, where every depth up to size/2 is possible."""
        return size // 2

    def num_words(self, size: int) -> int:
        """A word for each bracket, one for the label, one for how many changes, three for each change."""
        return size + 2 + 3 * self._most_changes(size)

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """A member from the first `size` words, corrupted by the rest where the label says so."""
        member = self._member(words[:, :size])
        corrupted = self._corrupt(member, words[:, size + 1 :])
        balanced = integers(words[:, size : size + 1], 2) == 1
        tokens = torch.from_numpy(np.where(balanced, member, corrupted))
        return score_last(tokens, torch.from_numpy(2 * self.types + balanced))

    def solve(self, batch: Batch) -> Tensor:
        """Run the stack."""
        balanced = self._balanced(batch.tokens.numpy())
        return score_last(batch.tokens, torch.from_numpy(2 * self.types + balanced[:, None])).targets

    def chance(self, size: int) -> float:
        """Both answers are equally likely."""
        return 0.5

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every string of brackets."""
        self.check_size(size)
        return every_sequence(2 * self.types, size)

    def valid(self, tokens: Tensor) -> bool:
        """Any non-empty string of brackets of even length."""
        brackets = (tokens >= 0) & (tokens < 2 * self.types)
        return tokens.numel() >= 2 and tokens.numel() % 2 == 0 and bool(brackets.all())

    def _most_changes(self, size: int) -> int:
        return max(1, size // 10)

    def _member(self, words: Words) -> Ints:
        """Balanced strings (B, N): open or close with equal chance where both are possible."""
        count, size = words.shape
        steps, types = 2 * integers(words, 2) - 1, integers(words >> np.uint64(1), self.types)
        depths = np.zeros((size + 1, count), np.int64)
        for t, step in enumerate(steps.T):
            # What would go below nothing, or above what can still be closed, goes the other way instead.
            room, depth = min(self.depth, size - t), np.abs(depths[t] + step)
            np.minimum(depth, 2 * room - depth, out=depths[t + 1])
        opening, closing = pairs(depths.T)
        np.put_along_axis(types, closing, self.types + np.take_along_axis(types, opening, axis=1), axis=1)
        return types

    def _corrupt(self, member: Ints, words: Words) -> Ints:
        """Non-members (B, N), each a few changes away from a member."""
        count, size = member.shape
        changes = 1 + integers(words[:, :1], self._most_changes(size))
        places, kinds, shifts = (
            integers(part, bound)
            for part, bound in zip(np.split(words[:, 1:], 3, axis=1), (size, 2, max(1, self.types - 1)), strict=True)
        )
        active = np.arange(self._most_changes(size)) < changes
        turning = (kinds == 1) | (self.types == 1)
        # A change turns a bracket or moves it on among the types, so the changes of one place add up in any order.
        turns, moves = np.zeros((2, count, size), np.int64)
        at = np.arange(count)[:, None], places
        np.add.at(turns, at, active & turning)
        np.add.at(moves, at, (active & ~turning) * (1 + shifts))
        tokens = (member // self.types + turns) % 2 * self.types + (member % self.types + moves) % self.types
        whole = self._balanced(tokens)
        tokens[whole, places[whole, 0]] = (tokens[whole, places[whole, 0]] + self.types) % (2 * self.types)
        return tokens

    def _balanced(self, tokens: Ints) -> Bools:
        """Membership of each row of `tokens` (B, N): (B,) bool."""
        depths = np.zeros((len(tokens), tokens.shape[1] + 1), np.int64)
        np.cumsum(np.where(tokens < self.types, 1, -1), axis=1, out=depths[:, 1:])
        inside = (depths >= 0).all(1) & (depths <= self.depth).all(1) & (depths[:, -1] == 0)
        opening, closing = pairs(depths)
        kinds = tokens % self.types
        matched = np.take_along_axis(kinds, opening, axis=1) == np.take_along_axis(kinds, closing, axis=1)
        balanced: Bools = inside & matched.all(1)
        return balanced


def pairs(depths: Ints) -> tuple[Ints, Ints]:
    """Places (B, ⌊N/2⌋) of the opening brackets and, in the same order, of those that close them.

    depths  (B, N+1) before, between and after N brackets: from 0 to 0, never below. For others the pairs mean nothing

    Among the brackets of one depth the two kinds take turns, so sorted by depth and place they stand side by side.
    """
    size = depths.shape[1] - 1
    levels = np.maximum(depths[:, :-1], depths[:, 1:])
    places = np.sort(levels * size + np.arange(size), axis=1) % size
    paired = places[:, : size - size % 2]
    return paired[:, 0::2], paired[:, 1::2]
