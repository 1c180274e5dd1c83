"""One run in this process, with an exception made a record."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from statewise.core.config import to_plain
from statewise.core.events import Event
from statewise.runs import Record, RunStore
from statewise.studies.execute import execute
from statewise.studies.executors.protocol import Progress
from statewise.studies.run_config import RunConfig


def attempt(
    run: RunConfig, store: RunStore, progress: Progress, *, passing: tuple[type[Exception], ...] = ()
) -> Record:
    """One run in this process; an exception becomes a crashed record.

    passing  exceptions that are not the run's: they come from whoever stops it, and go on to the caller
    """
    progress.begin(run)
    try:
        record = execute(run, store, Relay(lambda event: progress.event(run, event)))
    except passing:
        raise
    except Exception as error:
        record = crashed(run, store, f"{type(error).__name__}: {error}", traceback.format_exc())
    progress.end(run, record, skipped=False)
    return record


def crashed(run: RunConfig, store: RunStore, because: str, trace: str = "") -> Record:
    """Keep the record of a run that could not be finished."""
    record = Record(config=to_plain(run), status="crashed", because=because, environment={"traceback": trace})
    with store.begin(run) as folder:
        folder.finish(record)
    return record


@dataclass(frozen=True)
class Relay:
    """A sink that calls a function."""

    call: Callable[[Event], None]

    def write(self, event: Event) -> None:
        """Pass the event on."""
        self.call(event)
