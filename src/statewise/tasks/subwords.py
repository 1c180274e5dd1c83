"""Sentences as pieces of words: byte pairs behind three marks, which no text can spell.

ids      0    1      2    3 …
         pad  begin  end  every byte, and frequent pairs
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from statewise.core.errors import UsageError
from statewise.tasks.tokens import BYTES, BytePairs

PAD, BEGIN, END = 0, 1, 2

MARKS = 3
"""Ids before those of pieces."""

LEAST = MARKS + BYTES + 1


class Subwords:
    """A vocabulary of pieces, and texts as their ids. Every string of bytes comes back.

    >>> subwords = Subwords.trained([b"a dog and a dog"] * 2, vocabulary=262)
    >>> ids = subwords.encode([b"a dog \\xff"])[0]
    >>> subwords.decode([BEGIN, *ids, END]), min(ids) >= MARKS
    (b'a dog \\xff', True)
    """

    def __init__(self, pairs: BytePairs) -> None:
        self.pairs = pairs

    @classmethod
    def trained(cls, lines: Iterable[bytes], *, vocabulary: int) -> "Subwords":
        """The pieces that are most frequent in some lines: the same for the same lines.

        vocabulary  how many at most, marks and single bytes included; few lines have fewer
        """
        if vocabulary < LEAST:
            raise UsageError(
                f"vocabulary is {vocabulary}; it must be at least {LEAST}: {MARKS} marks, every byte and a pair"
            )
        return cls(BytePairs.train(lines, vocabulary=vocabulary - MARKS))

    @classmethod
    def load(cls, path: Path) -> "Subwords":
        """Those that `save` wrote. A file that is absent, damaged or of another kind is a UsageError."""
        return cls(BytePairs.from_file(path))

    def save(self, path: Path) -> None:
        """Write a file that the library reads too; its ids are without the marks."""
        path.write_text(self.pairs.text, encoding="utf-8")

    def __len__(self) -> int:
        return MARKS + self.pairs.vocabulary

    def encode(self, lines: Sequence[bytes]) -> list[list[int]]:
        """Ids of the pieces of every line, marks never among them."""
        return [(ids + MARKS).tolist() for ids in self.pairs.encode(lines)]

    def decode(self, ids: Iterable[int]) -> bytes:
        """The bytes of some pieces; marks have none. An id that is not in the vocabulary is an IndexError."""
        return self.pairs.decode(number - MARKS for number in ids if number >= MARKS)
