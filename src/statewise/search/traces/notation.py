"""How the ids of a task are written when it is answered step by step.

    ids    0 … 4        then         then
           controls     marks        the ids of the task itself

Controls stand apart from whatever a prompt can hold. Marks are pieces of patterns, or signs of the trace's own. Where
words have no separator, as bytes have none, controls and marks are written as characters that no byte is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from statewise.search.page import CONTROLS
from statewise.search.words import PRIVATE_USE, Words


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A token that traces use and the task does not: its word in the context, and what it adds to a pattern."""

    word: str
    piece: str | None = None


@dataclass(frozen=True, kw_only=True)
class Notation:
    """The words of a task's ids, its marks before them.

    spoken     word of each id of the task, in the context
    pieces     what each id of the task adds to a pattern; None where it cannot stand in one
    pattern    from a query to a pattern, where it is more than its pieces one after the other
    separator  after every word of the context; empty where the words of the task are single characters
    """

    marks: tuple[Mark, ...] = ()
    spoken: tuple[str, ...]
    pieces: tuple[str | None, ...]
    pattern: Callable[[Words, Sequence[int]], str] | None = None
    separator: str = " "

    @property
    def first(self) -> int:
        """The id under which the task's id 0 goes."""
        return len(CONTROLS) + len(self.marks)

    def mark(self, place: int) -> int:
        """The id of a mark."""
        return len(CONTROLS) + place

    @cached_property
    def words(self) -> Words:
        """Words for all ids."""
        named = (*CONTROLS, *(mark.word for mark in self.marks))
        single = tuple(chr(PRIVATE_USE + place) for place in range(len(named)))
        return Words(
            (*(named if self.separator else single), *self.spoken),
            (*(None for _ in CONTROLS), *(mark.piece for mark in self.marks), *self.pieces),
            self.separator,
        )
