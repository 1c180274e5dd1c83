"""Proposition 5.1: a tool that answers associative recall does not help with index lookup.

Binary symbols at odd places, a filler at even ones: every string of this kind, and everything that can be asked of it.
"""

from collections import Counter
from itertools import product

import pytest
import torch

from statewise.bounds import index_lookup
from statewise.core.errors import SearchError
from statewise.search.recall_tool import RecallTool
from statewise.tasks import IndexLookup
from statewise.tasks.task import UNSCORED, Batch

ALPHABET, FILLER = 3, 2
NOTHING = ()


def strings(size):
    """Every string of the symbols 0 and 1 at places 1, 3, 5, … with the filler between."""
    symbols = product((0, 1), repeat=(size + 1) // 2)
    return [tuple(token for symbol in each for token in (symbol, FILLER))[:size] for each in symbols]


def answers(string):
    """What the tool says of a string, whatever token of the task it is asked: a symbol, the filler, a place."""
    tool, found = RecallTool(), []
    for query in range(ALPHABET + len(string)):
        try:
            found.append(tuple(tool([query], string)))
        except SearchError:
            found.append(NOTHING)
    return tuple(found)


def looked_up(string, place):
    tokens = torch.tensor([[*string, ALPHABET + place]])
    batch = Batch(tokens, torch.full_like(tokens, UNSCORED), torch.zeros_like(tokens, dtype=torch.bool))
    return IndexLookup(alphabet=ALPHABET).solve(batch)[0, -1].item()


@pytest.mark.parametrize("size", range(1, 13))
def test_all_answers_together_tell_at_most_three_bits(size):
    told = Counter(map(answers, strings(size)))
    assert len(told) <= 2**3


@pytest.mark.parametrize("size", range(8, 13))
def test_so_many_strings_share_all_answers_that_the_bound_remains(size):
    sharing = max(Counter(map(answers, strings(size))).values())
    remaining = index_lookup.required_bits_beside_recall(size, ALPHABET).value
    assert sharing >= len(strings(size)) / 2**3 >= 2**remaining
    assert remaining == size // 2 - 3


def test_two_strings_with_the_same_answers_are_looked_up_differently():
    one, other = (0, 2, 1, 2, 0, 2, 0, 2), (0, 2, 1, 2, 0, 2, 1, 2)
    assert answers(one) == answers(other) == ((FILLER,), (FILLER,), (1,), *[NOTHING] * 8)
    assert [looked_up(string, 6) for string in (one, other)] == [0, 1]


@pytest.mark.parametrize(("context", "found"), [((7, 1, 7, 2), [1]), ((1, 7, 7, 2), [7])])
def test_recall_finds_what_followed_first(context, found):
    assert RecallTool()([7], context) == found


@pytest.mark.parametrize(
    ("query", "context", "message"),
    [
        ((7,), (1, 2), "nothing follows the query in the context"),
        ((7,), (1, 7), "nothing follows the query in the context"),
        ((), (1, 2), "the query has 0 tokens; recall is asked by exactly one"),
        ((1, 2), (1, 2, 3), "the query has 2 tokens; recall is asked by exactly one"),
    ],
)
def test_what_is_not_found_is_said(query, context, message):
    with pytest.raises(SearchError, match=message):
        RecallTool()(query, context)
