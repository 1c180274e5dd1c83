"""IsTree by merging: the edges one after the other, each joins two components or closes a cycle.

    prompt   begin 2 - 1   3 - 2   3 - 1  end
    trace    <first> 2 2 2   <second> 1 1 1   <join> 2 1
             <first> 3 3 3   <second> 2 1 1   <join> 3 1
             <first> 3 1 1   <second> 1 1 1   <answer> no

A step `x p g` is a vertex, its parent and its grandparent, and makes g the parent of x from there on; `join r s` makes
s the parent of r. A vertex that was never given a parent is its own. Steps go from a vertex to its parent until parent
and grandparent are one: that is the component's root. The first end's component is asked for, then the second's: one
root is a cycle, two are joined. n − 1 edges without a cycle are a tree.

Every parent is the one thing that is looked up: the last of its records, or the vertex itself in the prompt.

Length. A step from depth d, to parents that are split in pairs, leaves ⌈d/2⌉, so that with twice the depths of both
centres as a potential a find from a centre costs at most 1; each of n − 1 joins adds at most 1 to either depth, 4 to
the potential. Every leaf is found once when it is new, in one step, and the two leaves of the link once more, in at
most n − 1. Together that is less than 8n steps of 4 tokens, and n − 1 joins of 3: at most 35n tokens with the answer.
Of any graph they are O(n log n): splitting, linked as it comes (Tarjan and van Leeuwen 1984, J. ACM 31(2)).

Source: the O(n log n) tokens of Wen, Dang, Lyu, arXiv 2402.18510, Theorem 5.7, which walks and doubles distances
instead. Merging is ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from statewise.search.page import Page
from statewise.search.traced import Traced
from statewise.search.traces.is_tree import IsTreeTrace
from statewise.search.traces.notation import Mark, Notation
from statewise.search.traces.trace import Trace
from statewise.tasks import IsTree
from statewise.tasks.is_tree import NO, YES

MARKS = ("<first>", "<second>", "<on>", "<join>")
"""Before the steps of an edge's first end, of its second, before every step that goes on, and before a join."""

FIRST, SECOND, ON, JOIN = range(4)


class MergingTrace(Trace):
    """Components merged edge by edge."""

    solves: ClassVar[type[IsTree]] = IsTree
    task: IsTree

    def write_down(self) -> Notation:
        """Vertices are numbers, as in walks; four marks."""
        walk = IsTreeTrace(self.task, self.largest).notation
        return Notation(marks=tuple(Mark(word=word) for word in MARKS), spoken=walk.spoken, pieces=walk.pieces)

    def think(self, prompt: list[int], page: Page) -> None:
        """Find both ends of every edge, and join them or stop."""
        parents = {vertex: vertex for vertex in prompt[1:-1:3] + prompt[3:-1:3]}
        for one, other in zip(prompt[1:-1:3], prompt[3:-1:3], strict=True):
            roots = [self._find(page, parents, end, mark) for end, mark in ((one, FIRST), (other, SECOND))]
            if roots[0] == roots[1]:
                page.answer(self.notation.first + NO)
                return
            page.write(self.notation.mark(JOIN), *roots)
            parents[roots[0]] = roots[1]
        page.answer(self.notation.first + YES)

    def retrieve(self, prompt: list[int], page: Page) -> None:
        """The same: nothing is searched."""
        self.think(prompt, page)

    def longest(self, size: int, *, retrieving: bool) -> int:
        """35n, as derived above."""
        return 35 * size

    def _find(self, page: Page, parents: dict[int, int], vertex: int, mark: int) -> int:
        for opening in self._openings(mark):
            parent = parents[vertex]
            grandparent = parents[parent]
            page.write(opening, vertex, parent, grandparent)
            parents[vertex] = grandparent
            if parent == grandparent:
                return parent
            vertex = parent
        raise AssertionError("openings do not end")

    def _openings(self, mark: int) -> Iterator[int]:
        yield self.notation.mark(mark)
        while True:
            yield self.notation.mark(ON)


@dataclass(frozen=True)
class Merging(Traced):
    """IsTree answered after merging aloud, without tools.

    >>> import torch
    >>> task = Merging(IsTree())
    >>> trace = task.trace(4)
    >>> prompt = [trace.notation.first + token for token in [2, 8, 3, 7, 7, 3, 5, 8, 3, 6, 4]]
    >>> trace.notation.words.text(task.page(prompt, 4).tokens[len(prompt) :])
    '<first> 3 3 3 <second> 2 2 2 <join> 3 2 <first> 2 2 2 <second> 0 0 0 <join> 2 0 <first> 3 2 0 <on> 2 0 0 <second> \
1 1 1 <join> 0 1 <answer> yes '
    """

    name: ClassVar[str] = "merging"
    retrieving: ClassVar[bool] = False
    task: IsTree

    def trace(self, size: int) -> MergingTrace:
        """The solver at sizes up to this one."""
        return kept_trace(self.task, size)

    def write(self, trace: Trace, prompt: list[int], page: Page) -> None:
        """Merge aloud."""
        trace.think(prompt, page)


@lru_cache(maxsize=256)
def kept_trace(task: IsTree, largest: int) -> MergingTrace:
    """The solver of a task, made once."""
    return MergingTrace(task, largest)
