"""Parity: two classes, and decaying layers that settle while the parity alternates."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.bounds import parity
from statewise.core.errors import UsageError


@pytest.mark.parametrize("every_prefix", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_required_bits_count_the_classes_of_the_worst_cut(size, every_prefix):
    def answers(prefix, follower):
        sums = np.cumsum(prefix + follower) % 2
        return tuple(sums[len(prefix) :]) if every_prefix else (sums[-1],)

    def classes_at(cut):
        followers = list(product((0, 1), repeat=size - cut))
        return len({tuple(answers(p, f) for f in followers) for p in product((0, 1), repeat=cut)})

    worst = max(classes_at(cut) for cut in range(size))
    assert worst == (2 if size > 1 else 1)
    assert 2 ** parity.required_bits(size).value == worst


numbers = st.floats(-4, 4, width=16)


def steps_until_settled(decays, drives, mix):
    """Steps after which float16 layers h ← decay·h + (mix·below + drive) stop changing for ever."""
    decays, drives, mix = (np.array(part, np.float16) for part in (decays, drives, mix))
    state = np.zeros(len(decays), np.float16)
    most = len(decays) * 2**16  # a monotone layer takes each of 2^16 values at most once
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(most):
            after = state.copy()
            for layer in range(len(state)):
                below = after[layer - 1] if layer else np.float16(1)
                after[layer] = decays[layer] * state[layer] + (mix * below + drives[layer])
            if np.array_equal(after, state, equal_nan=True):
                return step
            state = after
    raise AssertionError(f"still changing after {most} steps")


@settings(max_examples=30, deadline=None)
@given(layers=st.lists(st.tuples(st.floats(0, 4, width=16), numbers), min_size=1, max_size=3), mix=numbers)
def test_layers_with_non_negative_decay_settle_on_a_run_of_ones(layers, mix):
    decays, drives = zip(*layers, strict=True)
    assert steps_until_settled(decays, drives, mix) >= 0


def test_a_layer_with_negative_decay_alternates_for_ever():
    with pytest.raises(AssertionError, match="still changing after 65536 steps"):
        steps_until_settled([-1], [0], 1)


def test_what_cannot_be_done_at_all_lengths_names_every_assumption():
    bound = parity.cannot_at_all_lengths()
    assert math.isinf(bound.value)
    assert (bound.unit, bound.direction, bound.error) == ("layers", "requirement", "zero")
    assert "all lengths" in bound.holds_for
    for assumption in ("finite precision", "unbounded length", "no positions"):
        assert assumption in bound.assumes
    for paper in ("2405.17394", "2411.12537"):
        assert paper in bound.source


@pytest.mark.parametrize("size", [0, -1])
def test_sizes_below_one_are_refused(size):
    with pytest.raises(UsageError, match=f"parity.required_bits: size is {size}; it must be an integer"):
        parity.required_bits(size)
