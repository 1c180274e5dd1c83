"""Noisy and fuzzy recall: conflicting prefixes counted from the tasks' own inputs, and the readers that are enough."""

import math

import pytest

from bounds.conflicts import clique_and_colouring
from statewise.bounds import recall
from statewise.core.errors import UsageError
from statewise.tasks.fuzzy_recall import FuzzyRecall
from statewise.tasks.noisy_recall import NoisyRecall


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize(
    ("size", "keys", "values", "known"), [(1, 1, 2, 2), (2, 1, 3, 3), (2, 2, 2, 4), (3, 2, 2, 4), (2, 2, 3, 9)]
)
def test_noisy_recall_needs_its_table_after_a_whole_pair(noise, size, keys, values, known):
    task = NoisyRecall(keys=keys, values=values, noise_tokens=1, noise=noise)
    assert clique_and_colouring(task, size, task.cut(size)) == (known, known)
    required = recall.fixed_values_required_bits(size, keys, values)
    assert 2**required.value == pytest.approx(known, rel=1e-12)
    assert required.direction == "requirement"


@pytest.mark.parametrize(("size", "keys", "values"), [(1, 2, 2), (2, 3, 2), (3, 2, 2), (2, 2, 3)])
def test_no_cut_needs_more_than_the_table_and_the_key_just_read(size, keys, values):
    task = NoisyRecall(keys=keys, values=values, noise_tokens=1)
    enough = recall.fixed_values_enough_bits(keys, values)
    worst = max(clique_and_colouring(task, size, cut)[1] for cut in range(task.cut(size) + 1))
    assert recall.fixed_values_required_bits(size, keys, values).value <= math.log2(worst) + 1e-12
    assert math.log2(worst) <= enough.value
    assert enough.direction == "construction"


def test_the_base_setting_needs_24_bits():
    assert recall.fixed_values_required_bits(63, 8, 8).value == 24
    assert recall.fixed_values_required_bits(255, 64, 64).value == 384


@pytest.mark.parametrize(
    ("size", "keys", "values", "key_tokens", "value_tokens", "known"),
    [
        (1, 2, 2, 1, 1, 2),
        (2, 2, 2, 1, 1, 4),
        (3, 2, 2, 1, 1, 4),
        (1, 1, 2, 1, 2, 4),
        (2, 1, 2, 1, 2, 4),
        (2, 2, 2, 1, 2, 16),
        (3, 1, 2, 2, 1, 4),
        (1, 2, 2, 2, 1, 2),
        (2, 2, 2, 2, 1, 4),
    ],
)
def test_fuzzy_recall_needs_a_value_of_full_length_for_each_key(size, keys, values, key_tokens, value_tokens, known):
    task = FuzzyRecall(keys=keys, values=values, key_tokens=key_tokens, value_tokens=value_tokens)
    required = recall.fuzzy_required_bits(size, keys, values, key_tokens, value_tokens)
    assert 2**required.value == pytest.approx(known, rel=1e-12)
    cliques = [clique_and_colouring(task, size, cut)[0] for cut in range(task.cut(size) + 1)]
    assert max(cliques) >= known


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recall.fixed_values_required_bits(0, 4, 2), "fixed_values_required_bits: size is 0; it must be an"),
        (lambda: recall.fixed_values_required_bits(1, 0, 2), "fixed_values_required_bits: keys is 0; it must be an"),
        (lambda: recall.fixed_values_enough_bits(0, 2), "fixed_values_enough_bits: keys is 0; it must be an integer"),
        (lambda: recall.fixed_values_enough_bits(4, 1), "fixed_values_enough_bits: values is 1; it must be an"),
        (lambda: recall.fuzzy_required_bits(1, 2, 2, 0, 1), "fuzzy_required_bits: key_tokens is 0; it must be an"),
        (lambda: recall.fuzzy_required_bits(1, 2, 2, 1, 0), "fuzzy_required_bits: value_tokens is 0; it must be an"),
    ],
)
def test_arguments_outside_their_domain_are_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize(("size", "shown"), [(1, 1), (4, 4), (5, 4), (6, 5), (7, 6), (100, 6)])
def test_keys_of_every_length_count_where_a_pair_is_left_for_them(size, shown):
    assert recall.fuzzy_required_bits(size, keys=2, values=2, key_tokens=2, value_tokens=3).value == 3 * shown
