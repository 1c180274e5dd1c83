"""Time of one piece of work, in this process."""

import statistics
import time
from collections.abc import Callable


def seconds_of(work: Callable[[], object], *, repeats: int) -> float:
    """The median over so many runs, at least one.

    >>> seconds_of(lambda: None, repeats=3) < 1
    True
    """
    return statistics.median(once(work) for _ in range(repeats))


def once(work: Callable[[], object]) -> float:
    """Seconds of one run."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
