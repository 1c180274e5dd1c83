"""Byte-level BPE: a text as pieces of words, of which every string of bytes has some.

Bytes are handed to the library as the characters U+0000 … U+00FF, and come back so: what is not UTF-8 survives.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from statewise.core.errors import RunError, UsageError
from statewise.core.optional import require

SPECIAL = ("<pad>", "<begin>", "<end>")
"""Ids 0, 1 and 2: no text has them, whatever it says."""

LEAST = len(SPECIAL) + 256

WORDS = r" ?[A-Za-z\x{80}-\x{ff}]+| ?[0-9]+| ?[^\sA-Za-z0-9\x{80}-\x{ff}]+|\s+"
"""What pieces may not reach beyond: a run of letters, digits or other signs with the space before it, or white space.
Bytes from 128 on, of which letters beyond ASCII are made, count as letters."""


class Subwords:
    """A vocabulary of pieces, and texts as their ids.

    >>> subwords = Subwords.trained([b"a dog and a dog"] * 2, vocabulary=262)
    >>> ids = subwords.encode([b"a dog \\xff"])[0]
    >>> subwords.decode(ids), min(ids) >= len(SPECIAL)
    (b'a dog \\xff', True)
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        size = tokenizer.get_vocab_size()
        special = [tokenizer.token_to_id(name) for name in SPECIAL]
        self.pieces = tuple(b"" if i in special else tokenizer.id_to_token(i).encode("latin-1") for i in range(size))

    @classmethod
    def trained(cls, lines: Iterable[bytes], *, vocabulary: int) -> "Subwords":
        """The pieces that are most frequent in some lines: the same for the same lines.

        vocabulary  how many at most, special ones and single bytes included; few lines have fewer
        """
        if vocabulary < LEAST:
            raise UsageError(
                f"vocabulary is {vocabulary}; it must be at least {LEAST}: {len(SPECIAL)} marks and every byte"
            )
        library = tokenizers()
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.Split(library.Regex(WORDS), behavior="isolated")
        trainer = library.trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(SPECIAL),
            initial_alphabet=[chr(byte) for byte in range(256)],
            min_frequency=2,
            show_progress=False,
        )
        tokenizer.train_from_iterator((line.decode("latin-1") for line in lines), trainer)
        # Marked as special they would be found in a text that spells them.
        return cls.read_text(tokenizer.to_str(), where="the tokenizer")

    @classmethod
    def load(cls, path: Path) -> "Subwords":
        """Those that `save` wrote. A file that is absent, damaged or of another kind is a RunError."""
        try:
            return cls.read_text(path.read_text(encoding="utf-8"), where=str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None

    @classmethod
    def read_text(cls, text: str, *, where: str) -> "Subwords":
        """From the library's JSON."""
        try:
            tokenizer = tokenizers().Tokenizer.from_str(text)
        except Exception as error:  # the library raises no narrower one
            raise RunError(f"{where} is no tokenizer: {error}") from None
        vocabulary = tokenizer.get_vocab()
        if [vocabulary.get(name) for name in SPECIAL] != list(range(len(SPECIAL))):
            raise RunError(f"{where} is a tokenizer of another kind: its first ids are not {', '.join(SPECIAL)}")
        tokenizer.encode_special_tokens = True
        return cls(tokenizer)

    def save(self, path: Path) -> None:
        """Write a file that the library reads too."""
        path.write_text(self.tokenizer.to_str(), encoding="utf-8")

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, lines: Sequence[bytes]) -> list[list[int]]:
        """Ids of the pieces of every line, special ones never among them."""
        found = self.tokenizer.encode_batch([line.decode("latin-1") for line in lines], add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def decode(self, ids: Iterable[int]) -> bytes:
        """The bytes of some pieces; special ones have none. An id that is not in the vocabulary is an IndexError."""
        return b"".join(self.pieces[number] for number in ids)


def tokenizers() -> Any:
    """The library."""
    return require("tokenizers", extra="translation", purpose="byte-level BPE")
