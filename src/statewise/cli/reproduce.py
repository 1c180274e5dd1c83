"""statewise reproduce: a published claim, tested again, with the paper's values beside ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from statewise.cli.console import console
from statewise.cli.watched import check_workers, run_watched, status_of
from statewise.core.errors import pick
from statewise.core.optional import require
from statewise.report import StudyPart, summarise, write_page
from statewise.report.study import draw_charts, render_study
from statewise.runs import Record, RunStore
from statewise.runs.findings import Findings, StudyRecord, save_study
from statewise.studies.catalogue import STUDIES
from statewise.studies.study import SCALES, Study


@dataclass(frozen=True, kw_only=True)
class Reproduce:
    """Run a study and print each quantity: the paper's value, how that is known, ours with its interval, a verdict.

    Finished runs are kept and not run again. Without a name: every study with its claim.
    """

    name: Positional[str | None] = None
    """As in gated-rnn-teacher."""
    scale: str = "small"
    """smoke (seconds), small (minutes on two cores) or paper (the published sizes)."""
    output: Path = Path("runs")
    """Folder of run folders; figures and the page go into it too."""
    workers: int | None = None
    """Processes; default one for each core that torch uses."""
    figures: bool = True
    """Draw the study's figures and write its page; needs the extra `report`."""
    keep_memory: bool = True
    """Keep freed memory instead of giving it back to the system: faster steps, a larger process."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        pick("scale", self.scale, SCALES)
        check_workers("reproduce", self.workers)
        if self.name is None:
            return self._list()
        study = pick("study", self.name, STUDIES)
        if self.figures:
            for module in ("matplotlib", "jinja2", "plotly"):
                require(module, extra="report", purpose="the study's figures (leave them out with --no-figures)")
        out = console()
        out.print(f"{study.name} at scale {self.scale}: {study.claim}", soft_wrap=True)
        records = run_watched(study.runs(self.scale), self.output, workers=self.workers, keep_memory=self.keep_memory)
        findings = study.findings(self.scale, RunStore(self.output), records)
        out.print(render_study(findings))
        out.print(f"Source: {study.source}.", soft_wrap=True)
        part = StudyPart(kept(study, self.scale, records, findings, self.output), tuple(records))
        if self.figures:
            name = f"{study.name}-{self.scale}"
            for path in draw_charts(findings, self.output, name=name):
                out.print(f"Figure: {path}", soft_wrap=True)
            out.print(f"Report: {write_page(summarise(()), self.output, name=name, studies=[part])}", soft_wrap=True)
        return status_of(records)

    def _list(self) -> int:
        out = console()
        for study in STUDIES.values():
            times = "; ".join(f"{scale}: {study.times.get(scale, 'time not measured')}" for scale in SCALES)
            out.print(f"{study.name}\n    {study.claim}\n    {times}", soft_wrap=True)
        return 0


def kept(study: Study, scale: str, records: Sequence[Record], findings: Findings, output: Path) -> StudyRecord:
    """What was found, written down for `statewise report`."""
    found = StudyRecord(
        name=study.name,
        scale=scale,
        claim=study.claim,
        source=study.source,
        runs=tuple(record.name for record in records),
        findings=findings,
    )
    save_study(found, output)
    return found
