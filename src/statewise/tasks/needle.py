"""Needle: facts planted in a text, and one of them asked for behind it.

    … the text ⏎The mark of qev is K.⏎ goes on ⏎The mark of bam is C.⏎ to its end ⏎The mark of qev is␠        target  K

Bytes are tokens. Names are three small letters and values one capital, so that an answer is one byte. A name that the
file itself speaks of in these words is never drawn: what is asked stands in a document once.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words, integers
from statewise.tasks.draws import Ints
from statewise.tasks.task import Batch, Measure, Task, score_last
from statewise.tasks.text import Text, read_corpus, span

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

BEFORE, BETWEEN, AFTER = b"The mark of ", b" is ", b".\n"
LETTERS, LETTERS_OF_NAME = 26, 3
NAMES = LETTERS**LETTERS_OF_NAME
NAME = len(b"\n" + BEFORE)
"""Where the name stands in a question and in a fact; behind it and BETWEEN stands the value."""
VALUE = NAME + LETTERS_OF_NAME + len(BETWEEN)
QUESTION, FACT = VALUE, VALUE + 1 + len(AFTER)
"""Bytes of a question and of a fact."""
LEAST = -(-4 * FACT // 3)
"""Bytes of the shortest document."""

SPOKEN_OF = re.compile(BEFORE + rb"([a-z]{3})" + BETWEEN)
ASKED = re.compile(rb"\n" + SPOKEN_OF.pattern)
STATED = re.compile(rb"\n" + SPOKEN_OF.pattern + rb"[A-Z]\.(?=\n)")
"""The last byte is not taken: it may be the first of the fact that stands behind."""


@dataclass(frozen=True)
class Needle(Text):
    """Documents of `size` bytes, windows of a file with facts planted in them, and a question about one fact.

    file    path of the text; None is the standard library's sources, as in `Text`
    sha256  what its contents must be, in hex; None takes what is there
    facts   planted in a document, each at a uniform depth, with names that differ and uniform values; short documents
            hold fewer, so that a quarter is text

    Windows start anywhere in the part of the file that belongs to the split; `Text` says which. Bytes need not be
    UTF-8. A file that is too short for a size is a UsageError, and so are the faults that `Text` refuses.

    Source: the needle-in-a-haystack test as it is commonly run; the wording and the measures are our own.

    >>> task = Needle(facts=2)
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=8, size=200)
    >>> bool((task.solve(batch) == batch.targets)[batch.scored].all())
    True
    """

    name: ClassVar[str] = "needle"
    measure: ClassVar[Measure] = "accuracy"
    facts: int = 3

    def __post_init__(self) -> None:
        if self.facts < 1:
            raise UsageError(f"needle: facts is {self.facts}; it must be at least 1")

    def identity(self) -> dict[str, Any]:
        """Name, file, SHA-256 and facts, and the class: TASKS does not list what needs a file to say anything."""
        return {**super().identity(), "facts": self.facts, "class": f"{__name__}.{type(self).__name__}"}

    def planted(self, size: int) -> int:
        """How many facts a document of this size holds.

        >>> [Needle(facts=3).planted(size) for size in (30, 31, 62, 92, 512)]
        [0, 1, 2, 3, 3]
        """
        return min(self.facts, 3 * size // (4 * FACT))

    def length(self, size: int) -> int:
        """The document and the question."""
        return size + QUESTION

    def cut(self, size: int) -> int:
        """After the document, before the question."""
        return size

    def num_words(self, size: int) -> int:
        """One for where the window starts, and three for each fact: its name, its value and its depth."""
        return 1 + 3 * self.planted(size)

    def check_size(self, size: int) -> None:
        """Raise unless the facts leave room for text and every split holds so much text."""
        Task.check_size(self, size)
        if self.planted(size) < 1:
            raise UsageError(f"needle: size is {size}; it must be at least {LEAST}, for one fact and a quarter of text")
        total, needed = len(self._contents()), size - FACT * self.planted(size)
        begin, end = span(total, "validation")
        if end - begin < needed:
            raise UsageError(
                f"needle: {self.file or 'the standard library'} holds {total} bytes, {end - begin} of them for "
                f"validation; documents of size {size} need {needed} there: take a file of at least "
                f"{least_file(needed)} bytes or a smaller size"
            )

    def num_examples(self, split: str, size: int) -> int | None:
        """None: drawn without end."""
        return None

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The window from the first word, then names, values and depths; the first fact is the one that is asked."""
        count = self.planted(size)
        names, values, depths = (words[:, 1 + count * i : 1 + count * (i + 1)] for i in range(3))
        text = self._windows(words[:, :1], size - FACT * count, split)
        facts = facts_of(self._names(names), ord("A") + integers(values, LETTERS))
        documents = put_in(text, facts, integers(depths, text.shape[1] + 1))
        tokens = torch.from_numpy(np.hstack([documents, facts[:, 0, :QUESTION]]).astype(np.int64))
        return score_last(tokens, torch.from_numpy(facts[:, 0, VALUE:][:, :1].astype(np.int64)))

    def solve(self, batch: Batch) -> Tensor:
        """The byte behind the first place where the words of the question stand."""
        answers = batch.tokens.gather(1, places_of(batch.tokens)[:, None] + QUESTION)
        return score_last(batch.tokens, answers).targets

    def depth(self, batch: Batch) -> Tensor:
        """Where the fact that is asked stands in its document, (B,) float64: 0 at its beginning, 1 at its end."""
        return places_of(batch.tokens).double() / (batch.tokens.shape[1] - QUESTION - FACT)

    def chance(self, size: int) -> float:
        """One capital of 26."""
        return 1 / LETTERS

    def valid(self, tokens: Tensor) -> bool:
        """Bytes that end in a question, with its fact once before it, and no fewer facts than are planted."""
        if not super().valid(tokens):
            return False
        row = bytes(tokens.tolist())
        document, question = row[:-QUESTION], row[-QUESTION:]
        asked, stated = ASKED.fullmatch(question), STATED.findall(document)
        return (
            asked is not None
            and len(stated) >= self.planted(len(document))
            and stated.count(asked[1]) == document.count(question) == 1
        )

    def _windows(self, words: Words, length: int, split: str) -> Bytes:
        """Windows (B, length) of the part of the file that belongs to a split."""
        content = self._contents()
        begin, end = span(len(content), split)
        windows: Bytes = content[begin + integers(words, end - begin - length + 1) + np.arange(length)]
        return windows

    def _names(self, words: Words) -> Bytes:
        """Names (B, facts, 3) that differ."""
        free = free_names(self.file, read_corpus(self.file).sha256)
        if len(free) < words.shape[1]:
            raise UsageError(
                f"needle: {self.file} says {BEFORE.decode()!r} of all but {len(free)} of {NAMES:,} names, and "
                f"{words.shape[1]} are planted; take fewer facts or another file"
            )
        return spelled(free[distinct_few(words, len(free))])


def facts_of(names: Bytes, values: Ints) -> Bytes:
    """Facts (B, F, FACT) of names (B, F, 3) and values (B, F)."""
    empty = np.frombuffer(b"\n" + BEFORE + b"   " + BETWEEN + b" " + AFTER, np.uint8)
    facts = np.tile(empty, (*values.shape, 1))
    facts[:, :, NAME : NAME + LETTERS_OF_NAME] = names
    facts[:, :, VALUE] = values
    return facts


def put_in(text: Bytes, facts: Bytes, cuts: Ints) -> Bytes:
    """Texts (B, W) with each of their facts (B, F, FACT) put in after so many (B, F) bytes: (B, W + F · FACT)."""
    count, number = cuts.shape
    before = np.argsort(np.argsort(cuts, axis=1, kind="stable"), axis=1, kind="stable")
    places = (cuts + FACT * before)[:, :, None] + np.arange(FACT)
    documents = np.empty((count, text.shape[1] + number * FACT), np.uint8)
    rows = np.arange(count)[:, None, None]
    taken = np.zeros(documents.shape, np.bool_)
    documents[rows, places], taken[rows, places] = facts, True
    documents[~taken] = text.ravel()
    return documents


def places_of(tokens: Tensor) -> Tensor:
    """Where the words of each question (B, T) stand first, (B,) int64."""
    rows = [bytes(row) for row in tokens.tolist()]
    return torch.tensor([row.find(row[-QUESTION:]) for row in rows], dtype=torch.int64)


def distinct_few(words: Words, bound: int) -> Ints:
    """Distinct integers in [0, bound), uniform, one for each word of (B, K): O(K²) for each row, whatever the bound.

    >>> words = np.random.default_rng(0).integers(0, 2**64, size=(1, 3), dtype=np.uint64)
    >>> sorted(distinct_few(words, 3)[0].tolist())
    [0, 1, 2]
    """
    chosen = np.empty(words.shape, np.int64)
    for i in range(words.shape[1]):
        (drawn,) = integers(words[:, i : i + 1], bound - i).T
        for earlier in np.sort(chosen[:, :i], axis=1).T:
            drawn = drawn + (drawn >= earlier)
        chosen[:, i] = drawn
    return chosen


def spelled(numbers: np.ndarray[Any, np.dtype[np.int64]]) -> Bytes:
    """The names with these numbers: (…) in [0, 26³) → (…, 3) bytes."""
    digits = numbers[..., None] // LETTERS ** np.arange(LETTERS_OF_NAME)[::-1] % LETTERS
    return (ord("a") + digits).astype(np.uint8)


@lru_cache(maxsize=4)
def free_names(file: str | None, sha256: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The numbers of the names that the file, whose digest this is, does not speak of in the words of a fact."""
    spoken = {name.decode() for name in SPOKEN_OF.findall(read_corpus(file).content.tobytes())}
    numbers = np.arange(NAMES)
    return numbers[[bytes(name).decode() not in spoken for name in spelled(numbers)]]


def least_file(needed: int) -> int:
    """Bytes of the shortest file with so many in its validation part, a fiftieth of nine tenths.

    >>> begin, end = span(least_file(100), "validation")
    >>> end - begin
    100
    """
    return -(-50 * needed * 10 // 9)
