"""Packed text: documents one behind the other, as bytes or byte pairs, none of which is seen from the next.

document   T  o  ,     b  e  ⏎ │ O  r     n  o  t  ⏎
target     o  ,     b  e  ⏎    │ r     n  o  t  ⏎
reset      ✓                   │ ✓                       a state from before is forgotten; nothing asks for the O
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from statewise.core.config import digest, to_plain
from statewise.core.disk import write_whole
from statewise.core.errors import UsageError
from statewise.core.optional import require
from statewise.core.random import Words
from statewise.tasks import tokens as of_bytes
from statewise.tasks.documents import (
    TABLES,
    Piece,
    digest_of,
    is_pattern,
    is_table,
    parts_of,
    pieces_of,
    whole_lines,
)
from statewise.tasks.packed import Packed, pack, user_cache
from statewise.tasks.task import UNSCORED, Batch
from statewise.tasks.text import Places, Text, read_corpus, span

BYTES, BPE = "bytes", "bpe"
MOST_TO_LEARN_FROM = 2**28
"""Bytes of the training part that a tokenizer is trained on at most."""


@dataclass(frozen=True)
class PackedText(Text):
    """Windows of `size` tokens of a corpus; every token is scored but each document's first.

    file              path, glob pattern, or folder of a data set (what `datasets.save_to_disk` writes, or Parquet)
    sha256            what its contents must be, in hex; None takes what is there
    files             further ones
    column            of a data set, that holds the text
    separator         ends a document and belongs to it; None makes each file or row one document
    tokenizer         bytes; bpe, trained on the corpus; or the path of a byte-level tokenizer.json
    vocabulary_size   most tokens that bpe may have
    tokenizer_sha256  what the tokenizer.json must be, in hex; None takes what is there
    streams           0 starts training windows anywhere; any other number cuts the training part into so many streams,
                      in which windows follow each other, so that a state can be carried from one to the next
    cache             folder in which tokens are kept; None is `statewise.tasks.packed.user_cache()`

    Splits are those of `Text`, by bytes. In a stream the first window follows the last, after a reset; what is left
    over at a stream's end is not read. One file of bytes without a separator is not copied but mapped as it is.

    What is missing, empty, too short or not what was planned is a UsageError.
    """

    unit: ClassVar[str] = "token"
    files: tuple[str, ...] = ()
    column: str = "text"
    separator: str | None = None
    tokenizer: str = BYTES
    vocabulary_size: int = 4096
    tokenizer_sha256: str | None = None
    streams: int = 0
    cache: str | None = None

    def __post_init__(self) -> None:
        if self.separator == "":
            raise UsageError("text: the separator is empty; it must have at least one character")
        if self.streams < 0:
            raise UsageError(f"text: streams is {self.streams}; it must be at least 0")

    def identity(self) -> dict[str, Any]:
        """Every field, with the digests of the contents and of the tokenizer as they are, and the class."""
        return {
            **to_plain(self),
            "name": self.name,
            "class": f"{__name__}.{type(self).__name__}",
            "sha256": self._sha256(),
            "tokenizer_sha256": None if self.tokenizer == BYTES else self.byte_pairs().sha256,
        }

    def data_digest(self) -> str:
        """Digest of the identity, cache aside, worked out once: what is packed does not change."""
        if "_data_digest" not in vars(self):
            vars(self)["_data_digest"] = digest({**self.identity(), "cache": None})
        kept: str = vars(self)["_data_digest"]
        return kept

    def vocabulary(self, size: int) -> int:
        """The ids of the tokenizer."""
        return self.tokens().vocabulary

    def chance(self, size: int) -> float:
        """One token of all."""
        return 1 / self.vocabulary(size)

    def valid(self, tokens: Tensor) -> bool:
        """Any ids of the tokenizer."""
        return bool(((tokens >= 0) & (tokens < self.tokens().vocabulary)).all())

    def num_streams(self) -> int:
        """As the field says."""
        return self.streams

    def check_size(self, size: int) -> None:
        """Raise unless every split, and every stream, holds a window."""
        super().check_size(size)
        for split in ("train", "validation", "test"):
            self._check_documents(split)
        begin, end = self.span("train")
        if self.streams and self._windows_in_stream(size) < 1:
            raise UsageError(
                f"text: {self._where()} holds {end - begin} tokens for training; {self.streams} streams of one window "
                f"of size {size} need {self.streams * (size + 1)}: take a longer file, or a smaller batch or size"
            )

    def _check_documents(self, split: str) -> None:
        """Raise where every token of a split begins a document: what begins one is not asked for."""
        begin, end = self.span(split)
        first, last = np.searchsorted(self._packed().starts, [begin + 1, end])
        if last - first == end - begin - 1:
            raise UsageError(
                f"text: {self._where()}: every document of {split} is a single token, so there is nothing to learn "
                "from: take longer documents, or another separator"
            )

    def num_bytes(self, batch: Batch) -> int:
        """The bytes of the targets that are scored."""
        if self.tokenizer == BYTES:
            return super().num_bytes(batch)
        if "_lengths" not in vars(self):
            vars(self)["_lengths"] = torch.tensor([len(spelled) for spelled in self.tokens().spelled])
        lengths: Tensor = vars(self)["_lengths"]
        return int(lengths[batch.targets[batch.scored]].sum())

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Windows as in `Text`, or of streams, with resets where documents begin."""
        batch = super().build(words, size, split=split, start=start)
        begins = torch.from_numpy(self._begins(self._places(words, size, split=split, start=start), size))
        unscored = begins[:, 1:]
        targets = batch.targets.masked_fill(unscored, UNSCORED)
        reset = begins[:, :-1].clone()
        if self.streams and split == "train":
            number = start + np.arange(len(words))
            reset[:, 0] |= torch.from_numpy(number // self.streams % self._windows_in_stream(size) == 0)
        return Batch(batch.tokens, targets, ~unscored, reset)

    def tokens(self) -> of_bytes.Tokens:
        """What spells the text."""
        return of_bytes.ByteTokens() if self.tokenizer == BYTES else self.byte_pairs()

    def byte_pairs(self) -> of_bytes.BytePairs:
        """The tokenizer, trained or loaded; a UsageError where it is not what was planned, or there is none."""
        if "_byte_pairs" not in vars(self):
            found = self._trained() if self.tokenizer == BPE else of_bytes.BytePairs.from_file(self.tokenizer)
            if self.tokenizer_sha256 not in (None, found.sha256):
                raise UsageError(
                    f"tokenizer: {self.tokenizer} is not what was planned: its SHA-256 is {found.sha256[:12]}…, "
                    f"planned was {self.tokenizer_sha256[:12]}…"
                )
            vars(self)["_byte_pairs"] = found
        kept: of_bytes.BytePairs = vars(self)["_byte_pairs"]
        return kept

    def _trained(self) -> of_bytes.BytePairs:
        """The tokenizer of the corpus, kept beside its tokens."""
        version = require("tokenizers", extra="text", purpose="a byte-pair tokenizer").__version__
        made_from = [self._sha256(), self.column, self.separator, self.vocabulary_size, version]
        path = self._folder() / f"{digest(made_from)}.tokenizer.json"
        if path.exists():
            try:
                return of_bytes.BytePairs.from_file(path)
            except UsageError:
                path.unlink()
        trained = of_bytes.BytePairs.train(self._to_learn_from(), vocabulary=self.vocabulary_size)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, lambda half: half.write_text(trained.text, encoding="utf-8"))
        except OSError as error:
            raise UsageError(
                f"text: the tokenizer cannot be kept in {path.parent}: {error.strerror}; name another folder: --cache"
            ) from None
        return trained

    def _to_learn_from(self) -> Iterator[bytes]:
        """The beginning of the training part."""
        _, end = span(sum(len(piece.content) for piece in self._pieces()), "train")
        read = 0
        for piece in self._pieces():
            left = min(end, MOST_TO_LEARN_FROM) - read
            if left <= 0:
                return
            yield piece.content[:left]
            read += len(piece.content)

    def _packed(self) -> Packed:
        """The corpus as tokens. Opened once: files are looked at again by whoever plans again."""
        if "_opened" not in vars(self):
            vars(self)["_opened"] = self._open()
        kept: Packed = vars(self)["_opened"]
        return kept

    def _open(self) -> Packed:
        if self._as_it_is():
            content = super()._contents()
            return Packed(content, np.zeros(1, np.int64), span(len(content), "validation"))
        tokens = self.tokens()
        spelled_by = tokens.sha256 if isinstance(tokens, of_bytes.BytePairs) else BYTES
        key = digest([self._sha256(), self.column, self.separator, spelled_by])
        return pack(self._folder() / key, self._pieces, tokens)

    def _as_it_is(self) -> bool:
        """Whether the tokens are the bytes of one file."""
        plain = self.tokenizer == BYTES and self.separator is None and not self.files
        return plain and self.file is not None and Path(self.file).is_file() and Path(self.file).suffix not in TABLES

    def _pieces(self) -> Iterator[Piece]:
        separator = None if self.separator is None else self.separator.encode()
        pieces = pieces_of(self._checked_parts(), column=self.column, separator=separator)
        return pieces if self.tokenizer == BYTES else whole_lines(pieces)

    def _checked_parts(self) -> list[Path]:
        parts = parts_of(self._patterns())
        self._check_contents(self._found_sha256())
        return parts

    def _sha256(self) -> str:
        return self.sha256 or self._found_sha256()

    def _found_sha256(self) -> str:
        if "_found" not in vars(self):
            parts = parts_of(self._patterns())
            vars(self)["_found"] = read_corpus(self.file).sha256 if self._as_it_is() else digest_of(parts)
        kept: str = vars(self)["_found"]
        return kept

    def _patterns(self) -> list[str]:
        if self.file is None:
            raise UsageError("text: documents are packed from files, and none is named; name one: --file")
        return [self.file, *self.files]

    def _folder(self) -> Path:
        return user_cache() if self.cache is None else Path(self.cache)

    def _where(self) -> str:
        return " ".join(self._patterns())

    def _contents(self) -> of_bytes.Ids:
        return self._packed().tokens

    def span(self, split: str) -> tuple[int, int]:
        """First token and end of a split."""
        return self._packed().span(split)

    def _windows_in_stream(self, size: int) -> int:
        begin, end = self.span("train")
        return ((end - begin) // self.streams - 1) // size

    def _places(self, words: Words, size: int, *, split: str, start: int) -> Places:
        if split != "train" or not self.streams:
            return super()._places(words, size, split=split, start=start)
        begin, end = self.span(split)
        number = start + np.arange(len(words))[:, None]
        stream, window = number % self.streams, number // self.streams % self._windows_in_stream(size)
        return begin + stream * ((end - begin) // self.streams) + window * size

    def _begins(self, places: Places, size: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether a document begins at each of the `size + 1` tokens of windows, (B, size + 1)."""
        starts = self._packed().starts
        found = np.zeros((len(places), size + 1), np.bool_)
        ends = np.searchsorted(starts, np.hstack([places, places + size + 1]))
        for row, place, (first, end) in zip(found, places[:, 0], ends, strict=True):
            row[starts[first:end] - place] = True
        return found


def text_of(
    files: tuple[str, ...],
    *,
    column: str = "text",
    separator: str | None = None,
    tokenizer: str = BYTES,
    vocabulary_size: int | None = None,
    streams: int = 0,
    cache: str | None = None,
) -> Text:
    """The task that a command's options ask for: `Text` for the bytes of one file, else `PackedText`."""
    one = len(files) < 2 and not (files and (is_table(Path(files[0])) or is_pattern(files[0])))
    if one and separator is None and tokenizer == BYTES and not streams:
        return Text(file=files[0] if files else None)
    return PackedText(
        file=files[0] if files else None,
        files=files[1:],
        column=column,
        separator=separator,
        tokenizer=tokenizer,
        vocabulary_size=PackedText.vocabulary_size if vocabulary_size is None else vocabulary_size,
        streams=streams,
        cache=cache,
    )
