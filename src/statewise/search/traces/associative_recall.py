"""Traces of associative recall.

prompt              k1 v0 k3 v2 k0 v2 k3
chain of thought    k1 v0 k3 v2 <answer> v2                             the pairs aloud, as far as the key
retrieval           <search> ^(?:\\S+␠)*? k3␠ (\\S+)␠ <end> v2 <answer> v2
"""

from typing import ClassVar

from statewise.search.page import Page
from statewise.search.traces.notation import Mark, Notation
from statewise.search.traces.trace import Trace
from statewise.tasks import AssociativeRecall


class AssociativeRecallTrace(Trace):
    """One query: the value beside a key."""

    solves: ClassVar[type[AssociativeRecall]] = AssociativeRecall
    task: AssociativeRecall

    def write_down(self) -> Notation:
        """Keys k0, k1, … and values v0, v1, …"""
        spoken = (*(f"k{each}" for each in range(self.task.keys)), *(f"v{each}" for each in range(self.task.values)))
        return Notation(
            marks=(Mark(word="find", piece=r"^(?:\S+ )*?"), Mark(word="take", piece=r"(\S+) ")),
            spoken=spoken,
            pieces=tuple(f"{word} " for word in spoken),
        )

    def think(self, prompt: list[int], page: Page) -> None:
        """Recite."""
        read = prompt[: prompt.index(prompt[-1]) + 2]
        page.write(*read)
        page.answer(read[-1])

    def retrieve(self, prompt: list[int], page: Page) -> None:
        """Search by the key."""
        found = page.search(self.notation.mark(0), prompt[-1], self.notation.mark(1))
        assert found is not None
        page.answer(found)

    def longest(self, size: int, *, retrieving: bool) -> int:
        """All pairs, or one search, and the answer."""
        return (6 if retrieving else 2 * size) + 2
