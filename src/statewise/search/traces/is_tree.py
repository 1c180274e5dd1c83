"""Traces of IsTree: a walk through the tree, depth first.

    prompt              begin 2 - 1  4 - 1  3 - 0  4 - 0  end
    chain of thought    0 3 0 4 1 2 1 4 0 <answer> yes

Neighbours come in the order of the prompt's edges; a vertex is written when it is entered and again after each child. A
neighbour that is known and is not the one come from closes a cycle: there the walk ends. It is a tree if the walk
comes back having seen every vertex. The walk starts at vertex 0 or, where names are drawn, at the first vertex of the
prompt.

Retrieval writes down the father of each vertex as it is found, `u ~ v`, and searches for what it needs:

    query       pattern                                              finds
    v ~         \\bv ~ (\\d+)␠                                         the father of v
    v -         ^[^;]*?\\b(?:v - (\\d+)|(\\d+) - v)␠                    its first neighbour
    v - p       ^[^;]*?\\b(?:v - p|p - v) [^;]*?\\b(?: … )␠             its next one after p

The prompt ends with `;`, so that neighbours are looked for in the prompt alone. At a size of n a tree's walk takes
2n − 1 tokens and its searches 37n − 26, the answer apart.

Source: Wen, Dang, Lyu, arXiv 2402.18510, §5 and appendix B, in the formats of its code (dangxingyu/rnn-icrag), where
searches are simulated; here they are run.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from statewise.core.errors import SearchError
from statewise.search.page import Page
from statewise.search.traces.notation import Mark, Notation
from statewise.search.traces.trace import Trace
from statewise.search.words import Words
from statewise.tasks import IsTree
from statewise.tasks.is_tree import DASH, FIRST_VERTEX, NO, YES


class IsTreeTrace(Trace):
    """Walks and searches on two stars with one link."""

    solves: ClassVar[type[IsTree]] = IsTree
    task: IsTree

    def write_down(self) -> Notation:
        """Vertices are numbers; the father's sign is a mark."""
        spoken = ("no", "yes", "begin", "-", ";", *map(str, range(self.task.vocabulary(self.largest) - FIRST_VERTEX)))
        return Notation(marks=(Mark(word="~"),), spoken=spoken, pieces=(None,) * len(spoken), pattern=pattern_of)

    def think(self, prompt: list[int], page: Page) -> None:
        """The walk, then whether it saw every vertex."""
        page.write(*self._walk(prompt))
        self._answer(prompt, page, tree=len(page.tokens) == len(prompt) + 2 * self._size(prompt) - 1)

    def retrieve(self, prompt: list[int], page: Page) -> None:
        """The walk by searches: the state is the vertex, the one come from, and how many were seen."""
        father_of, edge = self.notation.mark(0), self.notation.first + DASH
        root = self._root(prompt)
        path: list[int] = [root]
        before: int | None = None
        seen = 1
        while path:
            vertex = path[-1]
            page.write(vertex)
            father = page.search(vertex, father_of)
            if before is None or before == father:
                near = page.search(vertex, edge)
            else:
                near = page.search(vertex, edge, before)
            if near is not None and near == father:
                near = page.search(vertex, edge, near)
            if near is None:
                before = path.pop()
                continue
            if page.search(near, father_of) is not None or near == root:
                break
            page.write(near, father_of, vertex)
            path, before, seen = [*path, near], vertex, seen + 1
        self._answer(prompt, page, tree=not path and seen == self._size(prompt))

    def longest(self, size: int, *, retrieving: bool) -> int:
        """Of a tree: no walk that ends early is longer."""
        return (37 * size - 26 if retrieving else 2 * size - 1) + 2

    def _walk(self, prompt: list[int]) -> Iterator[int]:
        edges = list(zip(prompt[1:-1:3], prompt[3:-1:3], strict=True))
        near: dict[int, list[int]] = {}
        for one, other in edges:
            near.setdefault(one, []).append(other)
            near.setdefault(other, []).append(one)
        root = self._root(prompt)
        yield root
        # A centre on which no leaf hangs stands in no edge.
        path, left, seen = [root], {root: iter(near.get(root, []))}, {root}
        while path:
            child = next(left[path[-1]], None)
            if child is None:
                path.pop()
                yield from path[-1:]
            elif child not in seen:
                seen.add(child)
                path.append(child)
                left[child] = iter(near[child])
                yield child
            elif child not in path[-2:-1]:
                return

    def _root(self, prompt: list[int]) -> int:
        return self.notation.first + FIRST_VERTEX if self.task.names is None else prompt[1]

    def _size(self, prompt: list[int]) -> int:
        return (len(prompt) + 1) // 3

    def _answer(self, prompt: list[int], page: Page, *, tree: bool) -> None:
        page.answer(self.notation.first + (YES if tree else NO))


def pattern_of(words: Words, query: Sequence[int]) -> str:
    """The pattern of a query: v ~, v - or v - p. A SearchError for anything else."""
    written = tuple(words.context[each] for each in query)
    if not written[:1] or not all(word.isdigit() for word in (written[0], *written[2:])):
        raise SearchError(f"{' '.join(written)!r} is no query: it must be v ~, v - or v - p, with vertices v and p")
    vertex = written[0]
    edge = rf"\b(?:{vertex} - (\d+)|(\d+) - {vertex}) "
    match written[1:]:
        case ("~",):
            return rf"\b{vertex} ~ (\d+) "
        case ("-",):
            return f"^[^;]*?{edge}"
        case ("-", before):
            return rf"^[^;]*?\b(?:{vertex} - {before}|{before} - {vertex}) [^;]*?{edge}"
    raise SearchError(f"{' '.join(written)!r} is no query: it must be v ~, v - or v - p, with vertices v and p")
