"""IsTree: sides of leaves that conflict, and the states of the reader that keeps components, counted."""

import math
from itertools import combinations, product

import pytest

from statewise.bounds import is_tree
from statewise.core.errors import UsageError
from statewise.tasks.is_tree import IsTree

BELL = {4: 15, 5: 52, 6: 203, 7: 877, 8: 4140, 9: 21147, 10: 115975}


def tree(edges, size):
    component = list(range(size))
    for u, v in edges:
        if component[u] == component[v]:
            return False
        component = [component[u] if c == component[v] else c for c in component]
    return True


@pytest.mark.parametrize("size", [4, 5, 6, 9])
def test_sides_that_are_no_complements_conflict_at_some_link(size):
    leaves = range(2, size)
    rows = {
        tuple(tree([*zip(leaves, sides, strict=True), link], size) for link in combinations(leaves, 2))
        for sides in product((0, 1), repeat=size - 2)
    }
    assert 2 ** is_tree.required_bits(size).value == len(rows)


@pytest.mark.parametrize(("size", "states"), [(4, 3), (5, 15), (6, 55)])
def test_what_was_counted_lies_between_the_bounds(size, states):
    assert is_tree.required_bits(size).value <= math.log2(states) <= is_tree.reader_bits(size).value


@pytest.mark.parametrize("size", sorted(BELL)[:-1])
def test_the_reader_has_as_many_states_as_marked_partitions(size):
    assert 2 ** is_tree.reader_bits(size).value == pytest.approx(BELL[size + 1] - BELL[size] + 1, rel=1e-12)
    assert BELL[size] <= BELL[size + 1] - BELL[size]


@pytest.mark.parametrize("size", [4, 5])
def test_the_reader_is_right_and_visits_no_more_states(size):
    """Components, the marked one inside an edge, and a cycle: run over every input of the task."""
    states = {}
    for row in IsTree().inputs(size):
        component, marked, cycle = tuple(range(size)), None, False
        for t, token in enumerate(row.tolist()[1:-1]):
            vertex = token - 5
            if t % 3 == 0:
                marked = component[vertex]
            elif t % 3 == 2:
                merged = component[vertex]
                cycle |= merged == marked
                component = tuple(min(marked, merged) if c in (marked, merged) else c for c in component)
                marked = None
            states.setdefault(t, set()).add("cycle" if cycle else (component, marked))
        assert cycle != tree([(row[i] - 5, row[i + 2] - 5) for i in range(1, len(row) - 1, 3)], size)
    assert max(len(found) for found in states.values()) <= 2 ** is_tree.reader_bits(size).value + 1e-9
    assert all(len(found) <= BELL[size] + 1 for t, found in states.items() if t % 3 == 2)


def test_it_grows_as_n_log_n_and_no_faster():
    for size in (16, 128, 512):
        assert size - 3 < is_tree.reader_bits(size).value < size * math.log2(size)


def test_a_requirement_and_a_construction_at_zero_error():
    lower, upper = is_tree.required_bits(16), is_tree.reader_bits(16)
    assert (lower.direction, upper.direction) == ("requirement", "construction")
    assert lower.error == upper.error == "zero"


@pytest.mark.parametrize("function", [is_tree.required_bits, is_tree.reader_bits])
def test_graphs_without_a_link_are_refused(function):
    with pytest.raises(UsageError, match=r"size is 3; it must be an integer of at least 4"):
        function(3)
