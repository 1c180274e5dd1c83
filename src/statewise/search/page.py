"""A page that a solver fills as a model would: it writes, it searches, and it reads what the tool appends."""

from collections.abc import Mapping, Sequence

from statewise.core.errors import SearchError
from statewise.search.tool import Tool

CONTROLS = ("<pad>", "<search>", "<end>", "<failed>", "<answer>")
PAD, SEARCH, END, FAILED, ANSWER = range(5)


class Page:
    """A sequence that grows after a prompt. O(1) for each token written, a call of the tool for each search.

    tokens  everything so far
    own     whether each was written by the solver, and neither read in the prompt nor appended by a tool

    >>> from statewise.search import PreviousTool
    >>> page = Page([7, 9], {SEARCH: PreviousTool()})
    >>> page.search(7), page.tokens, page.own
    (9, [7, 9, 1, 7, 2, 9], [False, False, True, True, True, False])
    """

    def __init__(self, prompt: Sequence[int], tools: Mapping[int, Tool]) -> None:
        self.tokens = list(prompt)
        self.own = [False] * len(prompt)
        self.tools = tools

    def write(self, *tokens: int) -> None:
        """Append tokens of the solver's own."""
        self.tokens += tokens
        self.own += [True] * len(tokens)

    def search(self, *query: int) -> int | None:
        """Ask the tool: its answer, one token, is appended, or FAILED; None where it failed."""
        context = tuple(self.tokens)
        self.write(SEARCH, *query, END)
        try:
            (found,) = self.tools[SEARCH](query, context)
        except SearchError:
            found = FAILED
        self.tokens.append(found)
        self.own.append(False)
        return None if found == FAILED else found

    def answer(self, token: int) -> None:
        """Mark the answer and give it: nothing comes after it."""
        self.write(ANSWER, token)
