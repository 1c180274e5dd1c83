"""Confidence limits for means of bounded quantities, without assuming their distribution."""

import math
from collections.abc import Sequence

from statewise.core.errors import UsageError


def lower_limit(values: Sequence[float], *, low: float, high: float, confidence: float = 0.95) -> float:
    """A number that the expectation exceeds with probability at least `confidence`.

    values  at least two independent draws, each in [low, high]

    The empirical Bernstein bound (Maurer & Pontil, arXiv 0907.3740, theorem 4): with m values of sample
    variance V, range R and δ = 1 − confidence,

        mean − √(2 V ln(2/δ) / m) − 7 R ln(2/δ) / (3 (m − 1))

    >>> lower_limit([1.0] * 100, low=0.0, high=1.0) < 1.0
    True
    """
    count = len(values)
    if count < 2:
        raise UsageError(f"lower_limit: {count} values were given; at least 2 are needed")
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    log_term = math.log(2 / (1 - confidence))
    spread = math.sqrt(2 * variance * log_term / count)
    return max(low, mean - spread - 7 * (high - low) * log_term / (3 * (count - 1)))
