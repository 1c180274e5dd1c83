"""A plan: what is on disk is kept, and the rest is handed to an executor."""

from collections.abc import Sequence

from statewise.core.errors import RunError
from statewise.runs import Record, RunStore
from statewise.studies.executors.local import Local
from statewise.studies.executors.protocol import Executor, Prepare, Progress
from statewise.studies.run_config import RunConfig

HERE = Local()


def run_all(
    runs: Sequence[RunConfig],
    store: RunStore,
    progress: Progress,
    *,
    workers: int | None = None,
    prepare: Prepare | None = None,
    executor: Executor = HERE,
) -> list[Record]:
    """The record of every run, in order. Those that are on disk and neither crashed nor failed are not run again.

    workers   runs at a time, None for as many as there is room for; with the local executor, 1 runs everything in this
              process
    prepare   called once in every process that runs something, before its first run; a function of a module
    executor  who runs what is missing

    A damaged run folder is set aside and its run repeated. On an interrupt the workers are ended, what they had
    half-written is removed, and the interrupt goes on to the caller.
    """
    store.check_writable()
    records = {run.name: record for run in runs if (record := kept(run, store, progress))}
    missing = [run for run in runs if run.name not in records]
    try:
        if missing:
            records |= executor.run(missing, store, progress, workers=workers, planned=len(runs), prepare=prepare)
    finally:
        store.sweep([run.name for run in missing])
    return [records[run.name] for run in runs]


def kept(run: RunConfig, store: RunStore, progress: Progress) -> Record | None:
    """The record of a run that need not be repeated."""
    try:
        record = store.find(run.name)
    except RunError as error:
        progress.note(f"{error}; set aside as {store.set_aside(run.name).name} and run again")
        return None
    if record is None or not record.conclusive:
        return None
    progress.end(run, record, skipped=True)
    return record
