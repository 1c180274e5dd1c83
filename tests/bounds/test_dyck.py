"""Bounded Dyck: Myhill-Nerode classes and fooling sets counted over every string."""

import math
from functools import cache
from itertools import combinations, product

import pytest

from statewise.bounds import dyck
from statewise.core.errors import UsageError


@cache
def balanced(string, types, depth):
    """Membership of a tuple of brackets: b < types opens, b + types closes it."""
    stack = []
    for bracket in string:
        if bracket < types:
            stack.append(bracket)
        elif not stack or stack.pop() != bracket - types:
            return False
        if len(stack) > depth:
            return False
    return not stack


def words(types, length):
    return list(product(range(2 * types), repeat=length))


def classes_at(cut, size, types, depth):
    """Prefixes of length `cut` told apart by what follows, counted."""
    followers = words(types, size - cut)
    return len({tuple(balanced(p + f, types, depth) for f in followers) for p in words(types, cut)})


@pytest.mark.parametrize(
    ("types", "depth", "size", "known"),
    [
        (1, 2, 8, 3),
        (2, 2, 6, 6),
        (1, 3, 10, 3),
        (2, 3, 6, 11),
        (1, 1, 2, 2),
        (1, 1, 6, 2),
        (3, 1, 4, 4),
        (3, 2, 4, None),
    ],
)
def test_required_bits_count_the_classes_of_the_worst_cut(types, depth, size, known):
    worst = max(classes_at(cut, size, types, depth) for cut in range(size))
    assert known in (worst, None)
    assert 2 ** dyck.required_bits(size, types, depth).value == pytest.approx(worst, rel=1e-12)


def every_cut(size, types, depth):
    """The formula of the notes, over every cut t."""
    return 1 + max(
        sum(types**d for d in range(depth + 1) if d <= min(t, size - t) and d % 2 == t % 2) for t in range(size + 1)
    )


@pytest.mark.parametrize("size", [2, 4, 6, 10, 24])
@pytest.mark.parametrize("types", [1, 2, 5])
@pytest.mark.parametrize("depth", [1, 2, 3, 6, 50])
def test_the_worst_cut_lies_in_the_middle(size, types, depth):
    value = dyck.required_bits(size, types, depth).value
    assert value == pytest.approx(math.log2(every_cut(size, types, depth)), rel=1e-12)
    assert value <= dyck.required_bits_all_lengths(types, depth).value


@pytest.mark.parametrize(("types", "depth", "states"), [(1, 2, 4), (2, 2, 8), (1, 3, 5), (2, 3, 16)])
def test_one_reader_for_all_lengths_is_the_smallest_automaton(types, depth, states):
    reach = [word for length in range(depth + 2) for word in words(types, length)]
    followers = [word for length in range(depth + 1) for word in words(types, length)]
    counted = len({tuple(balanced(p + f, types, depth) for f in followers) for p in reach})
    assert counted == states
    assert 2 ** dyck.required_bits_all_lengths(types, depth).value == pytest.approx(states, rel=1e-12)


@pytest.mark.parametrize(("types", "size"), [(2, 2), (2, 4), (2, 6), (2, 8), (3, 6)])
def test_the_members_of_depth_two_are_a_fooling_set_as_large_as_the_numerator(types, size):
    members = [word for word in words(types, size) if balanced(word, types, 2)]
    for one, other in combinations(members, 2):
        crossed = tuple(one[i] if i % 2 == 0 else other[i] for i in range(size))
        assert not balanced(crossed, types, 2)
    bound = dyck.attention_layer_size(size, types, 2, precision=32)
    assert bound.value * 3 * (32 + math.log2(size)) == pytest.approx(math.log2(len(members)), rel=1e-12)


@pytest.mark.parametrize("size", [2, 40, 400, 8192])
def test_two_types_have_the_numerator_of_the_paper(size):
    value = dyck.attention_layer_size(size, 2, 2, precision=16).value
    assert value == pytest.approx((size - 1) / (3 * (16 + math.log2(size))), rel=1e-12)


def test_one_attention_layer_at_the_sizes_of_the_notes():
    assert dyck.attention_layer_size(400, 2, 2).value == pytest.approx(3.3, abs=0.05)
    passes = next(size for size in range(2, 20_000, 2) if dyck.attention_layer_size(size, 2, 2).value > 64)
    assert passes == pytest.approx(8_700, rel=0.01)


def test_it_says_that_it_gives_no_verdict():
    bound = dyck.attention_layer_size(400, 2, 2)
    assert (bound.unit, bound.direction) == ("width x heads", "requirement")
    assert "no verdict at practical sizes" in bound.holds_for


@pytest.mark.parametrize(("types", "depth"), [(1, 2), (2, 1), (2, 3), (1, 1)])
def test_other_brackets_are_not_proved_for_attention(types, depth):
    message = f"types is {types} and depth is {depth}; proved for at least 2 types and depth 2 only"
    with pytest.raises(UsageError, match=message):
        dyck.attention_layer_size(400, types, depth)


@pytest.mark.parametrize("size", [0, -2, 7])
@pytest.mark.parametrize("function", [dyck.required_bits, dyck.attention_layer_size])
def test_sizes_that_are_no_positive_even_number_are_refused(function, size):
    with pytest.raises(UsageError, match=f"size is {size}; it must be a positive multiple of 2"):
        function(size, 2, 2)


def test_no_brackets_no_depth_and_no_bits_are_refused():
    with pytest.raises(UsageError, match="types is 0; it must be an integer of at least 1"):
        dyck.required_bits_all_lengths(types=0, depth=2)
    with pytest.raises(UsageError, match="depth is 0; it must be an integer of at least 1"):
        dyck.required_bits(8, types=2, depth=0)
    with pytest.raises(UsageError, match="precision is 0; it must be an integer of at least 1"):
        dyck.attention_layer_size(8, 2, 2, precision=0)
