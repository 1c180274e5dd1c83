"""What running many studies will take, before any of them runs."""

from collections.abc import Iterable
from dataclasses import dataclass

from statewise.core.durations import leading_seconds, spoken
from statewise.runs import RunStore
from statewise.runs.record import CONCLUSIVE
from statewise.studies.dry_run import standing_of
from statewise.studies.study import Study


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What one study will take.

    runs     at the scale
    kept     of these, runs that are on disk and are not run again
    seconds  for those that are missing, as a share of what all of them took; None where nobody measured it
    """

    name: str
    runs: int
    kept: int
    seconds: float | None

    @property
    def line(self) -> str:
        """One line for one study.

        >>> Expected(name="cures", runs=45, kept=15, seconds=520.0).line
        'cures: about 8 min 40 s, 15 of 45 runs are there'
        """
        if self.runs and self.kept == self.runs:
            return f"{self.name}: all of its {self.runs} runs are there"
        time = "time not measured" if self.seconds is None else f"about {spoken(self.seconds)}"
        return f"{self.name}: {time}" + (f", {self.kept} of {self.runs} runs are there" if self.kept else "")


def expected_of(study: Study, scale: str, store: RunStore) -> Expected:
    """What a study will take at a scale, with what is in the store already; no time where its plan fails."""
    try:
        runs = study.runs(scale)
    except Exception:
        # It says why when it is run, and the others go on.
        return Expected(name=study.name, runs=0, kept=0, seconds=None)
    kept = sum(standing_of(run, store) in CONCLUSIVE for run in runs) if store.root.exists() else 0
    if runs and kept == len(runs):
        return Expected(name=study.name, runs=len(runs), kept=kept, seconds=0.0)
    whole, missing = leading_seconds(study.times.get(scale, "")), 1 - kept / max(len(runs), 1)
    return Expected(name=study.name, runs=len(runs), kept=kept, seconds=None if whole is None else whole * missing)


def total_of(expected: Iterable[Expected]) -> str:
    """All of them together, in a sentence.

    >>> total_of([Expected(name="a", runs=1, kept=0, seconds=90.0), Expected(name="b", runs=1, kept=0, seconds=None)])
    'Together about 1 min 30 s on two cores, and 1 study whose time nobody measured: b.'
    """
    every = list(expected)
    unknown = [each.name for each in every if each.seconds is None]
    known = spoken(sum(each.seconds for each in every if each.seconds is not None))
    if not unknown:
        return f"Together about {known} on two cores."
    studies = "study" if len(unknown) == 1 else "studies"
    return f"Together about {known} on two cores, and {len(unknown)} {studies} whose time nobody measured: " + (
        f"{', '.join(unknown)}."
    )
