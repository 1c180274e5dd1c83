"""The size at which an accuracy crosses a level, by bisection: a few sizes are tried instead of a grid."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from statewise.bounds import Bound, best_accuracy
from statewise.core.errors import UsageError
from statewise.tasks import Task

CLOSE = 1.1
"""Ratio of neighbouring sizes at which the search ends."""


@dataclass(frozen=True)
class Bracket:
    """Where the level is crossed, and what was tried.

    above  the largest size tried with at least the level; None where the least size is below it already
    below  the smallest size tried with less; None where the largest size still reaches the level
    tried  accuracy at each size, in the order of trying
    """

    above: int | None
    below: int | None
    tried: dict[int, float]


def bracket(
    accuracy: Callable[[int], float],
    level: float,
    low: int,
    high: int,
    *,
    has: Callable[[int], bool] = lambda _size: True,
    close: float = CLOSE,
) -> Bracket:
    """Bisect [low, high] geometrically until the two sides are neighbours, or within a factor of `close`.

    has  which of the sizes in between exist

    A function that falls with the size is bracketed; any other ends too, in one of its crossings. The number of calls
    is logarithmic in the ratio of the ends.

    >>> found = bracket(lambda size: 10 / size, 0.5, 4, 64)
    >>> found.above, found.below, list(found.tried)
    (20, 21, [4, 64, 16, 32, 23, 19, 21, 20])
    """
    if not 1 <= low < high:
        raise UsageError(f"limit: the range is {low} to {high}; it must rise from at least 1")
    tried = {low: accuracy(low)}
    if tried[low] < level:
        return Bracket(None, low, tried)
    tried[high] = accuracy(high)
    if tried[high] >= level:
        return Bracket(high, None, tried)
    while high > close * low and (size := middle(low, high, has)) is not None:
        tried[size] = accuracy(size)
        low, high = (size, high) if tried[size] >= level else (low, size)
    return Bracket(low, high, tried)


def middle(low: int, high: int, has: Callable[[int], bool]) -> int | None:
    """The size between two others that is nearest to their geometric mean; None where there is none.

    >>> middle(4, 64, lambda size: size % 3 == 0), middle(4, 5, lambda size: True)
    (15, None)
    """
    mean = round(math.sqrt(low * high))
    between = (mean + side * away for away in range(high - low) for side in (-1, 1))
    return next((size for size in between if low < size < high and has(size)), None)


def exists(task: Task, size: int) -> bool:
    """Whether the task has examples of this size."""
    try:
        task.check_size(size)
    except UsageError:
        return False
    return True


def forbidden_at(task: Task, state_bits: int, level: float, low: int, high: int) -> tuple[int, Bound] | None:
    """The least size in [low, high] at which it is proved that so many bits of state do not reach the level.

    None where nothing is proved, or nothing that forbids it up to `high`. A limit that does not fall with the size
    would give a later size, never a wrong one.
    """
    if best_accuracy(task, low, state_bits) is None:
        return None

    def limit(size: int) -> float:
        bound = best_accuracy(task, size, state_bits)
        return math.inf if bound is None else bound.value

    size = bracket(limit, level, low, high, has=lambda size: exists(task, size), close=1.0).below
    bound = None if size is None else best_accuracy(task, size, state_bits)
    return None if size is None or bound is None else (size, bound)
