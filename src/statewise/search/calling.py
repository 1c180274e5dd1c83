"""Calling a tool that may raise, hang or return nonsense: whatever happens, the caller gets a Call."""

import threading
from collections.abc import Collection, Sequence
from operator import index
from typing import SupportsIndex

from statewise.core.errors import SearchError
from statewise.search.tool import Call, Tool


def call(tool: Tool, query: Sequence[int], context: Sequence[int], *, vocabulary: int, seconds: float) -> Call:
    """Ask a tool, and keep what became of it.

    vocabulary  an answer with an id outside [0, vocabulary) has failed
    seconds     after which a tool has failed; its thread is left behind, as Python cannot end it. Tools that say they
                are `bounded` are called without one
    """
    place, query = len(context) + len(query) + 1, tuple(query)
    try:
        answer = (
            ids(tool, query, context) if getattr(tool, "bounded", False) else patiently(tool, query, context, seconds)
        )
    except SearchError as error:
        return Call(place, query, (), str(error))
    except Exception as error:
        return Call(place, query, (), f"the tool raised {type(error).__name__}: {error}")
    if not answer:
        return Call(place, query, (), "nothing was found")
    if not all(0 <= each < vocabulary for each in answer):
        stray = next(each for each in answer if not 0 <= each < vocabulary)
        return Call(place, query, (), f"the tool returned {stray}, and the model's ids are from 0 to {vocabulary - 1}")
    return Call(place, query, answer)


def ids(tool: Tool, query: Sequence[int], context: Sequence[int]) -> tuple[int, ...]:
    """The tool's answer. A SearchError for one that is no sequence of ids: a generator might not end."""
    found = tool(query, context)
    if not isinstance(found, Collection) or not all(isinstance(each, SupportsIndex) for each in found):
        raise SearchError(f"the tool returned {type(found).__name__}, and a sequence of token ids was needed")
    return tuple(map(index, found))


def patiently(tool: Tool, query: Sequence[int], context: Sequence[int], seconds: float) -> tuple[int, ...]:
    """The tool's answer, or a SearchError after `seconds`. What the tool raises is raised here."""
    found: list[tuple[int, ...]] = []
    raised: list[Exception] = []

    def ask() -> None:
        try:
            found.append(ids(tool, query, context))
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=ask, daemon=True, name="statewise search tool")
    thread.start()
    thread.join(min(seconds, threading.TIMEOUT_MAX))
    if raised:
        raise raised[0]
    if not found:
        raise SearchError(f"the tool did not answer within {seconds:g} s")
    return found[0]
