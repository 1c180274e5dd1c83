"""IsTree: do these edges form a tree?

    begin  2 - 0   4 - 3   2 - 1   3 - 0  end
      ·    · · ·   · · ·   · · ·   · · ·  yes         (· is not scored)

    begin  2 - 0   4 - 3   2 - 1   1 - 0  end
      ·    · · ·   · · ·   · · ·   · · ·  no          (0, 1, 2 form a triangle, and 3, 4 stand apart)

The answers are the tokens 0 (no) and 1 (yes), then come begin = 2, the dash = 3 and end = 4; vertex v is the token
5 + v. In two stars, one link between two leaves decides. The number of edges says nothing, and the degrees of the
vertices little: from them alone one is right on 59 % at 8 vertices, 54 % at 16, 50.4 % at 128. A recurrent model that
answers at once must have kept on which side each leaf hangs: see `statewise.bounds`.

Source: Wen, Dang, Lyu, arXiv 2402.18510, §4 and appendix B, as its code draws it (dangxingyu/rnn-icrag, binary graphs):
edges with the larger vertex first, where the paper's definition has the smaller one first. Direct answer; the same with
a chain of thought or with searches: `statewise.search.Traced`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, permutations, product
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.draws import distinct
from statewise.tasks.task import Batch, Task, score_last

Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

NO, YES, BEGIN, DASH, END, FIRST_VERTEX = range(6)

MOST_LISTED = 5
"""At 6 vertices there are 136,800 inputs."""


@dataclass(frozen=True)
class IsTree(Task):
    """`size` vertices, at least 4, and size − 1 edges: two stars, and one link between two leaves.

    Centres are two random vertices, each other vertex hangs on either with equal chance, and the link joins two
    random leaves; edges come in random order. It is a tree if the linked leaves hang on different centres: half of
    the examples. Otherwise one star holds a triangle, and the other stands apart.

    names  None: the vertices are 0 … size − 1. A number of at least `size`: they are any so many of 0 … names − 1, so
           that sizes that were never trained use no vertex that was never seen

    >>> task = IsTree()
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=64, size=16)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "is-tree"
    names: int | None = None

    def check_size(self, size: int) -> None:
        """Raise a UsageError unless there are two centres and two leaves, and a name for every vertex."""
        if size < 4:
            raise UsageError(f"is-tree: size is {size}; it must be an integer of at least 4 (two centres, two leaves)")
        if self.names is not None and size > self.names:
            raise UsageError(f"is-tree: size is {size}; it must be at most names, which is {self.names}")

    def vocabulary(self, size: int) -> int:
        """Two answers, begin, the dash, end, and the vertices."""
        return FIRST_VERTEX + (size if self.names is None else self.names)

    def length(self, size: int) -> int:
        """Three tokens for each of size − 1 edges, between begin and end."""
        return 3 * size - 1

    def cut(self, size: int) -> int:
        """After half of the edges, where the most partitions are still open (counted for 4, 5 and 6 vertices)."""
        return 1 + 3 * ((size - 1) // 2)

    def num_words(self, size: int) -> int:
        """A word for each vertex's place, each leaf's centre, the link, each edge's place, and each vertex's name."""
        return size + (size - 2) + 1 + (size - 1) + (0 if self.names is None else size)

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Vertices in random order: two centres, then the leaves, of which two neighbours are linked."""
        places, sides, link, order, drawn = np.split(words, np.cumsum([size, size - 2, 1, size - 1]), axis=1)
        vertices, centres = places.argsort(axis=1, kind="stable"), integers(sides, 2)
        if self.names is not None:
            vertices = np.take_along_axis(distinct(drawn, self.names), vertices, axis=1)
        first = integers(link, size - 3)
        linked = [np.take_along_axis(vertices, 2 + first + i, axis=1) for i in (0, 1)]
        ends = (
            np.concatenate([vertices[:, 2:], linked[0]], axis=1),
            np.concatenate([np.take_along_axis(vertices, centres, axis=1), linked[1]], axis=1),
        )
        shuffled = order.argsort(axis=1, kind="stable")
        larger, smaller = (np.take_along_axis(pick(*ends), shuffled, axis=1) for pick in (np.maximum, np.minimum))
        sides_of_link = [np.take_along_axis(centres, first + i, axis=1) for i in (0, 1)]
        answers = np.where(sides_of_link[0] != sides_of_link[1], YES, NO)
        return score_last(torch.from_numpy(_written(larger, smaller)), torch.from_numpy(answers))

    def solve(self, batch: Batch) -> Tensor:
        """Merge the components that each edge joins; n − 1 edges form a tree if none closes a cycle."""
        one, other = (batch.tokens[:, first:-1:3] - FIRST_VERTEX for first in (1, 3))
        names = one.shape[1] + 1 if self.names is None else self.names
        component = torch.arange(names).repeat(len(one), 1)
        tree = torch.ones(len(one), 1, dtype=torch.bool)
        for edge in range(one.shape[1]):
            kept, merged = (component.gather(1, ends[:, edge, None]) for ends in (one, other))
            tree &= kept != merged
            component = torch.where(component == merged, kept, component)
        return score_last(batch.tokens, torch.where(tree, YES, NO)).targets

    def chance(self, size: int) -> float:
        """Both answers are equally likely."""
        return 0.5

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """Every such graph with its edges in every order, where names are not drawn."""
        self.check_size(size)
        if size > MOST_LISTED or self.names is not None:
            return None
        orders = (order for edges in _graphs(size) for order in permutations(edges))
        return (torch.from_numpy(_written(*np.array(order).T[:, None])[0]) for order in orders)

    def valid(self, tokens: Tensor) -> bool:
        """Edges written as above, of two stars and one link."""
        size = (tokens.numel() + 1) // 3
        if size < 4 or tokens.numel() != self.length(size):
            return False
        larger, smaller = ((tokens[first:-1:3] - FIRST_VERTEX).numpy() for first in (1, 3))
        names = size if self.names is None else self.names
        if size > names or smaller.min() < 0 or larger.max() >= names or bool((smaller >= larger).any()):
            return False
        if not bool((tokens.numpy() == _written(larger[None], smaller[None])[0]).all()):
            return False
        seen, ranks = np.unique([larger, smaller], return_inverse=True)
        # A centre on which no leaf hangs stands in no edge.
        return len(seen) <= size and _is_two_stars(*ranks.reshape(2, -1))


def _written(larger: Ints, smaller: Ints) -> Ints:
    """The tokens of edges (B, n−1) in their order: (B, 3n−1)."""
    count, edges = larger.shape
    tokens = np.full((count, 3 * edges + 2), DASH, np.int64)
    tokens[:, 0], tokens[:, -1] = BEGIN, END
    tokens[:, 1:-1:3], tokens[:, 3:-1:3] = FIRST_VERTEX + larger, FIRST_VERTEX + smaller
    return tokens


def _is_two_stars(larger: Ints, smaller: Ints) -> bool:
    """Whether there are two vertices, not joined, of which every other vertex is joined to exactly one."""
    size = len(larger) + 1
    joined = np.zeros((size, size), np.int64)
    joined[larger, smaller] = joined[smaller, larger] = 1
    if joined.sum() != 2 * len(larger):
        return False
    degree = joined.sum(axis=0)
    joined_to_one = degree[:, None] + degree - 2 * joined @ joined
    # Of n − 1 distinct edges, n − 2 are then those of the stars, and one is left over: the link.
    return bool(((joined == 0) & (joined_to_one == size - 2)).any())


def _graphs(size: int) -> list[tuple[tuple[int, int], ...]]:
    """The edges of every graph of two stars and one link, each graph once, edges as (larger, smaller)."""
    found = set()
    for centres in combinations(range(size), 2):
        leaves = [vertex for vertex in range(size) if vertex not in centres]
        for sides, link in product(product(centres, repeat=size - 2), combinations(leaves, 2)):
            edges = [*zip(leaves, sides, strict=True), link]
            found.add(tuple(sorted((max(edge), min(edge)) for edge in edges)))
    return sorted(found)
