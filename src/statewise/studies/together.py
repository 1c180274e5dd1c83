"""Runs one after the other, each trained by a group of processes: the main one keeps the records, the others assist."""

import traceback
from collections.abc import Callable, Sequence

from statewise.core.errors import RunError
from statewise.runs import Record, RunStore
from statewise.studies.execute import assist, execute
from statewise.studies.executors.all_runs import kept
from statewise.studies.executors.one_run import Relay, crashed
from statewise.studies.executors.protocol import Progress
from statewise.studies.run_config import RunConfig
from statewise.training import Group


def run_together(
    runs: Sequence[RunConfig],
    store: RunStore,
    progress: Progress,
    group: Group,
    *,
    prepare: Callable[[], object] | None = None,
) -> list[Record]:
    """The record of every run, in order, in the main process; the others call `assist_all`.

    The first run that crashes or fails ends all: it is recorded, and a RunError says why.
    """
    if prepare is not None:
        prepare()
    try:
        return [run_one(run, store, progress, group) for run in runs]
    finally:
        store.sweep([run.name for run in runs])


def run_one(run: RunConfig, store: RunStore, progress: Progress, group: Group) -> Record:
    """A run's record, kept or made."""
    record = kept(run, store, progress)
    if group.of_main(record is None):
        record = attempt_together(run, store, progress, group)
        group.wait_for_main(run.name)
    assert record is not None, "the main process's value is its own"
    return record


def attempt_together(run: RunConfig, store: RunStore, progress: Progress, group: Group) -> Record:
    """One run; whatever hinders its end is recorded and raised."""
    progress.begin(run)
    try:
        record = execute(run, store, Relay(lambda event: progress.event(run, event)), group=group)
    except Exception as error:
        because = group.failure() or f"{type(error).__name__}: {error}"
        record = crashed(run, store, because, traceback.format_exc())
    if not record.conclusive:
        raise RunError(f"{run.title} {record.status}: {record.because}")
    progress.end(run, record, skipped=False)
    return record


def assist_all(runs: Sequence[RunConfig], group: Group, *, prepare: Callable[[], object] | None = None) -> list[Record]:
    """What the other processes do meanwhile; they have no records. An error is a RunError that names the process."""
    if prepare is not None:
        prepare()
    for run in runs:
        if group.of_main(0):
            try:
                assist(run, group)
            except Exception as error:
                process = f"process {group.rank} of {group.count}"
                raise RunError(f"{process}: {type(error).__name__}: {error}") from error
            group.wait_for_main(run.name)
    return []
