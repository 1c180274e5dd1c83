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
        opens, types = integers(words, 2), integers(words >> np.uint64(1), self.types)
        tokens, stack = np.zeros((count, size), np.int64), np.zeros((count, self.depth), np.int64)
        depth, rows = np.zeros(count, np.int64), np.arange(count)
        for t in range(size):
            room = np.minimum(self.depth, size - t)
            opening = (depth == 0) | ((depth < room) & (opens[:, t] == 1))
            top = stack[rows, np.maximum(depth - 1, 0)]
            tokens[:, t] = np.where(opening, types[:, t], self.types + top)
            stack[rows[opening], depth[opening]] = types[opening, t]
            depth += np.where(opening, 1, -1)
        return tokens

    def _corrupt(self, member: Ints, words: Words) -> Ints:
        """Non-members (B, N), each a few changes away from a member."""
        count, size = member.shape
        changes = 1 + integers(words[:, :1], self._most_changes(size))
        places, kinds, shifts = (
            integers(part, bound)
            for part, bound in zip(np.split(words[:, 1:], 3, axis=1), (size, 2, max(1, self.types - 1)), strict=True)
        )
        tokens, rows = member.copy(), np.arange(count)
        for i in range(self._most_changes(size)):
            active = i < changes[:, 0]
            old = tokens[rows, places[:, i]]
            retyped = old - old % self.types + (old + 1 + shifts[:, i]) % self.types
            turned = (old + self.types) % (2 * self.types)
            new = np.where((kinds[:, i] == 0) & (self.types > 1), retyped, turned)
            tokens[rows[active], places[active, i]] = new[active]
        whole = self._balanced(tokens)
        tokens[whole, places[whole, 0]] = (tokens[whole, places[whole, 0]] + self.types) % (2 * self.types)
        return tokens

    def _balanced(self, tokens: Ints) -> Bools:
        """Membership of each row of `tokens` (B, N): (B,) bool."""
        count, size = tokens.shape
        stack, depth = np.zeros((count, self.depth), np.int64), np.zeros(count, np.int64)
        rows, alive = np.arange(count), np.ones(count, np.bool_)
        for t in range(size):
            opening, kind = tokens[:, t] < self.types, tokens[:, t] % self.types
            alive &= np.where(opening, depth < self.depth, depth > 0)
            top = stack[rows, np.clip(depth - 1, 0, self.depth - 1)]
            alive &= opening | (top == kind)
            pushed = opening & alive
            stack[rows[pushed], depth[pushed]] = kind[pushed]
            depth = np.where(alive, depth + np.where(opening, 1, -1), depth)
        balanced: Bools = alive & (depth == 0)
        return balanced
