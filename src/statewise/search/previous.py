"""Search for the last write: what a model needs that keeps a memory in its own context."""

from collections.abc import Sequence

from statewise.core.errors import SearchError, UsageError


class PreviousTool:
    """The ids that stood right after the last place where the query stands in the context.

    count  how many ids

    A machine that writes each cell's number and then its symbol reads the cell by its number. O(context · query).

    Source: Wen, Dang, Lyu, arXiv 2402.18510, Theorem 5.4, whose pattern looks for the last write to a cell.

    >>> PreviousTool()([7], context=[7, 1, 8, 0, 7, 2, 8, 3])
    [2]
    """

    bounded = True

    def __init__(self, count: int = 1) -> None:
        if count < 1:
            raise UsageError(f"PreviousTool: count is {count}; it must be at least 1")
        self.count = count

    def __call__(self, query: Sequence[int], context: Sequence[int]) -> list[int]:
        """What was written. A SearchError where the query is empty or nothing follows any place of it."""
        query, context = list(query), list(context)
        if not query:
            raise SearchError("the query is empty")
        for place in range(len(context) - len(query) - self.count, -1, -1):
            if context[place : place + len(query)] == query:
                after = place + len(query)
                return context[after : after + self.count]
        raise SearchError("the query does not stand in the context with anything after it")
