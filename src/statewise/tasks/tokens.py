"""How text becomes tokens and back: bytes as they are, or byte pairs. Every byte survives, valid UTF-8 or not.

bytes        T  o     b  e          one token a byte
byte pairs   To      ␠be            tokenizers of the library `tokenizers` that are byte-level
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from statewise.core.errors import UsageError
from statewise.core.optional import require

Ids = np.ndarray[tuple[int], np.dtype[Any]]

BYTES = 256
ESCAPED = re.compile("([\udc80-\udcff]+)")
"""Runs of bytes that are not UTF-8, as `surrogateescape` writes them."""

ENDLESS = re.compile(r"\S{1000,}|\s{1000,}")
"""What no pair is learned from: the library's time is quadratic in the length of a word."""


class Tokens(Protocol):
    """A vocabulary that spells every sequence of bytes."""

    @property
    def vocabulary(self) -> int:
        """How many ids there are."""

    @property
    def spelled(self) -> Sequence[bytes]:
        """The bytes of each id."""

    def encode(self, contents: Sequence[bytes]) -> list[Ids]:
        """The ids of each of some texts."""

    def decode(self, ids: Iterable[int]) -> bytes:
        """What ids spell."""


class ByteTokens:
    """Bytes as they are.

    >>> ByteTokens().decode(ByteTokens().encode([b"ab"])[0])
    b'ab'
    """

    vocabulary = BYTES
    spelled = tuple(bytes([byte]) for byte in range(BYTES))

    def encode(self, contents: Sequence[bytes]) -> list[Ids]:
        """The bytes of each text."""
        return [np.frombuffer(content, np.uint8) for content in contents]

    def decode(self, ids: Iterable[int]) -> bytes:
        """Ids as bytes."""
        return bytes(ids)


class BytePairs:
    """A byte-level tokenizer of the library `tokenizers`, from the text of its tokenizer.json.

    where  what to call it in errors

    A text that is no tokenizer, and a tokenizer that has no token for some byte, are UsageErrors.
    """

    def __init__(self, text: str, *, where: str) -> None:
        self.text = text
        self.where = where
        try:
            self.tokenizer = library().Tokenizer.from_str(text)
        except Exception as error:  # The library raises bare exceptions.
            raise UsageError(f"tokenizer: {where} is no tokenizer.json: {' '.join(str(error).split())}") from None
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        ids = self.tokenizer.get_vocab()
        missing = [byte for byte in range(BYTES) if ALPHABET[byte] not in ids]
        if missing:
            raise UsageError(
                f"tokenizer: {where} has no token for {len(missing)} of {BYTES} bytes, {missing[0]:#04x} among them, "
                "so text would not survive it; take a byte-level one, as GPT-2's, or train one: --tokenizer bpe"
            )
        self.of_byte = [ids[letter] for letter in ALPHABET]

    @staticmethod
    def from_file(path: str | Path) -> "BytePairs":
        """The tokenizer in a file. One that is missing or cannot be read is a UsageError."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise UsageError(f"tokenizer: {path} cannot be read: {why}") from None
        return BytePairs(text, where=str(path))

    @staticmethod
    def train(texts: Iterable[bytes], *, vocabulary: int) -> "BytePairs":
        """A byte-level BPE tokenizer of at most so many tokens, by what is frequent in some texts.

        What is not UTF-8 in them teaches it nothing, nor do words of a thousand letters.
        """
        if vocabulary <= BYTES:
            raise UsageError(
                f"tokenizer: vocabulary is {vocabulary}; it must be above {BYTES}, one for each byte and some pairs"
            )
        kit = library()
        tokenizer = kit.Tokenizer(kit.models.BPE())
        tokenizer.pre_tokenizer = kit.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = kit.decoders.ByteLevel()
        trainer = kit.trainers.BpeTrainer(
            vocab_size=vocabulary, initial_alphabet=kit.pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
        tokenizer.train_from_iterator((ENDLESS.sub(" ", text.decode(errors="ignore")) for text in texts), trainer)
        return BytePairs(tokenizer.to_str(), where="the tokenizer that was trained")

    @property
    def sha256(self) -> str:
        """SHA-256 of the tokenizer.json, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def vocabulary(self) -> int:
        """One more than the largest id."""
        return 1 + max(int(number) for number in self.tokenizer.get_vocab().values())

    @cached_property
    def spelled(self) -> Sequence[bytes]:
        """The bytes of each id; none for an id that is not used."""
        table = [b""] * self.vocabulary
        for token, number in self.tokenizer.get_vocab().items():
            table[number] = spell(token)
        for number, added in self.tokenizer.get_added_tokens_decoder().items():
            table[number] = added.content.encode()
        return table

    def encode(self, contents: Sequence[bytes]) -> list[Ids]:
        """The ids of each text. One that the tokenizer alters, by a normaliser say, is a UsageError."""
        parts = [list(runs(content)) for content in contents]
        texts = [run for of_one in parts for run in of_one if isinstance(run, str)]
        encoded = iter(self.tokenizer.encode_batch_fast(texts, add_special_tokens=False))
        found = []
        for content, of_one in zip(contents, parts, strict=True):
            ids = [self._ids(run, encoded) for run in of_one]
            joined = np.concatenate(ids) if ids else np.empty(0, np.int64)
            self._check(content, joined)
            found.append(joined)
        return found

    def decode(self, ids: Iterable[int]) -> bytes:
        """What ids spell."""
        spelled = self.spelled
        return b"".join(spelled[number] for number in ids)

    def _ids(self, run: str | bytes, encoded: Iterator[Any]) -> Ids:
        return np.array(next(encoded).ids if isinstance(run, str) else [self.of_byte[b] for b in run], np.int64)

    def _check(self, content: bytes, ids: Ids) -> None:
        back = self.decode(ids.tolist())
        if back != content:
            place = next((i for i, (a, b) in enumerate(zip(back, content, strict=False)) if a != b), len(back))
            raise UsageError(
                f"tokenizer: {self.where} does not give back what it reads: {content[place : place + 16]!r} becomes "
                f"{back[place : place + 16]!r}; take one without a normaliser and a prefix space, or train one: "
                "--tokenizer bpe"
            )


def runs(content: bytes) -> Iterator[str | bytes]:
    """A text as runs of UTF-8, decoded, and of bytes that are none.

    >>> list(runs(b"a\\xffb"))
    ['a', b'\\xff', 'b']
    """
    for run in ESCAPED.split(content.decode("utf-8", "surrogateescape")):
        if run:
            yield run.encode("utf-8", "surrogateescape") if ESCAPED.match(run) else run


def spell(token: str) -> bytes:
    """The bytes of a token written in the byte-level alphabet; as it is where it has other letters.

    >>> spell("Ġbe")
    b' be'
    """
    try:
        return bytes(BYTE_OF[letter] for letter in token)
    except KeyError:
        return token.encode()


def byte_level_alphabet() -> list[str]:
    """The letter that stands for each byte in byte-level vocabularies, as GPT-2 wrote them first.

    >>> byte_level_alphabet()[ord(" ")]
    'Ġ'
    """
    plain = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(BYTES, 2 * BYTES))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(BYTES)]


ALPHABET = byte_level_alphabet()
BYTE_OF = {letter: byte for byte, letter in enumerate(ALPHABET)}


def library() -> ModuleType:
    """The package `tokenizers`, with its parts imported."""
    return require("tokenizers", extra="text", purpose="a byte-pair tokenizer")
