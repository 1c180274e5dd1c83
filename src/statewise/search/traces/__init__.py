"""For each task that can be answered step by step: its words, its chain of thought and its searches."""

from statewise.core.errors import UsageError
from statewise.search.traces.associative_recall import AssociativeRecallTrace
from statewise.search.traces.c_gram_retrieval import CGramRetrievalTrace
from statewise.search.traces.counting import CountingTrace
from statewise.search.traces.index_lookup import IndexLookupTrace
from statewise.search.traces.is_tree import IsTreeTrace
from statewise.search.traces.needle import NeedleTrace
from statewise.search.traces.trace import Trace
from statewise.tasks import Task

__all__ = ["TRACES", "Trace", "trace_of"]

TRACES: dict[type[Task], type[Trace]] = {
    trace.solves: trace
    for trace in (
        IsTreeTrace,
        IndexLookupTrace,
        AssociativeRecallTrace,
        CGramRetrievalTrace,
        CountingTrace,
        NeedleTrace,
    )
}


def trace_of(task: Task, largest: int) -> Trace:
    """The solvers of a task at sizes up to `largest`. A UsageError for a task that has none."""
    if type(task) not in TRACES:
        names = ", ".join(each.name for each in TRACES)
        raise UsageError(f"{task.name} is not answered step by step; the tasks that are: {names}")
    return TRACES[type(task)](task, largest)
