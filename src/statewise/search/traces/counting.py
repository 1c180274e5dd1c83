"""Traces of counting.

    prompt              s2 s0 s2 s1 s2   s2 >1
    chain of thought    s2 >0 s2 >1 … <answer> yes                          each occurrence, with how many came before
    retrieval           <search> ^(?:(?:\\S+␠)*? s2␠ ){ >1 }(\\S+)␠ <end> s1 <answer> yes

A threshold >t stands for the digits of t + 1 in a pattern: what is found stands behind the occurrence number t + 1. The
symbol that is asked for counts as one more occurrence, and behind it stands the threshold: that, or nothing, means no.
"""

from typing import ClassVar

from statewise.core.errors import UsageError
from statewise.search.page import Page
from statewise.search.regex import LARGEST_REPEAT
from statewise.search.traces.notation import Mark, Notation
from statewise.search.traces.trace import Trace
from statewise.tasks import Counting


class CountingTrace(Trace):
    """One query: whether a symbol stands in the string more than so many times."""

    solves: ClassVar[type[Counting]] = Counting
    task: Counting

    def write_down(self) -> Notation:
        """Symbols s0, s1, …, the answers, thresholds >0, >1, …"""
        alphabet = self.task.alphabet
        thresholds = range(self.task.vocabulary(self.largest) - alphabet - 2)
        if len(thresholds) > LARGEST_REPEAT:
            raise UsageError(
                f"counting: there are {len(thresholds)} thresholds; step by step there may be at most {LARGEST_REPEAT} "
                "(RE2 repeats no more)"
            )
        return Notation(
            marks=(
                Mark(word="each", piece=r"^(?:(?:\S+ )*?"),
                Mark(word="times", piece="){"),
                Mark(word="take", piece=r"}(\S+) "),
            ),
            spoken=(*(f"s{each}" for each in range(alphabet)), "no", "yes", *(f">{each}" for each in thresholds)),
            pieces=(*(f"s{each} " for each in range(alphabet)), None, None, *(str(each + 1) for each in thresholds)),
        )

    def think(self, prompt: list[int], page: Page) -> None:
        """Count aloud, until there are enough or the string ends."""
        *string, symbol, threshold = prompt
        first, asked = self.notation.first + self.task.alphabet + 2, string.count(symbol)
        more = asked > threshold - first
        for before in range(min(asked, threshold - first + 1)):
            page.write(symbol, first + before)
        self._answer(page, more=more)

    def retrieve(self, prompt: list[int], page: Page) -> None:
        """Search for what stands behind the occurrence that decides."""
        *_, symbol, threshold = prompt
        each, times, take = map(self.notation.mark, range(3))
        found = page.search(each, symbol, times, threshold, take)
        self._answer(page, more=found is not None and found != threshold)

    def longest(self, size: int, *, retrieving: bool) -> int:
        """Every symbol counted, or one search, and the answer."""
        counted = size if self.task.threshold is None else min(size, self.task.threshold + 1)
        return (8 if retrieving else 2 * counted) + 2

    def _answer(self, page: Page, *, more: bool) -> None:
        page.answer(self.notation.first + self.task.alphabet + more)
