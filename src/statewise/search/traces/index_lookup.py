"""Traces of index lookup.

    prompt              s2 s0 s3 @1
    chain of thought    s2 s0 <answer> s0                                   the string aloud, as far as the place
    retrieval           <search> ^(?:\\S+␠){ @1 }(\\S+)␠ <end> s0 <answer> s0

A query @p stands for the digits of p in a pattern.
"""

from typing import ClassVar

from statewise.core.errors import UsageError
from statewise.search.page import Page
from statewise.search.regex import LARGEST_REPEAT
from statewise.search.traces.notation import Mark, Notation
from statewise.search.traces.trace import Trace
from statewise.tasks import IndexLookup


class IndexLookupTrace(Trace):
    """One query: the symbol at a place."""

    solves: ClassVar[type[IndexLookup]] = IndexLookup
    task: IndexLookup

    def write_down(self) -> Notation:
        """Symbols s0, s1, …, places @0, @1, …; a pattern skips as many words as a place says."""
        if self.task.queries != 1 or self.largest > LARGEST_REPEAT + 1:
            raise UsageError(
                f"index-lookup: queries is {self.task.queries} and size is {self.largest}; step by step there is one "
                f"query, of at most {LARGEST_REPEAT + 1} places (RE2 repeats no more)"
            )
        symbols, places = range(self.task.alphabet), range(self.largest)
        return Notation(
            marks=(Mark(word="skip", piece=r"^(?:\S+ ){"), Mark(word="take", piece=r"}(\S+) ")),
            spoken=(*(f"s{each}" for each in symbols), *(f"@{each}" for each in places)),
            pieces=(*(f"s{each} " for each in symbols), *map(str, places)),
        )

    def think(self, prompt: list[int], page: Page) -> None:
        """Recite."""
        read = prompt[: self._place(prompt) + 1]
        page.write(*read)
        page.answer(read[-1])

    def retrieve(self, prompt: list[int], page: Page) -> None:
        """Search by the place."""
        found = page.search(self.notation.mark(0), prompt[-1], self.notation.mark(1))
        assert found is not None
        page.answer(found)

    def longest(self, size: int, *, retrieving: bool) -> int:
        """The whole string, or one search, and the answer."""
        return (6 if retrieving else size) + 2

    def _place(self, prompt: list[int]) -> int:
        return self.own(prompt[-1]) - self.task.alphabet
