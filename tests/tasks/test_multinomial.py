"""The share of strings without a too frequent symbol, against every string."""

from itertools import product

import numpy as np
import pytest

from statewise.tasks.multinomial import share_capped


@pytest.mark.parametrize("kinds", [1, 2, 3, 5])
@pytest.mark.parametrize("total", [0, 1, 2, 5])
def test_every_string_counted(total, kinds):
    largest = [max(np.bincount(string), default=0) for string in product(range(kinds), repeat=total)]
    for cap in range(total + 2):
        share = np.mean([count <= cap for count in largest])
        assert share_capped(total, kinds, cap) == pytest.approx(share, rel=1e-12)


def test_long_strings_neither_overflow_nor_vanish():
    assert share_capped(2000, 63, 2000) == pytest.approx(1, rel=1e-11)
    assert 0.1 < share_capped(2000, 63, 46) < 0.9
    # All counts are equal: 2000! / (1000!)² / 2^2000 of the strings.
    assert share_capped(2000, 2, 1000) == pytest.approx(0.017839, rel=1e-4)
