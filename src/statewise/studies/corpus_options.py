"""What commands take that train on text: which corpus, cut into documents and tokens how."""

import hashlib
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from statewise.core.disk import HALF_WRITTEN
from statewise.core.errors import UsageError
from statewise.tasks import Text, text_of
from statewise.tasks.packed import user_cache

STANDARD_INPUT = "-"
READ_AT_ONCE = 2**20


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """The corpus of the task text. Without `file`, the sources of Python's standard library."""

    file: tuple[str, ...] = ()
    """Corpus of the task text: files, glob patterns, - for standard input, or folders of a data set (what
    datasets.save_to_disk wrote, or Parquet files). Each file or row is a document."""
    column: str = "text"
    """Column of a data set that holds the text."""
    separator: str | None = None
    r"""Text that ends a document, where a file holds several; \n and \t stand for a line's end and a tab."""
    tokenizer: str = "bytes"
    """bytes; bpe, byte pairs trained on the training part of the corpus; or the path of a byte-level tokenizer.json."""
    vocabulary: int | None = None
    """With --tokenizer bpe: most tokens that it may have; default 4096."""
    carry_state: bool = False
    """Truncated backpropagation: training reads the corpus in order, in as many streams as a batch has rows, and the
    state is carried from each window to the next. For recurrent models."""
    cache: str | None = None
    """Folder in which tokens are kept; default statewise in XDG_CACHE_HOME or ~/.cache."""

    def text(self, batch_size: int) -> Text:
        """The task. Standard input is read to its end and kept in the cache, so that runs can be taken up."""
        if self.vocabulary is not None and self.tokenizer != "bpe":
            raise UsageError(
                f"text: vocabulary is {self.vocabulary}, which goes with tokenizer bpe; tokenizer is {self.tokenizer}"
            )
        return text_of(
            self.files_named(),
            column=self.column,
            separator=None if self.separator is None else self.separator.replace("\\n", "\n").replace("\\t", "\t"),
            tokenizer=self.tokenizer,
            vocabulary_size=self.vocabulary,
            streams=batch_size if self.carry_state else 0,
            cache=self.cache,
        )

    def files_named(self) -> tuple[str, ...]:
        """The files of the corpus: in the place of -, one with what standard input held, read to its end."""
        # A single name, from Python, is one file and not its letters.
        files = (self.file,) if isinstance(self.file, str) else self.file
        if files.count(STANDARD_INPUT) > 1:
            raise UsageError("text: standard input can be read once, and - is named twice")
        return tuple(kept_standard_input(self.cache) if name == STANDARD_INPUT else name for name in files)

    def corpus_settings(self) -> dict[str, object]:
        """The options that are not at their defaults, by name."""
        mine = {field.name: field.default for field in fields(CorpusOptions)}
        return {name: getattr(self, name) for name, default in mine.items() if getattr(self, name) != default}


def kept_standard_input(cache: str | None) -> str:
    """The path of a file with all that standard input holds, named by its digest."""
    folder = user_cache() if cache is None else Path(cache)
    total, half = hashlib.sha256(), folder / f"stdin-{os.getpid()}{HALF_WRITTEN}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with half.open("wb") as file:
            while content := sys.stdin.buffer.read(READ_AT_ONCE):
                file.write(content)
                total.update(content)
        if half.stat().st_size == 0:
            raise UsageError("text: standard input is empty")
        path = folder / f"stdin-{total.hexdigest()[:16]}.txt"
        half.replace(path)
    except OSError as error:
        raise UsageError(
            f"text: standard input cannot be kept in {folder}: {error.strerror}; name another folder: --cache"
        ) from None
    finally:
        # A folder that could not be made holds nothing to remove.
        with suppress(OSError):
            half.unlink(missing_ok=True)
    return str(path)
