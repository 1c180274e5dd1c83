"""statewise needle: facts planted in a text, and which models find them at which depth and length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from statewise.cli.console import console
from statewise.cli.execution import Execution
from statewise.cli.watched import status_of
from statewise.core.durations import spoken
from statewise.models import LanguageModel
from statewise.report.needle import NeedleLine, needle_table
from statewise.report.table import listed
from statewise.report.verdict import percent
from statewise.runs import RunStore
from statewise.studies.needle import CONTENDERS, Answers, Contender, NeedleTest, answers_of
from statewise.studies.run_config import RunConfig
from statewise.studies.study import Trained
from statewise.tasks.needle import LETTERS


@dataclass(frozen=True, kw_only=True)
class Needle(Execution, NeedleTest):
    """Train recurrent models, with and without search and a layer of attention, to find facts planted in a text.

    Prints accuracy by depth and length on the part of the file that was not trained on. Finished runs are kept and not
    run again.
    """

    output: Path = Path("runs")
    """Folder of run folders."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        self.check_execution("needle")
        if self.dry_run:
            return self.preview(self.plan(), self.output, "needle")
        records = self.train(self.plan(), self.output, "needle")
        trained = Trained(RunStore(self.output), records)
        out = console()
        out.print(needle_table([line for contender in CONTENDERS for line in self._lines(contender, trained)]))
        for line in (*self._notes(), *self._trainings(trained), *trained.missing()):
            out.print(line, soft_wrap=True)
        return status_of(records)

    def _lines(self, contender: Contender, trained: Trained) -> Iterator[NeedleLine]:
        """A line for each length, unless no run of the model finished."""
        runs = trained.finished(self.runs(contender))
        for length in self.lengths if runs else ():
            yield line_of(contender, length, [self._answers(run, length, trained) for run in runs])

    def _answers(self, run: RunConfig, length: int, trained: Trained) -> Answers:
        model = trained.model(run)
        assert isinstance(model, LanguageModel)
        return answers_of(model, run, length, examples=self.examples)

    def _notes(self) -> Iterator[str]:
        """What the numbers are."""
        yield (
            f"Accuracy in percent over {self.examples:,} documents for each length and seed, by the depth of the "
            f"fact that is asked for, one of up to {self.facts}; 0 % is the beginning. "
            f"Guessing gives {percent(1 / LETTERS)}."
        )
        yield (
            "Models answer on their own: searches are made, and no answer is wrong. ±: half of Student's t 95 % "
            "interval over seeds, which is approximate."
        )
        yield (
            f"Trained on documents of {listed(list(map(str, self.train_lengths)))} bytes from the first nine tenths of "
            f"{self.file or 'the sources of the standard library'}; asked about its last tenth. "
            "A model whose budget was used up might do better with more steps."
        )

    def _trainings(self, trained: Trained) -> Iterator[str]:
        """How the training of each model ended."""
        for contender in CONTENDERS:
            for run in trained.finished(self.runs(contender)):
                record = trained.record(run)
                cost = record.training
                yield (
                    f"{contender.name}, seed {run.seed}: {cost['steps']:,} steps in {spoken(cost['seconds'])}; "
                    f"{record.because}"
                )


def line_of(contender: Contender, length: int, answers: Sequence[Answers]) -> NeedleLine:
    """What the seeds of one model answered at one length."""
    return NeedleLine(
        model=contender.name,
        length=length,
        by_depth=tuple(each.by_depth for each in answers),
        overall=tuple(each.right.double().mean().item() for each in answers),
        state_bits=max(each.state_bits for each in answers),
        searched_bits=max(each.searched_bits for each in answers),
    )
