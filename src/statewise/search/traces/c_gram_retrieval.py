"""Traces of c-gram retrieval.

prompt              s0 s2 s1 s0 s2 s3 s1 s0 s2
chain of thought    s0 s2 s1 <answer> s1                                the string aloud, as far as the gram
retrieval           <search> ^(?:\\S+␠)*? s0␠ s2␠ (\\S+)␠ <end> s1 <answer> s1
"""

from typing import ClassVar

from statewise.search.page import Page
from statewise.search.traces.notation import Mark, Notation
from statewise.search.traces.trace import Trace
from statewise.tasks import CGramRetrieval


class CGramRetrievalTrace(Trace):
    """One query: what followed the first occurrence of the last symbols."""

    solves: ClassVar[type[CGramRetrieval]] = CGramRetrieval
    task: CGramRetrieval

    def write_down(self) -> Notation:
        """Symbols s0, s1, …"""
        spoken = tuple(f"s{each}" for each in range(self.task.alphabet))
        return Notation(
            marks=(Mark(word="find", piece=r"^(?:\S+ )*?"), Mark(word="take", piece=r"(\S+) ")),
            spoken=spoken,
            pieces=tuple(f"{word} " for word in spoken),
        )

    def think(self, prompt: list[int], page: Page) -> None:
        """Recite."""
        asked = self._asked(prompt)
        place = next(i for i in range(len(prompt)) if prompt[i : i + len(asked)] == asked)
        read = prompt[: place + len(asked) + 1]
        page.write(*read)
        page.answer(read[-1])

    def retrieve(self, prompt: list[int], page: Page) -> None:
        """Search by the gram."""
        found = page.search(self.notation.mark(0), *self._asked(prompt), self.notation.mark(1))
        assert found is not None
        page.answer(found)

    def longest(self, size: int, *, retrieving: bool) -> int:
        """The whole string, or one search, and the answer."""
        return (5 + self.task.gram - 1 if retrieving else size) + 2

    def _asked(self, prompt: list[int]) -> list[int]:
        return prompt[1 - self.task.gram :]
