"""Parallel text on disk: two files whose lines are pairs, or one with a tab between the two; gzipped or not.

Lines end with a line feed, and a carriage return before it is dropped; no other character ends one. They are bytes:
what is not UTF-8 stays as it is.
"""

import gzip
import hashlib
import zlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from statewise.core.errors import UsageError

GZIP = b"\x1f\x8b"
SHOWN = 60
"""Characters of a line that a message shows."""


class Pairs(NamedTuple):
    """Lines of both sides, as many of one as of the other, and the SHA-256 of what the files hold, in hex."""

    source: tuple[bytes, ...]
    target: tuple[bytes, ...]
    sha256: str


def read_pairs(source: str, target: str | None) -> Pairs:
    """The pairs of two files, or of one with a tab in each line where `target` is None.

    Kept in memory, and read again when a file was written since. A file that is absent, a directory, empty or damaged,
    files of different numbers of lines, and a line without just one tab are UsageErrors that name file and line.
    """
    return _read(source, target, tuple(stamp_of(path) for path in (source, target) if path is not None))


def stamp_of(path: str) -> tuple[int, ...]:
    """What tells one state of a file from another: its size and times. A UsageError where there is no file."""
    try:
        stat = Path(path).stat()
    except OSError as error:
        raise UsageError(f"translation: {path} cannot be read: {error.strerror}") from None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


@lru_cache(maxsize=8)
def _read(source: str, target: str | None, stamps: tuple[tuple[int, ...], ...]) -> Pairs:
    total = hashlib.sha256()
    sides = [lines_of(path, total) for path in (source, target) if path is not None]
    if target is None:
        sides = list(divided(sides[0], source))
    elif len(sides[0]) != len(sides[1]):
        raise UsageError(unequal(source, target, *sides))
    return Pairs(tuple(sides[0]), tuple(sides[1]), total.hexdigest())


def lines_of(path: str, total: "hashlib._Hash") -> list[bytes]:
    """The lines of a file, which `total` takes in."""
    try:
        content = Path(path).read_bytes()
        content = gzip.decompress(content) if content.startswith(GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"translation: {path} cannot be read: {why}") from None
    if not content.strip():
        raise UsageError(f"translation: {path} is empty; it must have a sentence in each line")
    total.update(f"{len(content)}\n".encode() + content)
    return split_lines(content)


def split_lines(content: bytes) -> list[bytes]:
    """The lines of some bytes, without their ends; the last needs none.

    >>> split_lines(b"a\\r\\n\\nb\\x85"), split_lines(b"")
    ([b'a', b'', b'b\\x85'], [])
    """
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    return [line.removesuffix(b"\r") for line in lines]


def divided(lines: list[bytes], path: str) -> tuple[list[bytes], list[bytes]]:
    """Both sides of lines with a tab between them."""
    parts = [line.split(b"\t") for line in lines]
    for number, part in enumerate(parts, 1):
        if len(part) != 2:
            raise UsageError(
                f"translation: line {number} of {path} has {len(part) - 1} tabs; it must have one, between source and "
                f"target: {shown(lines[number - 1])}. For two files name the target's as well"
            )
    return [source for source, _ in parts], [target for _, target in parts]


def unequal(source: str, target: str, left: list[bytes], right: list[bytes]) -> str:
    """What to say of two files that do not pair."""
    path, lines = (source, left) if len(left) > len(right) else (target, right)
    first = min(len(left), len(right))
    return (
        f"translation: {source} has {len(left):,} lines and {target} has {len(right):,}; each must have a partner. "
        f"The first without one is line {first + 1} of {path}: {shown(lines[first])}"
    )


def shown(line: bytes) -> str:
    """A line for a message.

    >>> shown(b"Gr\\xfcn\\x1b")
    "'Gr\\\\\\\\xfcn\\\\x1b'"
    """
    text = line.decode(errors="backslashreplace")
    return repr(text[:SHOWN] + ("…" if len(text) > SHOWN else ""))
