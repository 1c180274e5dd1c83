"""Who watches runs, and who runs them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from statewise.core.events import Event
from statewise.runs import Record, RunStore
from statewise.studies.run_config import RunConfig

Prepare = Callable[[], object]
"""Called once in every process that runs something, before its first run; a function of a module."""


class Progress(Protocol):
    """Whoever watches runs."""

    def begin(self, run: RunConfig) -> None:
        """A run starts."""

    def event(self, run: RunConfig, event: Event) -> None:
        """A run says something."""

    def end(self, run: RunConfig, record: Record, *, skipped: bool) -> None:
        """A run has a record; `skipped` when it had one already."""

    def note(self, text: str) -> None:
        """Something the user should know."""


@dataclass(frozen=True)
class Slots:
    """How many runs go on at a time, and with how many threads each."""

    runs: int
    threads: int


class Executor(Protocol):
    """Runs a plan. Whichever does, a run computes the same numbers, and the same bits with as many threads.

    workers  runs at a time; None is as many as there is room for
    planned  runs of the whole plan, of which those that are missing are run. What a run gets depends on it and not on
             what is missing: taken up after an interruption, it would end in other bits with other threads
    """

    def slots(self, workers: int | None, planned: int) -> Slots:
        """What there would be room for. Runs nothing."""

    def run(
        self,
        runs: Sequence[RunConfig],
        store: RunStore,
        progress: Progress,
        *,
        workers: int | None,
        planned: int,
        prepare: Prepare | None,
    ) -> dict[str, Record]:
        """Run all of `runs`, each of which leaves its folder in the store; the records by the runs' names.

        A run that raises, or whose worker is lost, is a crashed record with the reason. On an interrupt whatever still
        runs is ended, and the interrupt goes on to the caller.
        """
