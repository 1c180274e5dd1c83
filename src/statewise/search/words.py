"""Words: how token ids are written in the text that is searched, and in patterns.

ids in the context    5 3 7         "2 - 4 "        each word, then the separator
ids of a pattern      9 5 10        "\\b2 (\\S+) "     each piece as it stands
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from statewise.core.errors import SearchError, UsageError

T = TypeVar("T")

PRIVATE_USE = 0xE000
"""The first character that Unicode leaves to whoever uses it."""


@dataclass(frozen=True)
class Words:
    """A word for every token id, and what it stands for in a pattern.

    context    the word of each id in the text that is searched: distinct, not empty, without the separator
    pieces     what each id adds to a pattern; None where it cannot stand in one. None for all: what the context says
    separator  stands after every word of the context; empty where each word is one character

    >>> words = Words(("a", "b"), separator=" ")
    >>> words.text([0, 1]), words.ids("b a ")
    ('a b ', [1, 0])
    """

    context: tuple[str, ...]
    pieces: tuple[str | None, ...] | None = None
    separator: str = " "

    def __post_init__(self) -> None:
        if len(set(self.context)) < len(self.context):
            twice = next(word for word in self.context if self.context.count(word) > 1)
            raise UsageError(f"words: {twice!r} is the word of two ids; every id needs a word of its own")
        for word in self.context:
            if not word or (self.separator and self.separator in word) or (not self.separator and len(word) > 1):
                kind = f"without {self.separator!r}" if self.separator else "of one character, as there is no separator"
                raise UsageError(f"words: {word!r} cannot be a word; it must not be empty and be {kind}")
        if self.pieces is not None and len(self.pieces) != len(self.context):
            raise UsageError(
                f"words: there are {len(self.context)} words and {len(self.pieces)} pieces of patterns; each id has one"
            )

    def text(self, ids: Sequence[int]) -> str:
        """The text of some ids, O(T). A SearchError names an id without a word."""
        return "".join(self._looked_up(self._written, ids))

    def pattern(self, ids: Sequence[int]) -> str:
        """The pattern that some ids are. A SearchError names an id that cannot stand in one."""
        pieces = self._written if self.pieces is None else self.pieces
        found = self._looked_up(pieces, ids)
        if None in found:
            word = self.context[ids[found.index(None)]]
            raise SearchError(f"{word!r} cannot stand in a pattern")
        return "".join(piece for piece in found if piece is not None)

    def ids(self, text: str) -> list[int]:
        """The ids of a text of whole words, its last separator left out or not. A SearchError for anything else."""
        words = text.removesuffix(self.separator).split(self.separator) if self.separator else list(text)
        try:
            return [self._ids[word] for word in words] if text else []
        except KeyError as error:
            raise SearchError(
                f"what was found, {shortened(text)!r}, holds {error.args[0]!r}, which is no word"
            ) from None

    def _looked_up(self, table: Sequence[T], ids: Sequence[int]) -> list[T]:
        for each in (min(ids, default=0), max(ids, default=0)):
            if not 0 <= each < len(table):
                raise SearchError(f"the id {each} has no word; there are {len(table)}")
        return list(map(table.__getitem__, ids))

    @cached_property
    def _written(self) -> tuple[str, ...]:
        return tuple(word + self.separator for word in self.context)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: each for each, word in enumerate(self.context)}


def bytes_as_words(controls: Sequence[str] = ()) -> Words:
    """Words for byte-level models: byte b is the character b, and control tokens from 256 on are characters beyond.

    Bytes that spell the name of a control token stay bytes: no text that a user types can be one.

    >>> bytes_as_words(["<search>"]).text([104, 105])
    'hi'
    """
    return Words(
        tuple(map(chr, range(256))) + tuple(chr(PRIVATE_USE + place) for place in range(len(controls))),
        tuple(map(chr, range(256))) + (None,) * len(controls),
        separator="",
    )


def shortened(text: str, most: int = 60) -> str:
    """A text for a message, cut where it is long.

    >>> shortened("abcdef", most=3)
    'abc…'
    """
    return text if len(text) <= most else f"{text[:most]}…"
