"""What the commands that train have in common: what is checked before, and runs with their progress shown."""

from collections.abc import Sequence
from pathlib import Path

from statewise.cli.progress import watch
from statewise.core.durations import seconds_of
from statewise.core.errors import UsageError
from statewise.core.listeners import SinkMaker
from statewise.core.optional import require
from statewise.ops.memory import keep_freed_memory
from statewise.runs import Record, RunStore
from statewise.runs.store import SECONDS_BETWEEN_CHECKPOINTS
from statewise.studies import RunConfig, run_all
from statewise.studies.executors import Executor
from statewise.studies.executors.all_runs import HERE
from statewise.studies.together import assist_all, run_together
from statewise.training import Group
from statewise.training.group import ALONE

EVERY = f"{SECONDS_BETWEEN_CHECKPOINTS:g}s"
"""Time between two checkpoints where nobody says another."""


def check_workers(command: str, workers: int | None) -> None:
    """Raise a UsageError for a number of processes that cannot be."""
    if workers is not None and workers < 1:
        raise UsageError(f"{command}: workers is {workers}; it must be at least 1")


def check_page() -> None:
    """Raise a MissingExtraError unless the HTML report can be written."""
    for module in ("matplotlib", "jinja2", "plotly"):
        require(module, extra="report", purpose="the HTML report (leave it out with --no-page)")


def run_watched(
    plan: list[RunConfig],
    output: Path,
    *,
    workers: int | None,
    keep_memory: bool,
    checkpoint_every: str = EVERY,
    sinks: Sequence[SinkMaker] = (),
    executor: Executor = HERE,
    group: Group = ALONE,
) -> list[Record]:
    """Run a plan with progress shown; on an interrupt say what is finished and where.

    group  processes that train each model together; the records are the main one's, and the others have none
    """
    prepare = keep_freed_memory if keep_memory else None
    if not group.is_main:
        return assist_all(plan, group, prepare=prepare)
    store = RunStore(output, checkpoint_every=seconds_of(checkpoint_every), sinks=sinks)
    store.check_writable()
    watcher = watch(len(plan))
    try:
        with watcher:
            if group != ALONE:
                return run_together(plan, store, watcher, group, prepare=prepare)
            return run_all(plan, store, watcher, workers=workers, prepare=prepare, executor=executor)
    except KeyboardInterrupt:
        watcher.note(
            f"interrupted: {watcher.done} of {len(plan)} runs are finished and kept in {output}; "
            "the same command goes on from there"
        )
        raise


def status_of(records: list[Record]) -> int:
    """The exit status: 1 where a run crashed or failed."""
    return 0 if all(record.conclusive for record in records) else 1
