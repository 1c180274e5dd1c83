"""A study: a published claim, the runs that test it, and what is read off them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch

from statewise.core.errors import pick
from statewise.models import Backbone, load_model
from statewise.runs import Record, RunStore
from statewise.runs.findings import Findings
from statewise.runs.on_disk import MODEL
from statewise.studies.run_config import RunConfig

SCALES = {
    "smoke": "seconds: every step is taken, nothing is trained for long enough",
    "small": "minutes on two cores, with three seeds",
    "paper": "the published sizes, as far as they are known",
}
TOO_SHORT = "at smoke nothing is trained for long enough"
"""Why no value of the smallest scale is compared with a published one."""


class Trained:
    """The finished runs of a study: their records, and their models when they are asked for."""

    def __init__(self, store: RunStore, records: Sequence[Record]) -> None:
        self.store = store
        self.records = records

    @cached_property
    def by_name(self) -> dict[str, Record]:
        """Finished records by the names of their runs."""
        return {record.name: record for record in self.records if record.status == "finished"}

    def finished(self, runs: Sequence[RunConfig]) -> list[RunConfig]:
        """Those of `runs` that finished."""
        return [run for run in runs if run.name in self.by_name]

    def record(self, run: RunConfig) -> Record:
        """The record of a run that finished."""
        return self.by_name[run.name]

    def model(self, run: RunConfig) -> Backbone:
        """The trained model of a run that finished."""
        return load_model(self.store.root / run.name / MODEL)

    def loss(self, run: RunConfig) -> float:
        """Test loss of a run that finished, at its only size."""
        (result,) = self.record(run).results
        return result.loss

    def validation_loss(self, run: RunConfig) -> float:
        """The same on the validation split, to choose by."""
        (result,) = self.record(run).results
        return result.validation.loss

    def missing(self) -> tuple[str, ...]:
        """A line for each run that gave no numbers."""
        return tuple(
            f"{record.name} {record.status}, and is left out: {record.because}"
            for record in self.records
            if record.status != "finished"
        )


@dataclass(frozen=True, kw_only=True)
class Study:
    """One published claim.

    name      as typed
    claim     what the paper says, in a sentence
    source    the paper, and how its values are known
    times     how long each scale took or takes, in words
    one_seed  why there is one seed alone, and nothing is compared; empty where there are three or more
    runs      every run at a scale
    findings  what the finished runs say at a scale
    """

    name: str
    claim: str
    source: str
    times: dict[str, str]
    plan: Callable[[str], list[RunConfig]]
    read: Callable[[str, Trained], Findings]
    one_seed: str = ""

    def runs(self, scale: str) -> list[RunConfig]:
        """Every run at a scale. A scale that is not one is a UsageError."""
        pick("scale", scale, SCALES)
        return self.plan(scale)

    def findings(self, scale: str, store: RunStore, records: Sequence[Record]) -> Findings:
        """What the runs of a scale say; those that did not finish are left out and named."""
        pick("scale", scale, SCALES)
        with one_thread():
            return self.read(scale, Trained(store, records))


@contextmanager
def one_thread() -> Iterator[None]:
    """A context in which torch uses one thread: for small matrices, more wait for each other longer than they work.

    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
