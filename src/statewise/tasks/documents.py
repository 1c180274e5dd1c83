"""The documents of a corpus, read piece by piece: of files, of patterns, or of the rows of a table.

a.txt b.txt                each file is a document
corpus.txt, separator      a document ends with each separator
a folder of a data set     each row is a document: what `datasets.save_to_disk` writes, or Parquet files
"""

import glob
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from statewise.core.disk import sha256_of
from statewise.core.errors import UsageError
from statewise.core.optional import require

PIECE = 2**16
"""Bytes that are read at once."""

TABLES = (".arrow", ".parquet")


class Piece(NamedTuple):
    """Some bytes of a document; `begins` where they are its first."""

    content: bytes
    begins: bool


def parts_of(patterns: Sequence[str]) -> list[Path]:
    """The files behind paths, glob patterns and folders of tables, in the order given, patterns sorted.

    What matches nothing, an empty file, and a folder that is no table are UsageErrors.
    """
    paths = [path for pattern in patterns for path in expanded(pattern)]
    for path in paths:
        if not path.exists():
            raise UsageError(f"text: there is no file {path}")
        if path.suffix not in TABLES and path.stat().st_size == 0:
            raise UsageError(f"text: {path} is empty")
    return paths


def expanded(pattern: str) -> list[Path]:
    """The files behind one path or pattern."""
    path = Path(pattern)
    if path.is_dir():
        return files_of_table(path)
    if not is_pattern(pattern):
        return [path]
    found = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207, it takes ** and roots
    files = [path for path in found if path.is_file()]
    if not files:
        raise UsageError(f"text: no file matches {pattern}")
    return files


def is_pattern(name: str) -> bool:
    """Whether a name stands for the files that match it; a file of that very name comes first.

    >>> is_pattern("books/*.txt"), is_pattern("book.txt")
    (True, False)
    """
    return glob.has_magic(name) and not Path(name).exists()


def is_table(path: Path) -> bool:
    """Whether a folder holds a data set, or the splits of one."""
    known = ("state.json", "dataset_dict.json")
    return path.is_dir() and (
        any((path / name).exists() for name in known) or any(p.suffix in TABLES for p in path.iterdir())
    )


def files_of_table(folder: Path) -> list[Path]:
    """The files that hold a table's rows, in order."""
    if (folder / "dataset_dict.json").exists():
        splits = sorted(path.name for path in folder.iterdir() if path.is_dir())
        raise UsageError(
            f"text: {folder} holds the splits {', '.join(splits)}; name one: {folder / (splits or ['…'])[0]}"
        )
    state = folder / "state.json"
    if state.exists():
        try:
            return [folder / part["filename"] for part in json.loads(state.read_text())["_data_files"]]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"text: {state} is not what datasets.save_to_disk writes: {error!r}") from None
    files = sorted(path for path in folder.iterdir() if path.suffix in TABLES)
    if not files:
        raise UsageError(
            f"text: {folder} is a directory; name one file, a pattern such as {folder}/*.txt, or a folder that "
            "datasets.save_to_disk wrote"
        )
    return files


def digest_of(parts: Sequence[Path]) -> str:
    """SHA-256 of the contents, in hex: of one file its own, of several that of theirs in order."""
    digests = [sha256_of(path) for path in parts]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def pieces_of(parts: Sequence[Path], *, column: str, separator: bytes | None) -> Iterator[Piece]:
    """Every document in order, in pieces of about PIECE bytes. Rows of a table without text are passed over."""
    for path in parts:
        if path.suffix in TABLES:
            for row in rows_of(path, column):
                yield from split(cut(row), separator)
        else:
            yield from split(read(path), separator)


def cut(row: bytes) -> Iterator[bytes]:
    """A row in pieces."""
    return (row[start : start + PIECE] for start in range(0, len(row), PIECE))


def read(path: Path) -> Iterator[bytes]:
    """A file in pieces."""
    with path.open("rb") as file:
        while content := file.read(PIECE):
            yield content


def split(contents: Iterator[bytes], separator: bytes | None) -> Iterator[Piece]:
    """Contents, a document, cut behind each separator, wherever pieces end.

    >>> [piece.content for piece in split(iter([b"a|", b"|b|", b"|", b"c"]), b"||") if piece.begins]
    [b'a||', b'b||', b'c']
    """
    begins, held = True, b""
    for content in contents:
        if separator is None:
            yield Piece(content, begins)
            begins = False
            continue
        *whole, held = (held + content).split(separator)
        for document in whole:
            yield Piece(document + separator, begins)
            begins = True
        # The end of what is held may be the beginning of a separator.
        safe = len(held) - len(separator) + 1
        if safe >= PIECE:
            yield Piece(held[:safe], begins)
            begins, held = False, held[safe:]
    if held:
        yield Piece(held, begins)


def whole_lines(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The same documents in pieces that end with a line, a character at least, where they do not end a document.

    So a tokenizer sees words whole. A line that is longer than a few pieces is cut.
    """
    held = Piece(b"", False)
    for piece in pieces:
        if piece.begins:
            if held.content:
                yield held
            held = piece
        else:
            held = Piece(held.content + piece.content, held.begins)
        if len(held.content) < PIECE:
            continue
        end = held.content.rfind(b"\n") + 1
        end = end or (end_of_characters(held.content) if len(held.content) >= 4 * PIECE else 0)
        if end:
            yield Piece(held.content[:end], held.begins)
            held = Piece(held.content[end:], False)
    if held.content:
        yield held


def end_of_characters(content: bytes) -> int:
    """Where the last whole character of UTF-8 ends, or the end where the last bytes are none.

    >>> end_of_characters("aü".encode()), end_of_characters("aü".encode()[:-1])
    (3, 1)
    """
    for back in range(1, min(4, len(content)) + 1):
        byte = content[-back]
        if byte & 0xC0 == 0xC0:
            needed = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return len(content) - back if needed > back else len(content)
        if byte < 0x80:
            break
    return len(content)


def rows_of(path: Path, column: str) -> Iterator[bytes]:
    """The texts of a column of one file of a table, empty ones left out."""
    arrow = require("pyarrow", extra="text", purpose="a data set of rows")
    try:
        for batch in batches_of(path, column, arrow):
            values = batch.column(column)
            kind = values.type
            if not any(getattr(arrow.types, f"is_{name}")(kind) for name in KINDS):
                raise UsageError(f"text: column {column!r} of {path} holds {kind}; it must hold strings or bytes")
            for value in values:
                text = value.as_py()
                if text:
                    yield text.encode() if isinstance(text, str) else text
    except (arrow.ArrowException, OSError) as error:
        raise UsageError(f"text: {path} is no table that can be read: {' '.join(str(error).split())}") from None


KINDS = ("string", "large_string", "binary", "large_binary")


def batches_of(path: Path, column: str, arrow: Any) -> Iterator[Any]:
    """Record batches of an Arrow stream or file, or of a Parquet file."""
    if path.suffix == ".parquet":
        parquet = require("pyarrow.parquet", extra="text", purpose="a data set of rows")
        file = parquet.ParquetFile(path)
        check_column(column, file.schema_arrow.names, path)
        yield from file.iter_batches(columns=[column])
        return
    source = arrow.memory_map(str(path))
    try:
        reader = arrow.ipc.open_stream(source)
    except arrow.ArrowInvalid:
        file = arrow.ipc.open_file(source)
        check_column(column, file.schema.names, path)
        yield from (file.get_batch(number) for number in range(file.num_record_batches))
        return
    check_column(column, reader.schema.names, path)
    yield from reader


def check_column(column: str, there: Sequence[str], path: Path) -> None:
    """Raise a UsageError unless a table has a column."""
    if column not in there:
        raise UsageError(f"text: {path} has no column {column!r}; it has {', '.join(there)}: name one with --column")
