"""The search for the size at which an accuracy crosses a level: bracketed, in few calls, whatever the function."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statewise.bounds import best_accuracy
from statewise.studies.limit import bracket, exists, forbidden_at
from statewise.tasks import Dyck, IndexLookup, Parity

RANGES = st.tuples(st.integers(1, 300), st.integers(1, 3000)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def most_calls(low, high):
    """Two ends, and what halving the logarithm of the ratio takes, with a few for rounding."""
    return 5 + max(0, math.ceil(math.log2(math.log(high / low) / math.log(1.1))))


@given(RANGES, st.integers(0, 4000), st.integers(1, 4))
def test_a_falling_function_is_bracketed_in_few_calls(ends, crossing, step):
    low, high = (end * step for end in ends)
    crossing *= step
    found = bracket(lambda size: float(size < crossing), 0.5, low, high, has=lambda size: size % step == 0)
    assert all(size % step == 0 for size in found.tried)
    assert found.above is None or found.above < crossing
    assert found.below is None or found.below >= crossing
    assert (found.above is None) == (crossing <= low)
    assert (found.below is None) == (crossing > high)
    if found.above and found.below:
        assert found.below <= 1.1 * found.above or found.below - found.above == step
    assert len(found.tried) <= most_calls(low, high)


@given(RANGES, st.randoms(use_true_random=False))
def test_any_function_ends_with_a_crossing_of_its_own(ends, random):
    found = bracket(lambda _size: random.random(), 0.5, *ends)
    assert found.above is None or found.tried[found.above] >= 0.5
    assert found.below is None or found.tried[found.below] < 0.5
    assert len(found.tried) <= most_calls(*ends)


def test_a_range_that_does_not_rise_is_refused():
    with pytest.raises(ValueError, match="the range is 8 to 8; it must rise from at least 1"):
        bracket(lambda _size: 0.0, 0.5, 8, 8)


def test_a_proof_forbids_the_level_at_the_size_that_is_named_and_not_before():
    task = IndexLookup(alphabet=16)
    size, bound = forbidden_at(task, 64, 0.5, 4, 1000)
    assert bound.value == best_accuracy(task, size, 64).value < 0.5
    assert best_accuracy(task, size - 1, 64).value >= 0.5


def test_where_nothing_is_proved_or_forbidden_there_is_no_size():
    assert forbidden_at(Parity(), 64, 0.5, 4, 1000) is None
    assert forbidden_at(IndexLookup(alphabet=16), 10**6, 0.5, 4, 100) is None


def test_a_task_says_which_sizes_it_has():
    assert [exists(Dyck(), size) for size in (0, 7, 8)] == [False, False, True]
