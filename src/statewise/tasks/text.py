"""Text: the bytes of a file, and the next byte as the target.

    input    T  o     b  e
    target   o     b  e  ,

The first 90 % of the file are for training, the last 10 % for the report; the last fiftieth of the training
part is held out for validation. Training windows start anywhere; validation and test windows lie end to end,
so that an evaluation over all of them scores every byte once.

A large file is mapped rather than read, so that it may be larger than memory.
"""

import hashlib
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from statewise.core.config import digest
from statewise.core.disk import sha256_of
from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.task import Batch, Measure, Task
from statewise.tasks.tokens import ByteTokens, Ids, Tokens

Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]
Places = np.ndarray[tuple[int, int], np.dtype[np.int64]]

MAPPED_FROM = 2**26
"""Bytes from which on a file is mapped. A smaller one is read, so that whoever writes to it disturbs no run."""


@dataclass(frozen=True)
class Text(Task):
    """Windows of `size` bytes of a file, every byte's successor scored.

    file    path of the corpus; None is the source of the running interpreter's standard library, its modules
            in sorted order (a few megabytes that every machine has)
    sha256  what the contents must be, in hex; None takes what is there

    A missing, empty or too short file, a directory and other contents than `sha256` says are UsageErrors.
    """

    name: ClassVar[str] = "text"
    measure: ClassVar[Measure] = "nats"
    unit: ClassVar[str] = "byte"
    file: str | None = None
    sha256: str | None = None

    def vocabulary(self, size: int) -> int:
        """Every byte."""
        return 256

    def length(self, size: int) -> int:
        """One token a byte."""
        return size

    def cut(self, size: int) -> int:
        """The whole window."""
        return size

    def num_words(self, size: int) -> int:
        """One word: where the window starts."""
        return 1

    def identity(self) -> dict[str, Any]:
        """The name, the file and the SHA-256 of its contents."""
        return {"name": self.name, "file": self.file, "sha256": self.sha256 or corpus_digest(self.file)}

    def data_digest(self) -> str:
        """Digest of the identity as the file is."""
        return digest(self.identity())

    def check_size(self, size: int) -> None:
        """Raise unless every split holds at least one window and the byte after it."""
        Task.check_size(self, size)
        total = len(self._contents())
        for split in ("train", "validation", "test"):
            begin, end = self.span(split)
            if end - begin <= size:
                raise UsageError(
                    f"text: {self._where()} holds {total} {self.unit}s, {end - begin} of them for "
                    f"{split}; one window of size {size} needs {size + 1}: take a longer file or a smaller size"
                )

    def num_examples(self, split: str, size: int) -> int | None:
        """The windows that lie end to end in a split; training windows start anywhere."""
        if split == "train":
            return None
        begin, end = self.span(split)
        return (end - begin - 1) // size

    def num_bytes(self, batch: Batch) -> int:
        """A byte for each target that is scored."""
        return int(batch.scored.sum())

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Windows at random starts for training, and numbers `start …` in file order for the other splits."""
        places = self._places(words, size, split=split, start=start)
        windows = torch.from_numpy(self._contents()[places + np.arange(size + 1)].astype(np.int64))
        tokens, targets = windows[:, :-1].clone(), windows[:, 1:].clone()
        return Batch(tokens, targets, torch.ones_like(targets, dtype=torch.bool))

    def solve(self, batch: Batch) -> Tensor:
        """Raise: text has no rule."""
        raise UsageError("text: there is no rule that gives the next byte, so nothing solves it")

    def chance(self, size: int) -> float:
        """One byte of 256."""
        return 1 / 256

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """None: not listed."""
        return None

    def valid(self, tokens: Tensor) -> bool:
        """Any bytes."""
        return bool(((tokens >= 0) & (tokens < 256)).all())

    def _where(self) -> str:
        return self.file or "the standard library"

    def tokens(self) -> Tokens:
        """What spells the text."""
        return ByteTokens()

    def beginning(self, split: str, count: int) -> list[int]:
        """The first tokens of a split; all of them where it has no more than `count`."""
        begin, end = self.span(split)
        ids: list[int] = self._contents()[begin : min(end, begin + count)].tolist()
        return ids

    def span(self, split: str) -> tuple[int, int]:
        """First token and end of a split."""
        return span(len(self._contents()), split)

    def _places(self, words: Words, size: int, *, split: str, start: int) -> Places:
        """Where windows begin, (B, 1)."""
        begin, end = self.span(split)
        if split == "train":
            return begin + integers(words, end - begin - size)
        self._check_windows(split, size, start + len(words))
        return begin + size * (start + np.arange(len(words))[:, None])

    def _contents(self) -> Ids:
        content, found = read_corpus(self.file)
        self._check_contents(found)
        return content

    def _check_contents(self, found: str) -> None:
        if self.sha256 not in (None, found):
            raise UsageError(
                f"text: {self._where()} is not what was planned: its SHA-256 is {found[:12]}…, planned was "
                f"{str(self.sha256)[:12]}…; put the old contents back, or give the same command again to plan with "
                "those that are there now"
            )

    def _check_windows(self, split: str, size: int, asked: int) -> None:
        available = self.num_examples(split, size)
        if available is not None and asked > available:
            raise UsageError(f"text: {split} holds {available} windows of size {size}; number {asked} was asked for")


def span(total: int, split: str) -> tuple[int, int]:
    """First byte and end of a split in a file of `total` bytes.

    >>> span(1000, "train"), span(1000, "validation"), span(1000, "test")
    ((0, 882), (882, 900), (900, 1000))
    """
    test = total * 9 // 10
    validation = test - test // 50
    return {"train": (0, validation), "validation": (validation, test), "capacity": (validation, test)}.get(
        split, (test, total)
    )


class Corpus(NamedTuple):
    """The bytes of a file, and their SHA-256 in hex."""

    content: Bytes
    sha256: str


def read_corpus(file: str | None) -> Corpus:
    """A file, or the standard library's sources. Kept in memory, and read again when the file was written since.

    One of MAPPED_FROM bytes or more is mapped into memory, and its digest made piece by piece.
    """
    if file is None:
        return _read(None, ())
    path = Path(file)
    if not path.exists():
        raise UsageError(f"text: there is no file {file}")
    if path.is_dir():
        raise UsageError(f"text: {file} is a directory; name one file")
    stat = path.stat()
    return _read(file, (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


def corpus_digest(file: str | None) -> str:
    """SHA-256 of a corpus, in hex."""
    return read_corpus(file).sha256


@lru_cache(maxsize=4)
def _read(file: str | None, stamp: tuple[int, ...]) -> Corpus:
    """The corpus as it is; `stamp` (its size and times) tells one state of the file from another."""
    if file is None:
        root = Path(sysconfig.get_paths()["stdlib"])
        content = b"".join(path.read_bytes() for path in sorted(root.glob("*.py")))
    else:
        try:
            if stamp[0] >= MAPPED_FROM:
                return Corpus(np.asarray(np.memmap(file, np.uint8, mode="r")), sha256_of(Path(file)))
            content = Path(file).read_bytes()
        except OSError as error:
            raise UsageError(f"text: {file} cannot be read: {error.strerror}") from None
    if not content:
        raise UsageError(f"text: {file} is empty")
    return Corpus(np.frombuffer(content, np.uint8), hashlib.sha256(content).hexdigest())
