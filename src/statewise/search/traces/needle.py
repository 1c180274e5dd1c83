"""Traces of needles: bytes are written as they are, and controls and marks as characters that no byte is.

    prompt              … ⏎The mark of qev is K.⏎ … ⏎The mark of qev is␠
    chain of thought    The mark of qev is K <answer> K                            the fact aloud
    retrieval           <search> The mark of␠ q e v ␠is (\\S) <end> K <answer> K

A byte in a pattern is matched as it is, whatever it means to the engine.
"""

import re
from typing import ClassVar

from statewise.search.page import Page
from statewise.search.traces.notation import Mark, Notation
from statewise.search.traces.trace import Trace
from statewise.tasks.needle import BEFORE, BETWEEN, LETTERS_OF_NAME, NAME, QUESTION, VALUE, Needle


class NeedleTrace(Trace):
    """One query: the value of a name."""

    solves: ClassVar[type[Needle]] = Needle
    task: Needle

    def write_down(self) -> Notation:
        """Byte b is the character b."""
        spoken = tuple(map(chr, range(256)))
        find, take = BEFORE.decode(), BETWEEN.decode() + r"(\S)"
        return Notation(
            marks=(Mark(word="find", piece=find), Mark(word="take", piece=take)),
            spoken=spoken,
            pieces=tuple(map(re.escape, spoken)),
            separator="",
        )

    def think(self, prompt: list[int], page: Page) -> None:
        """Recite the fact, without the line's ends."""
        asked = prompt[-QUESTION:]
        place = next(i for i in range(len(prompt)) if prompt[i : i + QUESTION] == asked)
        page.write(*prompt[place + 1 : place + VALUE + 1])
        page.answer(prompt[place + VALUE])

    def retrieve(self, prompt: list[int], page: Page) -> None:
        """Search by the name."""
        name = prompt[-QUESTION:][NAME : NAME + LETTERS_OF_NAME]
        found = page.search(self.notation.mark(0), *name, self.notation.mark(1))
        assert found is not None
        page.answer(found)

    def longest(self, size: int, *, retrieving: bool) -> int:
        """The fact, or one search and what it found, and the answer."""
        return (LETTERS_OF_NAME + 5 if retrieving else QUESTION) + 2
