"""Search by one token: what first followed it. It answers associative recall, and nothing that asks for a place."""

from collections.abc import Sequence

from statewise.core.errors import SearchError


class RecallTool:
    """The token right after the first place where the query, one token, stands in the context. O(context).

    Where a filler follows every symbol it says the filler for each of them, and for the filler the symbol after the
    first one: so few bits that a model which has no other tool must keep the string itself.

    Source: Wen, Dang, Lyu, arXiv 2402.18510, Proposition 5.1 (its oracle).

    >>> RecallTool()([7], context=[7, 1, 8, 0, 7, 2])
    [1]
    """

    bounded = True

    def __call__(self, query: Sequence[int], context: Sequence[int]) -> list[int]:
        """What followed. A SearchError where the query is not one token, or no token follows its first place."""
        if len(query) != 1:
            raise SearchError(f"the query has {len(query)} tokens; recall is asked by exactly one")
        after = next((place + 1 for place, each in enumerate(context) if each == query[0]), len(context))
        if after >= len(context):
            raise SearchError("nothing follows the query in the context")
        return [context[after]]
