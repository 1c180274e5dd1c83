"""statewise compare: which model solves which task at which size, and where a proof says that it cannot."""

from dataclasses import dataclass
from pathlib import Path

from statewise.cli.console import console
from statewise.cli.find_limit import find_limits
from statewise.cli.watched import EVERY, check_page, check_workers, run_watched, status_of
from statewise.core.errors import UsageError
from statewise.report import conclusions, limit_sentence, render, render_limits, summarise, write_page
from statewise.report.table import threshold_note
from statewise.runs import Record
from statewise.studies import Comparison, RunConfig


@dataclass(frozen=True, kw_only=True)
class Compare(Comparison):
    """Train models on tasks with several seeds; print a table, write an HTML report, end with a verdict.

    Finished runs are kept and not run again. Without tasks: index lookup and parity, attention against
    minGRU and GRU, in a few minutes.
    """

    best_of_seeds: bool = False
    """Print, beside the mean, the seed that is best on the validation split."""
    find_limit: float | None = None
    """Instead of a grid: the size at which token accuracy falls below this, by training size after size. Sizes are then
    the smallest and the largest to try; default the preset's smallest, and 16 times its largest. Writes no page."""
    output: Path = Path("runs")
    """Folder of run folders; the report goes to report.html in it."""
    workers: int | None = None
    """Processes; default one for each core that torch uses."""
    page: bool = True
    """Write report.html and the PNGs of its figures; needs the extra `report`."""
    keep_memory: bool = True
    """Keep freed memory instead of giving it back to the system: faster steps, a larger process."""
    checkpoint_every: str = EVERY
    """Time between two checkpoints of a run that is going on (90s, 5m): what an interruption costs at most."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        check_workers("compare", self.workers)
        if self.find_limit is not None:
            return self._search(self.find_limit)
        plan = self.plan()
        if self.page:
            check_page()
        records = self._trained(plan)
        summary = summarise(records)
        out = console()
        out.print(render(summary, best_of_seeds=self.best_of_seeds))
        if self.page:
            page = write_page(summary, self.output, best_of_seeds=self.best_of_seeds)
            out.print(f"Report: {page}\n", soft_wrap=True)
        out.print("Verdict", style="bold")
        for line in conclusions(summary):
            out.print(f"  {line}", soft_wrap=True)
        out.print(f"  {threshold_note()}")
        return status_of(records)

    def _search(self, level: float) -> int:
        if self.best_of_seeds:
            raise UsageError("compare: find_limit decides by the mean over seeds; it takes no best_of_seeds")
        records: list[Record] = []

        def run(plan: list[RunConfig]) -> list[Record]:
            trained = self._trained(plan)
            records.extend(trained)
            return trained

        limits = find_limits(self, level, run)
        out = console()
        out.print(render_limits(limits))
        for limit in limits:
            out.print(f"  {limit_sentence(limit)}", soft_wrap=True)
        return status_of(records)

    def _trained(self, plan: list[RunConfig]) -> list[Record]:
        return run_watched(
            plan,
            self.output,
            workers=self.workers,
            keep_memory=self.keep_memory,
            checkpoint_every=self.checkpoint_every,
        )
