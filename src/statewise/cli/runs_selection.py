"""Which runs are asked for: options that the commands over many runs have in common."""

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from statewise.runs.query import Selection


@dataclass(frozen=True, kw_only=True)
class RunsFolder:
    """Where runs are."""

    folder: Path = Path("runs")
    """Folder of run folders: the `--output` of the commands that train."""


@dataclass(frozen=True, kw_only=True)
class SelectedRuns(RunsFolder):
    """Runs in a folder that fulfil every condition."""

    tasks: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--task"])] = ()
    """Only runs of these tasks, by the names that are listed."""
    models: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--model"])] = ()
    """Only runs of these models, by the names that are listed."""
    statuses: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--status"])] = ()
    """Only runs that are finished, diverged, crashed, failed, running or interrupted."""
    seeds: Annotated[tuple[int, ...], tyro.conf.arg(aliases=["--seed"])] = ()
    """Only runs with these seeds."""
    where: str | None = None
    """Only runs for which this holds: DuckDB's SQL over the columns of `ls --json`, and over `config`, as in
    "token_accuracy > 0.9 AND (config->>'$.model.norm') = 'rms'"."""

    @property
    def selection(self) -> Selection:
        """The conditions; a status that is none is a UsageError."""
        return Selection(
            tasks=self.tasks, models=self.models, statuses=self.statuses, seeds=self.seeds, where=self.where
        )


def tell_passed_over(passed_over: Counter[str]) -> None:
    """Say in one line, on standard error, how many folders hold no whole run; nothing where all do."""
    if passed_over:
        count = passed_over.total()
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(passed_over.items()))
        print(f"{count:,} folder{'s are' if count > 1 else ' is'} passed over: {kinds}", file=sys.stderr)
