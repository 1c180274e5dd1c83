"""statewise report: one page of everything that a folder of runs holds, without running anything."""

from dataclasses import dataclass
from pathlib import Path

from statewise.cli.console import console
from statewise.cli.text_parts import kept_texts
from statewise.cli.watched import check_page
from statewise.core.errors import UsageError
from statewise.report import StudyPart, conclusions, summarise, write_page
from statewise.runs import RunStore
from statewise.runs.findings import load_studies


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write one HTML page about all runs in a folder: comparisons as `compare` shows them, a section for each study.
    Samples of text are those of the latest `compare text` in it.

    Runs of one stack on one task that differ in more than seed and learning rate are told apart by what differs.
    """

    output: Path = Path("runs")
    """Folder of run folders."""
    name: str = "report"
    """The page is NAME.html in that folder."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        check_page()
        if Path(self.name).name != self.name:
            raise UsageError(f"report: name is {self.name!r}; it must be that of a file, without a folder")
        records = {record.name: record for record in RunStore(self.output).records()}
        parts = [
            StudyPart(study, tuple(records[name] for name in study.runs if name in records))
            for study in load_studies(self.output)
        ]
        texts = kept_texts(self.output)
        if not records and not parts:
            raise UsageError(f"report: {self.output} holds no run and no study; name the folder with --output")
        of_studies = {name for part in parts for name in part.study.runs}
        summary = summarise([record for name, record in records.items() if name not in of_studies])
        page = write_page(summary, self.output, name=self.name, studies=parts, texts=texts)
        out = console()
        for line in conclusions(summary):
            out.print(line, soft_wrap=True)
        out.print(f"Report: {page}", soft_wrap=True)
        return 0
