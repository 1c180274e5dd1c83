"""How often no symbol of a uniform string is too frequent: the chance of tasks about the largest count."""

from math import exp, lgamma, log

import numpy as np


def share_capped(total: int, kinds: int, cap: int) -> float:
    """The share of the strings of `total` symbols, of `kinds` kinds, in which none occurs more than `cap` times.

    Counts of a uniform string are independent Poisson variables given their sum, so it is one coefficient of a
    power of a polynomial with positive coefficients, right to a relative error of about 1e-13.

    total, cap at least 0; kinds at least 1

    >>> round(share_capped(total=3, kinds=2, cap=2), 12)
    0.75
    """
    if total == 0:
        return 1.0
    counts = np.array([_poisson(count, total / kinds) for count in range(min(cap, total) + 1)])
    power, remaining = np.ones(1), kinds
    while remaining:
        if remaining % 2:
            power = np.convolve(power, counts)[: total + 1]
        counts, remaining = np.convolve(counts, counts)[: total + 1], remaining // 2
    return float(power[total]) / _poisson(total, total) if len(power) > total else 0.0


def _poisson(count: int, mean: float) -> float:
    return exp(count * log(mean) - mean - lgamma(count + 1))
