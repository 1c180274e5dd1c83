"""statewise compare: which model solves which task at which size, and where a proof says that it cannot."""

from dataclasses import dataclass
from pathlib import Path

from statewise.cli.console import console
from statewise.cli.execution import Execution
from statewise.cli.find_limit import find_limits
from statewise.cli.text_parts import keep_texts, text_parts
from statewise.cli.watched import check_page, status_of
from statewise.core.errors import UsageError
from statewise.report import (
    conclusions,
    limit_sentence,
    render,
    render_limits,
    render_text,
    summarise,
    write_page,
)
from statewise.report.table import threshold_note
from statewise.runs import Record
from statewise.studies import Comparison, RunConfig


@dataclass(frozen=True, kw_only=True)
class Compare(Execution, Comparison):
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
    page: bool = True
    """Write report.html and the PNGs of its figures; needs the extra `report`."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        self.check_execution("compare")
        if self.find_limit is not None:
            return self._search(self.find_limit)
        plan = self.plan()
        if self.dry_run:
            return self.preview(plan, self.output, "compare")
        if self.page:
            check_page()
        records = self._trained(plan)
        summary = summarise(records)
        out = console()
        out.print(render(summary, best_of_seeds=self.best_of_seeds))
        texts = list(text_parts(summary, self.output))
        for part in texts:
            out.print(render_text(part))
        if texts:
            keep_texts(texts, self.output)
        if self.page:
            page = write_page(summary, self.output, best_of_seeds=self.best_of_seeds, texts=texts)
            out.print(f"Report: {page}\n", soft_wrap=True)
        out.print("Verdict", style="bold")
        for line in conclusions(summary):
            out.print(f"  {line}", soft_wrap=True)
        out.print(f"  {threshold_note()}")
        return status_of(records)

    def _search(self, level: float) -> int:
        if self.best_of_seeds:
            raise UsageError("compare: find_limit decides by the mean over seeds; it takes no best_of_seeds")
        if self.dry_run:
            raise UsageError("compare: find_limit has no plan to print: what it runs depends on what ran before")
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
        return self.train(plan, self.output, "compare")
