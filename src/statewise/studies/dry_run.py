"""A plan before it is run: which runs there are, what is on disk of them, and what the rest will cost."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from statewise.core.errors import RunError
from statewise.runs import RunStore
from statewise.runs.folder import partial_folder
from statewise.runs.record import CONCLUSIVE
from statewise.studies.cost import kind_of, makespan, measure_costs
from statewise.studies.executors import Executor, Slots
from statewise.studies.run_config import RunConfig
from statewise.studies.threads import threads

ABSENT, INTERRUPTED, DAMAGED = "not there", "interrupted", "damaged"


@dataclass(frozen=True)
class Planned:
    """One run of a plan.

    standing  finished or diverged, and kept; crashed, interrupted, damaged or not there, and then run
    seconds   expected; None where nothing is run
    """

    run: RunConfig
    standing: str
    seconds: float | None


@dataclass(frozen=True)
class DryRun:
    """What a plan would do.

    slots    runs at a time and threads of each
    kinds    kinds of runs of which a few steps were taken
    elapsed  seconds from the first run to the last
    """

    planned: tuple[Planned, ...]
    slots: Slots
    kinds: int
    elapsed: float

    @property
    def work(self) -> float:
        """Seconds of all runs, one after the other."""
        return sum(each.seconds or 0.0 for each in self.planned)

    @property
    def standings(self) -> Counter[str]:
        """How many runs stand where."""
        return Counter(each.standing for each in self.planned)


def dry_run(runs: Sequence[RunConfig], store: RunStore, executor: Executor, *, workers: int | None) -> DryRun:
    """Look at the store, and take a few steps of each kind of run that is missing. Nothing is written."""
    standings = {run.name: standing_of(run, store) for run in runs}
    missing = [run for run in runs if standings[run.name] not in CONCLUSIVE]
    slots = executor.slots(workers, len(runs)) if missing else Slots(1, 1)
    with threads(slots.threads):
        costs = measure_costs(missing)
    seconds = {run.name: costs[kind_of(run)].of(run) for run in missing}
    return DryRun(
        planned=tuple(Planned(run, standings[run.name], seconds.get(run.name)) for run in runs),
        slots=slots,
        kinds=len(costs),
        elapsed=makespan(list(seconds.values()), slots.runs),
    )


def standing_of(run: RunConfig, store: RunStore) -> str:
    """What is on disk of a run."""
    try:
        record = store.find(run.name)
    except RunError:
        return DAMAGED
    if record is not None and record.conclusive:
        return record.status
    if partial_folder(store.root, run.name).exists():
        return INTERRUPTED
    return ABSENT if record is None else record.status
