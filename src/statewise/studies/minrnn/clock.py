"""Time and memory of one piece of work, in this process."""

import statistics
import sys
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


def most_memory() -> int:
    """Bytes of the largest memory that this process has held so far.

    >>> most_memory() > 2**20
    True
    """
    # Not on Windows, which has no such module and no study that measures memory.
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
