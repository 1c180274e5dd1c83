"""statewise compare: which model solves which task at which size, and where a proof says that it cannot."""

from dataclasses import dataclass
from pathlib import Path

import torch

from statewise.cli.console import console
from statewise.cli.progress import watch
from statewise.core.errors import UsageError
from statewise.core.optional import require
from statewise.ops.memory import keep_freed_memory
from statewise.report import conclusions, render, summarise, write_page
from statewise.report.table import threshold_note
from statewise.runs import Record, RunStore
from statewise.studies import Comparison, RunConfig, run_all


@dataclass(frozen=True, kw_only=True)
class Compare(Comparison):
    """Train models on tasks with several seeds; print a table, write an HTML report, end with a verdict.

    Finished runs are kept and not run again. Without tasks: index lookup and parity, attention against
    minGRU and GRU, in a few minutes.
    """

    output: Path = Path("runs")
    """Folder of run folders; the report goes to report.html in it."""
    workers: int | None = None
    """Processes; default one for each core that torch uses."""
    page: bool = True
    """Write report.html and the PNGs of its figures; needs the extra `report`."""
    keep_memory: bool = True
    """Keep freed memory instead of giving it back to the system: faster steps, a larger process."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"compare: workers is {self.workers}; it must be at least 1")
        plan = self.plan()
        if self.page:
            for module in ("matplotlib", "jinja2"):
                require(module, extra="report", purpose="the HTML report (leave it out with --no-page)")
        records = run_watched(plan, self.output, workers=self.workers, keep_memory=self.keep_memory)
        summary = summarise(records)
        out = console()
        out.print(render(summary))
        if self.page:
            out.print(f"Report: {write_page(summary, self.output)}\n", soft_wrap=True)
        out.print("Verdict", style="bold")
        for line in conclusions(summary):
            out.print(f"  {line}", soft_wrap=True)
        out.print(f"  {threshold_note()}")
        return 0 if not any(record.status == "crashed" for record in records) else 1


def run_watched(plan: list[RunConfig], output: Path, *, workers: int | None, keep_memory: bool) -> list[Record]:
    """Run a plan with progress shown; on an interrupt say what is finished and where."""
    prepare = keep_freed_memory if keep_memory else None
    store = RunStore(output)
    store.check_writable()
    watcher = watch(len(plan))
    try:
        with watcher:
            return run_all(plan, store, watcher, workers=workers or torch.get_num_threads(), prepare=prepare)
    except KeyboardInterrupt:
        watcher.note(
            f"interrupted: {watcher.done} of {len(plan)} runs are finished and kept in {output}; "
            "the same command goes on from there"
        )
        raise
