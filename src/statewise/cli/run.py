"""statewise run: the runs of a plan file."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from statewise.cli.console import console
from statewise.cli.execution import Execution, many
from statewise.cli.watched import status_of
from statewise.studies.plan_file import read_plan


@dataclass(frozen=True, kw_only=True)
class Run(Execution):
    """Run a plan that `--dry-run --save-plan FILE` of another command wrote. Finished runs are kept and not run again.

    Prints no table: the command that wrote the plan does, and finds the runs finished.
    """

    plan: Positional[Path]
    """The plan file."""
    output: Path = Path("runs")
    """Folder of run folders."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        self.check_execution("run")
        plan = read_plan(self.plan)
        if self.dry_run:
            return self.preview(plan, self.output, "run")
        records = self.train(plan, self.output, "run")
        statuses = [record.status for record in records]
        counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
        console().print(f"{many(len(records), 'run')} in {self.output}: {counts}", soft_wrap=True)
        return status_of(records)
