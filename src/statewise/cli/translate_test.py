"""statewise translate test: BLEU and chrF of a trained model on any parallel text."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from statewise.cli.console import console
from statewise.core.disk import write_whole
from statewise.report.translation import score_lines
from statewise.studies.translation.saved import open_translator
from statewise.studies.translation.scores import nats_of, sacrebleu, score
from statewise.studies.translation.translate import Search, translate
from statewise.tasks.parallel import read_pairs


@dataclass(frozen=True, kw_only=True)
class TranslateTest:
    """Translate the sources of parallel text and compare with its targets, by length too."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder, as `translate train` printed it."""
    source: str
    """File with a sentence in each line, gzipped or not."""
    target: str | None = None
    """File with their translations; without it, `source` has a tab between the two in each line."""
    beams: int = 4
    """Hypotheses that are followed at a time; 1 is greedy."""
    penalty: float = 1.0
    """Power of the length that log-probabilities are divided by."""
    save: Path | None = None
    """Write the translations to this file, a line for each."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        sacrebleu()
        search = Search(beams=self.beams, penalty=self.penalty)
        pairs = read_pairs(self.source, self.target)
        model, subwords = open_translator(self.run_folder)
        written = translate(model, subwords, pairs.source, search)
        loss = nats_of(model, subwords, pairs)
        found = score(pairs.source, pairs.target, written, search, nats=loss.per_byte)
        out = console()
        for line in score_lines(found, perplexity=loss.perplexity):
            out.print(line, soft_wrap=True)
        if self.save is not None:
            save_lines(written, self.save)
        return 0


def save_lines(lines: list[bytes], path: Path) -> None:
    """Write lines to a file that appears only when it is whole."""
    write_whole(path, lambda half: half.write_bytes(b"".join(line + b"\n" for line in lines)))
