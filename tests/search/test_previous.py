"""PreviousTool: the last write, against a plain loop and on a tape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statewise.core.errors import SearchError, UsageError
from statewise.search import PreviousTool, Tool

IDS = st.integers(0, 2)


def plainly(query, context, count):
    """What follows the last place that has so many ids behind it, or None."""
    found = None
    for place in range(len(context)):
        rest = context[place + len(query) :]
        if context[place : place + len(query)] == query and len(rest) >= count:
            found = rest[:count]
    return found


@given(st.lists(IDS, max_size=3), st.lists(IDS, max_size=12), st.integers(1, 3))
def test_it_is_the_last_place_that_a_plain_loop_finds(query, context, count):
    tool = PreviousTool(count)
    expected = plainly(query, context, count) if query else None
    if expected is not None:
        assert tool(query, context) == tool(tuple(query), tuple(context)) == expected
        return
    with pytest.raises(SearchError):
        tool(query, context)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(5, 7)), max_size=20))
def test_a_tape_written_as_cell_and_symbol_is_read_as_a_dictionary(writes):
    tape = dict(writes)
    context = [token for write in writes for token in write]
    for cell in range(5):
        if cell in tape:
            assert PreviousTool()([cell], context) == [tape[cell]]
        else:
            with pytest.raises(SearchError):
                PreviousTool()([cell], context)


def test_it_is_a_tool():
    assert isinstance(PreviousTool(), Tool)


def test_an_empty_query_says_so():
    with pytest.raises(SearchError, match=r"^the query is empty$"):
        PreviousTool()([], [1, 2])


@pytest.mark.parametrize("context", [[], [7], [1, 2], [1, 7]])
def test_a_query_that_nothing_follows_says_so(context):
    with pytest.raises(SearchError, match=r"^the query does not stand in the context with anything after it$"):
        PreviousTool()([7], context)


@pytest.mark.parametrize("count", [0, -1])
def test_at_least_one_id_is_asked_for(count):
    with pytest.raises(UsageError, match=f"^PreviousTool: count is {count}; it must be at least 1$"):
        PreviousTool(count)
