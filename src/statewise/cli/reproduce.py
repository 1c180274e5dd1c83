"""statewise reproduce: a published claim, tested again, with the paper's values beside ours."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from statewise.cli.console import console
from statewise.cli.execution import Execution
from statewise.cli.watched import status_of
from statewise.core.errors import pick
from statewise.core.optional import require
from statewise.report.study import draw_charts, render_study
from statewise.runs import RunStore
from statewise.studies.catalogue import STUDIES
from statewise.studies.study import SCALES


@dataclass(frozen=True, kw_only=True)
class Reproduce(Execution):
    """Run a study and print each quantity: the paper's value, how that is known, ours with its interval, a verdict.

    Finished runs are kept and not run again. Without a name: every study with its claim.
    """

    name: Positional[str | None] = None
    """As in gated-rnn-teacher."""
    scale: str = "small"
    """smoke (seconds), small (minutes on two cores) or paper (the published sizes)."""
    output: Path = Path("runs")
    """Folder of run folders; figures go into it too."""
    figures: bool = True
    """Draw the study's figures; needs the extra `report`."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        pick("scale", self.scale, SCALES)
        self.check_execution("reproduce")
        if self.name is None:
            return self._list()
        study = pick("study", self.name, STUDIES)
        if self.dry_run:
            return self.preview(study.runs(self.scale), self.output, "reproduce")
        if self.figures:
            require("matplotlib", extra="report", purpose="the study's figures (leave them out with --no-figures)")
        out = console()
        out.print(f"{study.name} at scale {self.scale}: {study.claim}", soft_wrap=True)
        records = self.train(study.runs(self.scale), self.output, "reproduce")
        findings = study.findings(self.scale, RunStore(self.output), records)
        out.print(render_study(findings))
        out.print(f"Source: {study.source}.", soft_wrap=True)
        if self.figures:
            for path in draw_charts(findings, self.output, name=f"{study.name}-{self.scale}"):
                out.print(f"Figure: {path}", soft_wrap=True)
        return status_of(records)

    def _list(self) -> int:
        out = console()
        for study in STUDIES.values():
            times = "; ".join(f"{scale}: {study.times.get(scale, 'time not measured')}" for scale in SCALES)
            out.print(f"{study.name}\n    {study.claim}\n    {times}", soft_wrap=True)
        return 0
