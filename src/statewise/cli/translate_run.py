"""statewise translate run: lines in, translations out."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from statewise.core.errors import UsageError
from statewise.studies.translation.saved import open_translator
from statewise.studies.translation.translate import Search, translate
from statewise.tasks.parallel import split_lines

LINES_AT_ONCE = 1024
"""Read and translated together: those of one length share their work."""


@dataclass(frozen=True, kw_only=True)
class TranslateLines:
    """Translate a file or standard input line by line, to standard output; an empty line stays empty."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder, as `translate train` printed it."""
    file: Path | None = None
    """What to translate; without it, standard input."""
    beams: int = 4
    """Hypotheses that are followed at a time; 1 is greedy."""
    penalty: float = 1.0
    """Power of the length that log-probabilities are divided by."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        search = Search(beams=self.beams, penalty=self.penalty)
        model, subwords = open_translator(self.run_folder)
        lines = split_lines(self._content())
        begun = time.perf_counter()
        for start in range(0, len(lines), LINES_AT_ONCE):
            for line in translate(model, subwords, lines[start : start + LINES_AT_ONCE], search):
                sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
        print(f"{len(lines) / (time.perf_counter() - begun):,.1f} lines/s", file=sys.stderr)
        return 0

    def _content(self) -> bytes:
        if self.file is None:
            return sys.stdin.buffer.read()
        try:
            return self.file.read_bytes()
        except OSError as error:
            raise UsageError(f"translate: {self.file} cannot be read: {error.strerror}") from None
