"""How everything here is timed: medians of alternating runs, in memory that was used before, alone on the machine."""

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager

import torch

from statewise.cli.doctor import other_load
from statewise.ops.memory import keep_freed_memory

Work = Callable[[], object]


def steady() -> None:
    """Keep freed memory, so that fresh pages are not what is measured; warn where the machine is busy."""
    if not keep_freed_memory():
        print("warning: the allocator gives memory back, so fresh pages are measured too", file=sys.stderr)
    if (busy := other_load()) is not None:
        print(f"warning: {busy}", file=sys.stderr)


def medians(works: dict[str, Work], runs: int = 15) -> dict[str, float]:
    """Milliseconds for each, run in turns after two rounds that are not counted."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(runs + 2):
        for name, work in works.items():
            begin = time.perf_counter()
            work()
            if turn >= 2:
                times[name].append(time.perf_counter() - begin)
    return {name: 1e3 * statistics.median(each) for name, each in times.items()}


def median_of(work: Work, *, seconds: float) -> float:
    """Milliseconds of one run, in as many as fit in `seconds`, at least three, after one that is not counted.

    A work that takes longer than five times `seconds` is run once.
    """
    begin = time.perf_counter()
    work()
    if (first := time.perf_counter() - begin) > 5 * seconds:
        return 1e3 * first
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


@contextmanager
def threads(count: int):
    """torch on that many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def show(question: str, rows: Iterable[tuple[str, float, float, float | None]]) -> None:
    """A question, and for each case our milliseconds, the baseline's, their ratio and the goal for it."""
    print(f"\n{question}\n{'':44}{'ours ms':>10}{'baseline':>10}{'ratio':>8}{'goal':>8}")
    for case, ours, baseline, goal in rows:
        ratio = ours / baseline
        verdict = "" if goal is None else f"{goal:8.3g}{'' if ratio <= goal else '  missed'}"
        print(f"{case:44}{ours:10.3f}{baseline:10.3f}{ratio:8.3f}{verdict}")
