"""A study: a published claim, the runs that test it, and what is read off them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from statewise.core.errors import UsageError, pick
from statewise.core.events import Evaluated
from statewise.models import Backbone, load_model
from statewise.runs import Record, RunStore
from statewise.runs.events import read_events
from statewise.runs.findings import Findings
from statewise.runs.on_disk import MODEL
from statewise.studies.measurement import Measured, Measurement, measure_all
from statewise.studies.run_config import RunConfig
from statewise.studies.threads import threads

SCALES = {
    "smoke": "seconds: every step is taken, nothing is trained for long enough",
    "small": "minutes on two cores, with three seeds",
    "paper": "the published sizes, as far as they are known",
}
CORPORA = {"file": "a text file", "parallel": "parallel text"}
"""What studies read from disk, by the option that names it."""

TOO_SHORT = "at smoke nothing is trained for long enough"
"""Why no value of the smallest scale is compared with a published one."""


def nothing(asked: str) -> list[Any]:
    """What a study plans where it trains nothing, or measures nothing."""
    return []


class Trained:
    """The finished runs of a study: their records, and their models when they are asked for.

    measured  what was timed or weighed, by the keys of the measurements
    """

    def __init__(
        self, store: RunStore, records: Sequence[Record], measured: Mapping[str, Measured] = MappingProxyType({})
    ) -> None:
        self.store = store
        self.records = records
        self.measured = measured

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
        model = load_model(self.store.root / run.name / MODEL)
        assert isinstance(model, Backbone), "a study that opens models has none in two halves"
        return model

    def loss(self, run: RunConfig) -> float:
        """Test loss of a run that finished, at its only size."""
        (result,) = self.record(run).results
        return result.loss

    def validation_loss(self, run: RunConfig) -> float:
        """The same on the validation split, to choose by."""
        (result,) = self.record(run).results
        return result.validation.loss

    def token_accuracy(self, run: RunConfig) -> float:
        """Test accuracy per scored token of a run that finished, at its only size."""
        (result,) = self.record(run).results
        assert result.token_accuracy is not None
        return result.token_accuracy

    def evaluations(self, run: RunConfig) -> list[Evaluated]:
        """What a run said of the validation split on its way, at each evaluation; none where nothing was kept."""
        said = read_events(self.store.root / run.name)
        return [event for event in said if isinstance(event, Evaluated)]

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

    name          as typed
    claim         what the paper says, in a sentence
    source        the paper, and how its values are known
    times         how long each scale took or takes, in words that begin with a number and s, min or h
    one_seed      why there is one seed alone, and nothing is compared; empty where there are three or more
    plan          every run at a scale; none where nothing is trained
    measurements  what is timed or weighed at a scale besides
    with_corpus   the same study of a text file, by its path; None where no file is read
    corpus        what kind of file that is, one of CORPORA
    runs          every run at a scale, checked
    findings      what the finished runs and the measurements say at a scale
    """

    name: str
    claim: str
    source: str
    times: dict[str, str]
    read: Callable[[str, Trained], Findings]
    plan: Callable[[str], list[RunConfig]] = nothing
    measurements: Callable[[str], list[Measurement]] = nothing
    with_corpus: Callable[[str], "Study"] | None = None
    one_seed: str = ""
    corpus: str = "file"

    def runs(self, scale: str) -> list[RunConfig]:
        """Every run at a scale. A scale that is not one is a UsageError."""
        pick("scale", scale, SCALES)
        return self.plan(scale)

    def findings(
        self,
        scale: str,
        store: RunStore,
        records: Sequence[Record],
        note: Callable[[str], object] = nothing,
    ) -> Findings:
        """What a scale says; runs that did not finish are left out and named.

        Measurements that are not in the store are made first, each said to `note`.
        """
        pick("scale", scale, SCALES)
        measured = measure_all(self.measurements(scale), store.root, note)
        # For small matrices, more threads wait for each other longer than they work.
        with threads(1):
            return self.read(scale, Trained(store, records, measured))

    def of_corpus(self, file: str | None) -> "Study":
        """The same study of a text file; with None, as it is. UsageError where a file is named and none is read."""
        if file is None:
            return self
        if self.with_corpus is None:
            raise UsageError(f"reproduce: {self.corpus} is {file}, which {self.name} does not read; leave it out")
        return self.with_corpus(file)
