"""statewise reproduce: a published claim, tested again, with the paper's values beside ours."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from tyro.conf import Positional

from statewise.cli.console import console
from statewise.cli.execution import Execution
from statewise.cli.watched import status_of
from statewise.core.errors import StatewiseError, UsageError, pick
from statewise.core.optional import require
from statewise.report import StudyPart, summarise, write_page
from statewise.report.study import draw_charts, render_study
from statewise.runs import Record, RunStore
from statewise.runs.findings import Findings, StudyRecord, save_study
from statewise.studies.catalogue import STUDIES
from statewise.studies.expected import expected_of, total_of
from statewise.studies.study import CORPORA, SCALES, Study


@dataclass(frozen=True, kw_only=True)
class Reproduce(Execution):
    """Run a study and print each quantity: the paper's value, how that is known, ours with its interval, a verdict.

    Finished runs are kept and not run again. With --all: every study, one after the other, and one report of all.
    """

    name: Positional[str | None] = None
    """One of those below; without it they are listed."""
    all: bool = False
    """Run every study, after saying how long that will take; one that fails is named at the end."""
    scale: str = "small"
    """smoke (seconds), small (minutes on two cores) or paper (the published sizes)."""
    file: str | None = None
    """Text file that the study trains on, for studies that need one: minrnn-shakespeare."""
    parallel: str | None = None
    """Parallel text that the study trains on, a folder of Multi30k's files or one file with a tab between source and
    target in each line, for studies that need it: translation-bridges."""
    output: Path = Path("runs")
    """Folder of run folders; figures and the page go into it too."""
    figures: bool = True
    """Draw the study's figures and write its page; needs the extra `report`."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        pick("scale", self.scale, SCALES)
        self.check_execution("reproduce")
        if self.all and self.name is not None:
            raise UsageError(f"reproduce: all is asked for and so is {self.name}; leave one of them out")
        if self.name is None and not self.all:
            console().print(listing(STUDIES.values()), soft_wrap=True)
            return 0
        study = None if self.name is None else self._read_by(pick("study", self.name, STUDIES))
        if self.dry_run:
            studies = self._studies(console()) if study is None else [study]
            plan = [run for each in studies for run in each.runs(self.scale)]
            return self.preview(plan, self.output, "reproduce")
        if self.figures:
            for module in ("matplotlib", "jinja2", "plotly"):
                require(module, extra="report", purpose="the study's figures (leave them out with --no-figures)")
        if study is None:
            return self._all(console())
        part = self._one(study, console())
        self._page(f"{study.name}-{self.scale}", [part], console())
        return status_of(list(part.records))

    def _read_by(self, study: Study) -> Study:
        """The study of what is named for it; what it does not read is refused."""
        for corpus in CORPORA:
            named = getattr(self, corpus)
            if named is not None and corpus != study.corpus:
                raise UsageError(f"reproduce: {corpus} is {named}, which {study.name} does not read; leave it out")
        return study.of_corpus(getattr(self, study.corpus))

    def _one(self, study: Study, out: Console) -> StudyPart:
        """Run a study, print its table and draw its figures."""
        plan = study.runs(self.scale)
        out.print(f"{study.name} at scale {self.scale}: {study.claim}", soft_wrap=True)
        records = self.train(plan, self.output, "reproduce")
        findings = study.findings(self.scale, RunStore(self.output), records, partial(print, file=sys.stderr))
        out.print(render_study(findings))
        out.print(f"Source: {study.source}.", soft_wrap=True)
        part = StudyPart(kept(study, self.scale, records, findings, self.output), tuple(records))
        if self.figures:
            for path in draw_charts(findings, self.output, name=f"{study.name}-{self.scale}"):
                out.print(f"Figure: {path}", soft_wrap=True)
        return part

    def _page(self, name: str, parts: Sequence[StudyPart], out: Console) -> None:
        """Write one page of these studies, unless figures are not asked for."""
        if self.figures and parts:
            out.print(f"Report: {write_page(summarise(()), self.output, name=name, studies=parts)}", soft_wrap=True)

    def _all(self, out: Console) -> int:
        """Say what every study will take, run them one after the other, and name those that failed."""
        studies = self._studies(out)
        expected = [expected_of(study, self.scale, RunStore(self.output)) for study in studies]
        for each in expected:
            out.print(each.line, soft_wrap=True)
        out.print(total_of(expected), soft_wrap=True)
        parts, failed = self._each(studies, out)
        self._page(f"studies-{self.scale}", parts, out)
        for name, because in failed.items():
            out.print(f"Failed: {name}: {because}", soft_wrap=True)
        return 1 if failed else 0

    def _studies(self, out: Console) -> list[Study]:
        """All studies; those that read a text come last, and are left out where no file is named."""
        studies = [study for study in STUDIES.values() if study.with_corpus is None]
        for study in STUDIES.values():
            named = getattr(self, study.corpus)
            if study.with_corpus is not None and named is not None:
                studies.append(study.of_corpus(named))
            elif study.with_corpus is not None:
                what = f"it reads {CORPORA[study.corpus]}; name one with --{study.corpus}"
                out.print(f"{study.name} is left out: {what}", soft_wrap=True)
        return studies

    def _each(self, studies: Sequence[Study], out: Console) -> tuple[list[StudyPart], dict[str, str]]:
        """What every study found, and why some failed: an error in one does not stop the others."""
        parts: list[StudyPart] = []
        failed: dict[str, str] = {}
        for study in studies:
            try:
                part = self._one(study, out)
            except Exception as error:
                failed[study.name] = (
                    str(error) if isinstance(error, StatewiseError) else f"{type(error).__name__}: {error}"
                )
                out.print(f"{study.name} failed, the others go on: {failed[study.name]}", soft_wrap=True)
                continue
            parts.append(part)
            if status_of(list(part.records)):
                failed[study.name] = "some of its runs crashed; the same command runs them again"
        return parts, failed


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


def listing(studies: Iterable[Study]) -> str:
    """Every study with its claim, and its time at each scale."""
    return "\n\n".join(
        f"{study.name}\n    {study.claim}\n    "
        + "; ".join(f"{scale}: {study.times.get(scale, 'time not measured')}" for scale in SCALES)
        for study in studies
    )


Reproduce.__doc__ = f"{Reproduce.__doc__}\n{listing(STUDIES.values())}"
"""What --help shows."""
