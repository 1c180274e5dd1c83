"""Translation: sentences of one language, and those of another that say the same.

    source   A    dog  runs  ⟨end⟩
    target   ⟨begin⟩  Ein  Hund  läuft          answers   Ein  Hund  läuft  ⟨end⟩

Both sides are pieces of one byte-level vocabulary, learned from the training part. A batch holds pairs side by side:
tokens (B, T, 2), source first, each from the left with padding behind.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from statewise.core.config import digest
from statewise.core.errors import UsageError
from statewise.core.random import Words
from statewise.tasks.parallel import Pairs, read_pairs
from statewise.tasks.subwords import BEGIN, END, PAD, Subwords
from statewise.tasks.task import UNSCORED, Batch, Measure, Task

BLOCK = 64
"""So many training pairs in a row, from an index that this divides, have about the same length."""

WINDOW = 0.02
"""Share of the training pairs, in the order of length, among which a block draws its own."""

LEAST_WINDOW = 8 * BLOCK
"""And among how many at the least: of fewer, a block would be the same few pairs over and over."""

GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, without their whole part, lie evenly in [0, 1) however many there are."""

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Translation(Task):
    """Pairs of sentences: every piece of the target scored, given the source and the pieces before it.

    source, target     files with a line for each sentence, gzipped or not; without a target, one file with a tab
                       between the two in each line
    validation_source, validation_target, test_source, test_target
                       the same for these parts; one that is not named is cut off the end of the training files: the
                       last tenth for test, and of what is left the last fiftieth for validation
    pieces             the most that the vocabulary may have
    label_smoothing    share of a target's probability that training spreads evenly over the vocabulary, in [0, 1)
    sha256             what the contents must be, in hex, one for each part that is named; None takes what is there

    `size` is the most pieces that either side of a training pair may have, its mark included: longer pairs are left out
    of training, and so are those with an empty side. No pair is left out of validation or test.
    """

    name: ClassVar[str] = "translation"
    measure: ClassVar[Measure] = "nats"
    source: str
    target: str | None = None
    validation_source: str | None = None
    validation_target: str | None = None
    test_source: str | None = None
    test_target: str | None = None
    pieces: int = 4000
    label_smoothing: float = 0.1
    sha256: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"translation: label_smoothing is {self.label_smoothing}; it must be in [0, 1)")
        for part in ("validation", "test"):
            if getattr(self, f"{part}_source") is None and getattr(self, f"{part}_target") is not None:
                raise UsageError(f"translation: {part}_target is named and {part}_source is not; name both")

    @property
    def smoothing(self) -> float:
        """What training spreads over the vocabulary."""
        return self.label_smoothing

    def vocabulary(self, size: int) -> int:
        """Every piece, and the marks."""
        return len(self.subwords())

    def length(self, size: int) -> int:
        """As many tokens as the longest pair of training; those of the other parts may be longer."""
        return size

    def cut(self, size: int) -> int:
        """After the source, and the whole target."""
        return 2**62

    def num_words(self, size: int) -> int:
        """One word: which pair of a block's window."""
        return 1

    def identity(self) -> dict[str, Any]:
        """The name, the fields, and the SHA-256 of every file's contents."""
        return {**super().identity(), "sha256": list(self.sha256 or self._found())}

    def data_digest(self) -> str:
        """Digest of the identity as the files are."""
        return digest(self.identity())

    def check_size(self, size: int) -> None:
        """Raise unless every part has a pair, and the training part one of at most this size."""
        Task.check_size(self, size)
        shortest = int(self._encoded("train").longest.min(initial=2**31))
        if shortest > size:
            raise UsageError(
                f"translation: no training pair has at most {size} pieces on either side, the mark included; the "
                f"shortest has {shortest}: take a larger size"
            )

    def num_examples(self, split: str, size: int) -> int | None:
        """The pairs of a part; training pairs are drawn without end."""
        return None if split == "train" else len(self.lines(split).source)

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Pairs of about one length for training, drawn anew each time; the other parts as in their files."""
        encoded = self._encoded(split)
        if split == "train":
            usable = int(np.searchsorted(encoded.longest, size, side="right"))
            return batch_of(encoded, drawn(words[:, 0], start, usable))
        end = start + len(words)
        if end > len(encoded.longest):
            raise UsageError(f"translation: {split} has {len(encoded.longest)} pairs; number {end} was asked for")
        return batch_of(encoded, range(start, end))

    def solve(self, batch: Batch) -> Tensor:
        """Raise: no rule translates."""
        raise UsageError("translation: there is no rule that gives a translation, so nothing solves it")

    def chance(self, size: int) -> float:
        """One piece of all."""
        return 1 / self.vocabulary(size)

    def inputs(self, size: int) -> Iterator[Tensor] | None:
        """None: not listed."""
        return None

    def valid(self, tokens: Tensor) -> bool:
        """Pieces of the vocabulary, (T, 2)."""
        return tokens.shape[-1:] == (2,) and bool(((tokens >= 0) & (tokens < len(self.subwords()))).all())

    def lines(self, split: str) -> Pairs:
        """The sentences of a part as they are in its file, in its order."""
        if self.sha256 is not None and self.sha256 != (found := self._found()):
            raise UsageError(
                f"translation: {self.source} or a file beside it is not what was planned: SHA-256 "
                f"{' '.join(part[:12] for part in found)}, planned was {' '.join(part[:12] for part in self.sha256)}; "
                "put the old contents back, or give the same command again to plan with those that are there now"
            )
        named = {"validation": self.validation_source, "test": self.test_source}.get(split)
        if named is not None:
            return read_pairs(named, self.validation_target if split == "validation" else self.test_target)
        return part_of(read_pairs(self.source, self.target), split, self._cut_off())

    def subwords(self) -> Subwords:
        """The vocabulary, learned from both sides of the training part."""
        return learned(self.lines("train"), self.pieces)

    def _cut_off(self) -> frozenset[str]:
        named = {"validation": self.validation_source, "test": self.test_source}
        return frozenset(split for split, path in named.items() if path is None)

    def _found(self) -> tuple[str, ...]:
        parts = [(self.source, self.target)]
        parts += [(self.validation_source, self.validation_target)] if self.validation_source is not None else []
        parts += [(self.test_source, self.test_target)] if self.test_source is not None else []
        return tuple(read_pairs(source, target).sha256 for source, target in parts)

    def _encoded(self, split: str) -> "Encoded":
        return encoded(self.lines(split), self.subwords(), whole=split == "train")


class Encoded(NamedTuple):
    """Pairs as ids, and how many tokens the longer side of each takes, its mark included."""

    source: Sequence[list[int]]
    target: Sequence[list[int]]
    longest: np.ndarray[tuple[int], np.dtype[np.int64]]


def part_of(pairs: Pairs, split: str, cut_off: frozenset[str]) -> Pairs:
    """Training pairs, without what is cut off their end for the other parts, or one of these.

    >>> lines = tuple(b"%d" % i for i in range(1000))
    >>> len(part_of(Pairs(lines, lines, ""), "train", frozenset({"validation", "test"})).source)
    882
    """
    count = len(pairs.source)
    test = count * 9 // 10 if "test" in cut_off else count
    validation = test - max(1, test // 50) if "validation" in cut_off else test
    begin, end = {"train": (0, validation), "validation": (validation, test), "test": (test, count)}[split]
    if end <= begin:
        raise UsageError(f"translation: {count} pairs are too few to cut off a {split} part; name one, or more pairs")
    return Pairs(pairs.source[begin:end], pairs.target[begin:end], pairs.sha256)


@lru_cache(maxsize=2)
def learned(pairs: Pairs, pieces: int) -> Subwords:
    """The vocabulary of some pairs."""
    return Subwords.trained(pairs.source + pairs.target, vocabulary=pieces)


@lru_cache(maxsize=4)
def encoded(pairs: Pairs, subwords: Subwords, *, whole: bool) -> Encoded:
    """Pairs as ids, as they come; with `whole`, those that have something on either side, in the order of length."""
    sources, targets = subwords.encode(pairs.source), subwords.encode(pairs.target)
    kept = [i for i in range(len(sources)) if (sources[i] and targets[i]) or not whole]
    if not kept:
        raise UsageError("translation: no training pair has something on both sides")
    order = kept
    if whole:
        order = sorted(kept, key=lambda i: (max(len(sources[i]), len(targets[i])), len(targets[i]), len(sources[i])))
    lengths = np.array([max(len(sources[i]), len(targets[i])) + 1 for i in order], dtype=np.int64)
    return Encoded([sources[i] for i in order], [targets[i] for i in order], lengths)


def drawn(words: np.ndarray[Any, np.dtype[np.uint64]], start: int, count: int) -> list[int]:
    """Places of training pairs `start …` among `count` in the order of length, one for each word.

    A block lies somewhere in that order, by its number alone, and each pair of it is drawn from the window there: every
    pair is as likely as any other over all blocks, and of many pairs no batch of one block mixes short and long.
    """
    width = min(count, max(LEAST_WINDOW, int(WINDOW * count)))
    blocks = (start + np.arange(len(words))) // BLOCK
    first = np.floor(blocks * GOLDEN % 1 * count).astype(np.int64)
    places: list[int] = ((first + (words % np.uint64(width)).astype(np.int64)) % count).tolist()
    return places


def batch_of(pairs: Encoded, places: Sequence[int]) -> Batch:
    """The pairs at some places, padded to the longest side of any."""
    longest = max((int(pairs.longest[place]) for place in places), default=1)
    tokens = np.full((len(places), longest, 2), PAD, dtype=np.int64)
    targets = np.full((len(places), longest), UNSCORED, dtype=np.int64)
    for row, place in enumerate(places):
        source, target = pairs.source[place], pairs.target[place]
        tokens[row, : len(source) + 1, 0] = [*source, END]
        tokens[row, : len(target) + 1, 1] = [BEGIN, *target]
        targets[row, : len(target) + 1] = [*target, END]
    answers = torch.from_numpy(targets)
    return Batch(torch.from_numpy(tokens), answers, answers != UNSCORED)
