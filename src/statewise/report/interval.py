"""Means over seeds with their 95 % intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Two-sided 95 % quantiles of Student's t for 1 … 30 degrees of freedom; beyond, the normal's.
T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
NORMAL_QUANTILE = 1.960


@dataclass(frozen=True)
class Interval:
    """A mean and the 95 % interval of its expectation; one value has a mean and no interval.

    half  half of the interval's width before it is cut to the possible range; NaN for one value
    """

    mean: float
    half: float
    low: float
    high: float
    count: int


def interval(values: Sequence[float], *, least: float = -math.inf, most: float = math.inf) -> Interval:
    """Student's t interval over seeds, cut to the range that the quantity can have.

    Approximate: seeds are independent, their values are not normal.

    >>> interval([1.0, 2.0, 3.0]).mean
    2.0
    >>> interval([0.5]).low
    nan
    """
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, math.nan, math.nan, math.nan, 1)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    quantile = T_QUANTILES[count - 2] if count - 2 < len(T_QUANTILES) else NORMAL_QUANTILE
    half = quantile * deviation / math.sqrt(count)
    return Interval(mean, half, max(least, mean - half), min(most, mean + half), count)
