"""A corpus as one file of tokens that is mapped into memory, made once and checked whenever it is opened.

    <cache>/<key>/tokens.bin      every token, little-endian, in as few bytes as the vocabulary needs
                  starts.bin      where documents begin, int64
                  packed.json     how many, where splits begin, digests of both files and of all this

The key is a digest of what the tokens are made from. A folder appears when it is whole; one that is torn or altered is
made anew.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from statewise.core.config import digest
from statewise.core.disk import sha256_of, sync
from statewise.core.errors import UsageError
from statewise.tasks.documents import Piece
from statewise.tasks.text import span
from statewise.tasks.tokens import Ids, Tokens

FORMAT = 1
TOKENS, STARTS, ABOUT = "tokens.bin", "starts.bin", "packed.json"
ENCODED_AT_ONCE = 2**20
"""Bytes that the tokenizer is given together, which it divides among threads."""

COUNTED_AT_ONCE = 2**20
"""Tokens whose bytes are counted together."""


@dataclass(frozen=True)
class Packed:
    """A corpus as tokens.

    tokens  (N,) unsigned integers
    starts  (D,) int64: where documents begin, ascending, 0 first
    cuts    the tokens at which validation and test begin
    """

    tokens: Ids
    starts: Ids
    cuts: tuple[int, int]

    def span(self, split: str) -> tuple[int, int]:
        """First token and end of a split; the same bytes whatever the tokens, but for the one at the border."""
        validation, test = self.cuts
        return {"train": (0, validation), "test": (test, len(self.tokens))}.get(split, (validation, test))


def user_cache() -> Path:
    """Where corpora are kept that nobody named a folder for: XDG_CACHE_HOME/statewise, or ~/.cache/statewise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "statewise"


def open_packed(folder: Path) -> Packed | None:
    """What is in a folder, mapped; None where there is nothing whole."""
    try:
        about = json.loads((folder / ABOUT).read_text())
        whole = about.pop("digest") == digest(about) and about["format"] == FORMAT
        if not whole or any(sha256_of(folder / name) != found for name, found in about["sha256"].items()):
            return None
        tokens = np.memmap(folder / TOKENS, about["dtype"], mode="r")
        starts = np.memmap(folder / STARTS, "<i8", mode="r")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Packed(np.asarray(tokens), np.asarray(starts), tuple(about["cuts"]))


def pack(folder: Path, pieces: Callable[[], Iterator[Piece]], tokens: Tokens) -> Packed:
    """The tokens of documents, from `folder` where they are kept, else made and kept there.

    A corpus without a single byte is a UsageError; so is a folder that cannot be written.
    """
    found = open_packed(folder)
    if found is not None:
        return found
    building = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        remove_abandoned(folder)
        write(building, pieces(), tokens)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            building.rename(folder)
        except OSError:
            # Another process may have put its own there, which is as good.
            if open_packed(folder) is None:
                raise
    except OSError as error:
        raise UsageError(
            f"text: tokens cannot be kept in {folder.parent}: {error.strerror}; name another folder: --cache"
        ) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    packed = open_packed(folder)
    if packed is None:
        raise UsageError(f"text: what was kept in {folder} reads back otherwise; name another folder: --cache")
    return packed


def write(folder: Path, pieces: Iterator[Piece], tokens: Tokens) -> None:
    """The three files of a corpus."""
    dtype = np.dtype("<u1" if tokens.vocabulary <= 2**8 else "<u2" if tokens.vocabulary <= 2**16 else "<u4")
    sums, count, documents = (hashlib.sha256(), hashlib.sha256()), 0, 0
    with (folder / TOKENS).open("wb") as tokens_file, (folder / STARTS).open("wb") as starts_file:
        for batch in batched(pieces):
            encoded = tokens.encode([piece.content for piece in batch])
            lengths = np.cumsum([0, *map(len, encoded)])[:-1]
            starts = np.array([count + at for at, piece in zip(lengths, batch, strict=True) if piece.begins], "<i8")
            ids = np.concatenate(encoded).astype(dtype)
            for file, array, total in zip((tokens_file, starts_file), (ids, starts), sums, strict=True):
                file.write(array.data)
                total.update(array.data)
            count, documents = count + len(ids), documents + len(starts)
    if count == 0:
        raise UsageError("text: the corpus is empty: none of its documents has a byte")
    cuts = cuts_of(np.memmap(folder / TOKENS, dtype, mode="r"), tokens)
    about: dict[str, Any] = {
        "format": FORMAT,
        "dtype": dtype.str,
        "tokens": count,
        "documents": documents,
        "cuts": list(cuts),
        "sha256": {TOKENS: sums[0].hexdigest(), STARTS: sums[1].hexdigest()},
    }
    (folder / ABOUT).write_text(json.dumps({**about, "digest": digest(about)}, indent=1))
    for name in (TOKENS, STARTS, ABOUT):
        sync(folder / name)


def batched(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    """Pieces in groups of at least ENCODED_AT_ONCE bytes, the last aside."""
    group: list[Piece] = []
    held = 0
    for piece in pieces:
        group.append(piece)
        held += len(piece.content)
        if held >= ENCODED_AT_ONCE:
            yield group
            group, held = [], 0
    if group:
        yield group


def cuts_of(ids: Ids, tokens: Tokens) -> tuple[int, int]:
    """The first tokens that begin at or after the byte where validation and test begin."""
    lengths = np.array([len(spelled) for spelled in tokens.spelled], np.int64)
    groups = [(start, ids[start : start + COUNTED_AT_ONCE]) for start in range(0, len(ids), COUNTED_AT_ONCE)]
    total = sum(int(lengths[group].sum()) for _, group in groups)
    borders = [span(total, split)[0] for split in ("validation", "test")]
    cuts, read = [len(ids), len(ids)], 0
    for start, group in groups:
        begins = read + np.concatenate([[0], np.cumsum(lengths[group])])
        for i, border in enumerate(borders):
            if read <= border < begins[-1]:
                cuts[i] = start + int(np.searchsorted(begins, border))
        read = int(begins[-1])
    return cuts[0], cuts[1]


def remove_abandoned(folder: Path) -> None:
    """Remove what processes that were killed had begun in this folder's place."""
    for path in folder.parent.glob(f".{folder.name}-*"):
        process = int(path.name.rpartition("-")[2])
        if process != os.getpid() and not Path("/proc", str(process)).exists() and Path("/proc/self").exists():
            shutil.rmtree(path, ignore_errors=True)
