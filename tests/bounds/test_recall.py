"""Recall by keys: conflicting prefixes counted from the tasks' own inputs, and the best readers of small cases."""

import math
from fractions import Fraction
from itertools import combinations, permutations, product

import pytest

from bounds.conflicts import clique_and_colouring
from statewise.bounds import index_lookup, recall
from statewise.core.errors import UsageError
from statewise.tasks.associative_recall import AssociativeRecall
from statewise.tasks.mqar import MQAR


@pytest.mark.parametrize(
    ("size", "keys", "values", "known"),
    [(1, 1, 2, 2), (2, 2, 2, 4), (2, 3, 2, 4), (2, 4, 2, 5), (2, 5, 2, 6), (1, 3, 3, 3), (2, 3, 3, 9)],
)
def test_associative_recall_needs_the_rows_of_a_covering_array(size, keys, values, known):
    task = AssociativeRecall(keys=keys, values=values)
    clique, colours = clique_and_colouring(task, size, task.cut(size))
    assert colours == known
    lower = 2 ** recall.associative_required_bits(size, values).value
    assert lower == pytest.approx(clique, rel=1e-12)
    assert lower <= colours + 1e-9
    assert colours <= 2 ** recall.cut_enough_bits(size, keys, values).value + 1e-9
    if size == keys:
        assert recall.cut_enough_bits(size, keys, values).value == pytest.approx(math.log2(lower), abs=1e-12)


@pytest.mark.parametrize(
    ("size", "keys", "values", "replace_values", "clique", "colours"),
    [
        (2, 2, 2, True, 4, 4),
        (2, 3, 2, True, 4, 4),
        (2, 4, 2, True, 4, 5),
        (2, 2, 3, False, 6, 6),
        (2, 3, 3, False, 6, 6),
        (2, 4, 3, False, 6, 8),
        (3, 3, 3, False, 6, 6),
    ],
)
def test_mqar_needs_its_lists_of_values_and_more_where_keys_are_left_out(
    size, keys, values, replace_values, clique, colours
):
    task = MQAR(keys=keys, values=values, replace_values=replace_values)
    assert clique_and_colouring(task, size, task.cut(size)) == (clique, colours)
    lower = recall.mqar_required_bits(size, values, replace_values=replace_values)
    assert 2**lower.value == pytest.approx(clique, rel=1e-12)
    assert (lower.unit, lower.direction, lower.error) == ("bits", "requirement", "zero")


@pytest.mark.parametrize(
    ("size", "keys", "values", "replace_values", "known"),
    [(2, 3, 2, True, 6), (2, 3, 3, True, 9), (2, 3, 3, False, 9), (2, 4, 2, True, 6)],
)
def test_the_reader_of_pairs_has_at_least_the_states_of_the_worst_cut(size, keys, values, replace_values, known):
    task = MQAR(keys=keys, values=values, replace_values=replace_values)
    assert max(clique_and_colouring(task, size, cut)[0] for cut in range(task.cut(size) + 1)) == known
    enough = recall.enough_bits(size, keys, values, replace_values=replace_values)
    assert enough.direction == "construction"
    assert 2**enough.value >= known


@pytest.mark.parametrize(("size", "keys", "values"), [(2, 3, 2), (3, 3, 3), (2, 5, 4), (4, 4, 4)])
@pytest.mark.parametrize("replace_values", [False, True])
def test_the_list_holds_the_pairs_so_far_without_order(size, keys, values, replace_values):
    if not replace_values and size > values:
        return
    states = []
    for shown in range(size + 1):
        kinds = product(range(values), repeat=shown) if replace_values else permutations(range(values), shown)
        lists = sum(1 for _ in combinations(range(keys), shown)) * sum(1 for _ in kinds)
        states.append(lists * (keys - shown) if shown < size else lists)
    held = min(max(states), keys * values**keys)
    enough = recall.enough_bits(size, keys, values, replace_values=replace_values).value
    assert 2**enough == pytest.approx(held, rel=1e-12)


def test_the_floor_of_the_smallest_published_point_is_half_of_what_is_quoted():
    assert recall.mqar_required_bits(4, 4096).value == pytest.approx(48, abs=0.01)
    assert recall.mqar_enough_bits(4, 4095, 4096).value == pytest.approx(91, abs=0.5)
    quoted = math.log2(math.comb(4095, 256) * math.perm(4096, 256))
    assert recall.mqar_enough_bits(256, 4095, 4096).value == pytest.approx(quoted, abs=1e-9)
    assert quoted == pytest.approx(4436, abs=1)


@pytest.mark.parametrize(("size", "values"), [(1, 2), (16, 16), (7, 3), (64, 16)])
@pytest.mark.parametrize("state_bits", [0, 1, 5, 18, 128, 10**15])
def test_the_accuracy_bound_is_that_of_index_lookup_where_values_may_repeat(size, values, state_bits):
    ours = recall.best_accuracy(size, values, state_bits).value
    assert ours == index_lookup.best_accuracy(size, values, state_bits).value


@pytest.mark.parametrize(("size", "values", "states"), [(2, 2, 2), (2, 3, 2), (2, 4, 2), (2, 3, 4)])
def test_no_reader_of_values_that_do_not_repeat_beats_the_bound(size, values, states):
    lists = list(permutations(range(values), size))
    words = list(product(range(values), repeat=size))

    def accuracy(book):
        right = (max(sum(a == b for a, b in zip(w, one, strict=True)) for w in book) for one in lists)
        return Fraction(sum(right), size * len(lists))

    best = max(accuracy(book) for book in combinations(words, states))
    limit = recall.best_accuracy(size, values, states.bit_length() - 1, replace_values=False)
    assert best <= Fraction(limit.value) <= 1
    assert limit.error == "average under the task's sampler"


def test_accuracy_is_one_exactly_from_the_required_bits_on():
    for state_bits in range(12):
        value = recall.best_accuracy(3, 8, state_bits, replace_values=False).value
        assert (value == 1) == (2**state_bits >= 8 * 7 * 6)


def test_the_covering_bound_does_not_overflow():
    assert recall.cut_enough_bits(500, 1000, 1000).value >= recall.associative_required_bits(500, 1000).value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recall.mqar_required_bits(0, 4), "mqar_required_bits: size is 0; it must be an integer of at least 1"),
        (lambda: recall.mqar_required_bits(4, 1), "mqar_required_bits: values is 1; it must be an integer of at least"),
        (lambda: recall.mqar_required_bits(5, 4), "size is 5; it must be at most values, 4, where they do not repeat"),
        (lambda: recall.enough_bits(5, 4, 4), "recall.enough_bits: size is 5; it must be at most keys, 4"),
        (lambda: recall.cut_enough_bits(1, 0, 4), "cut_enough_bits: keys is 0; it must be an integer of at least 1"),
        (lambda: recall.best_accuracy(5, 4, -1), "best_accuracy: state_bits is -1; it must be an integer of at least"),
        (lambda: recall.associative_required_bits(0, 4), "associative_required_bits: size is 0"),
    ],
)
def test_arguments_outside_their_domain_are_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()
