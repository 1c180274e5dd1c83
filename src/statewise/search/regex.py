"""Search by regular expressions, in a linear-time engine: no pattern that a model writes can hang.

RE2 has no lookahead and no backreference, and refuses repeats above 1,000, nested ones multiplied. With one space after
every word these patterns answer the tasks of the theorems, {i} being a number written out (places from 0):

    the symbol at place i               ^(?:\\S+ ){i}(\\S+)␠
    what follows the first q            ^(?:\\S+ )*?q (\\S+)␠
    whether v occurs more than t times  ^((?:(?:\\S+ )*?v ){t+1})
    the last write to a cell p          ^.*\\bp (\\S+) p\\b

Source: Wen, Dang, Lyu, arXiv 2402.18510, §5 (the pattern that it prints for the last write returns the first).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from statewise.core.errors import SearchError, UsageError
from statewise.core.optional import require
from statewise.search.words import Words, shortened

LARGEST_REPEAT = 1000
"""RE2's own limit: the largest {n}."""

LARGEST_PROGRAM = 20_000
"""Instructions of a compiled pattern: some 18 bytes each, and a thousand patterns are kept."""

LARGEST_WORK = 10**9
"""Instructions of a compiled pattern, times characters. At worst RE2 runs each at each: 4·10⁸ a second on one core."""


class RegexTool:
    """The first capturing group that took part in the first match of a pattern in the context.

    words            how ids are written, in the context and in patterns
    pattern          from a query's ids to the pattern; None writes the pieces of the query one after the other
    largest_pattern  characters of a pattern; longer ones fail
    largest_answer   ids of an answer; longer ones fail, so that no match fills the context

    Calls are O(compiled pattern · context) at worst, and fail where that is above LARGEST_WORK; in at most 8 MiB (RE2's
    budget for its automaton). Needs the extra `search`, else a MissingExtraError.

    >>> words = Words(("a", "b", "c", "(", ")"), ("a ", "b ", "c ", "(", ")"))
    >>> RegexTool(words)([0, 3, 1, 4], context=[2, 0, 1, 2])
    [1]
    """

    bounded = True

    def __init__(
        self,
        words: Words,
        *,
        pattern: Callable[[Sequence[int]], str] | None = None,
        largest_pattern: int = 2000,
        largest_answer: int = 64,
    ) -> None:
        require("re2", extra="search", purpose="search by patterns")
        if largest_pattern < 1 or largest_answer < 1:
            raise UsageError(
                f"RegexTool: largest_pattern is {largest_pattern} and largest_answer is {largest_answer}; both must be "
                "at least 1"
            )
        self.words = words
        self.pattern = words.pattern if pattern is None else pattern
        self.largest_pattern = largest_pattern
        self.largest_answer = largest_answer

    def __call__(self, query: Sequence[int], context: Sequence[int]) -> list[int]:
        """The ids of the group. A SearchError where the pattern is wrong or too long, or finds nothing usable."""
        pattern = self.pattern(query)
        if len(pattern) > self.largest_pattern:
            raise SearchError(f"the pattern has {len(pattern)} characters; at most {self.largest_pattern} are searched")
        compiled = compiled_pattern(pattern)
        if not compiled.groups:
            raise SearchError(f"{shortened(pattern)!r} has no group to capture what is found")
        text = self.words.text(context)
        if compiled.programsize * len(text) > LARGEST_WORK:
            raise SearchError(
                f"{shortened(pattern)!r} has {compiled.programsize} instructions and the context {len(text)} "
                f"characters; their product may be at most {LARGEST_WORK:,}"
            )
        match = compiled.search(text)
        if match is None:
            raise SearchError(f"{shortened(pattern)!r} matches nothing")
        found = next((group for group in match.groups() if group is not None), "")
        ids = self.words.ids(found)
        if not ids:
            raise SearchError(f"{shortened(pattern)!r} captures nothing")
        if len(ids) > self.largest_answer:
            raise SearchError(f"{shortened(pattern)!r} captures {len(ids)} tokens; at most {self.largest_answer} fit")
        return ids


@lru_cache(maxsize=1024)
def compiled_pattern(pattern: str) -> Any:
    """A pattern that is ready to search. A SearchError where RE2 does not take it."""
    re2 = require("re2", extra="search", purpose="search by patterns")
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        (said,) = error.args
        reason = said.decode(errors="replace") if isinstance(said, bytes) else said
        in_one_line = shortened(" ".join(reason.split()))
        raise SearchError(f"{shortened(pattern)!r} is not a pattern: {in_one_line}") from None
    if compiled.programsize > LARGEST_PROGRAM:
        raise SearchError(
            f"{shortened(pattern)!r} has {compiled.programsize} instructions; at most {LARGEST_PROGRAM:,} are searched"
        )
    return compiled
