import math
import statistics

import numpy as np
import pytest

from statewise.report.interval import interval


def test_three_values_by_hand():
    found = interval([0.2, 0.4, 0.6])
    half = 4.303 * 0.2 / math.sqrt(3)
    assert (found.mean, found.half) == (pytest.approx(0.4), pytest.approx(half))
    assert (found.low, found.high) == (pytest.approx(0.4 - half), pytest.approx(0.4 + half))


def test_the_interval_is_cut_to_what_is_possible():
    found = interval([0.9, 1.0, 1.0], least=0, most=1)
    assert found.high == 1
    assert found.mean + found.half > 1
    found = interval([0.1, 0.0, 0.0], least=0, most=1)
    assert found.low == 0
    assert found.mean - found.half < 0


@pytest.mark.parametrize("count", [2, 3, 5, 31, 60])
def test_it_covers_the_expectation_as_often_as_it_says(count):
    draws = np.random.default_rng(0).normal(size=(4000, count))
    covered = statistics.mean(found.low <= 0 <= found.high for found in map(interval, draws.tolist()))
    assert covered == pytest.approx(0.95, abs=0.015)
