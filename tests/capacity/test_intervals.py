"""The confidence limit: its formula worked by hand, and how often it is right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.capacity import lower_limit
from statewise.core.errors import UsageError


def test_the_limit_worked_by_hand():
    """Half zeros, half ones: V = 25/99, ln(2/0.05) = 3.688879; 0.5 − √(2·V·3.688879/100) − 7·3.688879/(3·99)."""
    values = [0.0, 1.0] * 50
    assert lower_limit(values, low=0.0, high=1.0) == pytest.approx(0.5 - 0.1364943 - 0.0869432, abs=1e-6)


def test_the_range_and_the_confidence_enter_as_the_formula_says():
    """Two values, 3 and 5: V = 2, ln(2/0.1) = 2.995732; 4 − √(2·2·2.995732/2) − 7·10·2.995732/3."""
    limit = lower_limit([3.0, 5.0], low=-100.0, high=-90.0, confidence=0.9)
    assert limit == pytest.approx(4 - 2.4477468 - 69.9004197, abs=1e-6)


def test_the_limit_is_never_below_what_is_possible():
    assert lower_limit([0.0, 1.0], low=0.0, high=1.0) == 0.0


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=50), st.floats(0.5, 0.99))
@settings(deadline=None, derandomize=True, max_examples=50)
def test_the_limit_lies_below_the_mean_and_falls_with_confidence(values, confidence):
    limit = lower_limit(values, low=-1.0, high=1.0, confidence=confidence)
    assert -1 <= limit <= sum(values) / len(values) + 1e-12
    assert lower_limit(values, low=-1.0, high=1.0, confidence=0.995) <= limit


@pytest.mark.parametrize("chance", [0.02, 0.2, 0.5, 0.98])
@pytest.mark.parametrize("count", [10, 200])
def test_the_limit_is_exceeded_by_the_expectation_in_at_least_95_of_100_experiments(chance, count):
    generator = np.random.default_rng(0)
    draws = (generator.random((2000, count)) < chance).astype(float)
    failures = sum(lower_limit(row, low=0.0, high=1.0) > chance for row in draws.tolist())
    assert failures <= 0.05 * 2000


def test_the_limit_closes_in_on_the_expectation():
    generator = np.random.default_rng(1)
    gaps = [0.5 - lower_limit(generator.random(count).tolist(), low=0.0, high=1.0) for count in (100, 1000, 10_000)]
    assert gaps[0] > 2.5 * gaps[1] > 6 * gaps[2] > 0


@pytest.mark.parametrize("values", [[], [0.5]])
def test_fewer_than_two_values_are_refused(values):
    with pytest.raises(UsageError, match=f"lower_limit: {len(values)} values were given; at least 2 are needed"):
        lower_limit(values, low=0.0, high=1.0)
