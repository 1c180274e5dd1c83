"""What a search tool is, and what became of a call."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable


@runtime_checkable
class Tool(Protocol):
    """Anything that answers a query from the context. Implement this for a tool of your own.

    def __call__(self, query, context):
        place = context.index(query[0])
        return context[place + 1 : place + 2]
    """

    def __call__(self, query: Sequence[int], context: Sequence[int]) -> Sequence[int]:
        """The ids that were found; none where nothing was.

        query    ids between the token that opened the search and the one that closed it
        context  every id before the token that opened the search, in order

        A SearchError says in words why nothing was found. Whatever else is raised counts as a fault of the tool: the
        search has failed, and generation goes on.
        """


class Call(NamedTuple):
    """One search of one sequence.

    place    of the token that closed it, counted in the whole sequence, from 0
    query    ids
    answer   ids that were appended; none where it failed
    because  why it failed; empty where it did not
    """

    place: int
    query: tuple[int, ...]
    answer: tuple[int, ...]
    because: str = ""

    @property
    def failed(self) -> bool:
        """Whether nothing was found."""
        return not self.answer
