"""statewise translate train: encoder–decoders on parallel text, and what they score on its test part."""

from dataclasses import dataclass
from pathlib import Path

from statewise.cli.console import console
from statewise.cli.execution import Execution
from statewise.cli.watched import status_of
from statewise.report.translation import translation_table
from statewise.studies.translation.plan import ParallelTraining


@dataclass(frozen=True, kw_only=True)
class TranslateTrain(Execution, ParallelTraining):
    """Train on parallel text, keep the models, and print BLEU, chrF and perplexity on the test part.

    Runs that are finished are kept and not run again; an interrupted one goes on from its last checkpoint.
    """

    output: Path = Path("runs")
    """Folder of run folders."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        self.check_execution("translate train")
        plan = self.plan()
        if self.dry_run:
            return self.preview(plan, self.output, "translate train")
        records = self.train(plan, self.output, "translate train")
        out = console()
        out.print(translation_table(records))
        for record in records:
            if record.status == "finished":
                out.print(f"kept in {self.output / record.name}; translate with:", soft_wrap=True)
                out.print(f"  statewise translate run --run {self.output / record.name} < FILE", soft_wrap=True)
        return status_of(records)
