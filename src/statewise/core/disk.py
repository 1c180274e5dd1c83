"""Writing so that a reader, even after a power cut, sees all of a file or nothing of it; and disks that are full.

A file is written under another name in the same folder, reaches the disk, and is renamed over the old one.
"""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""The system's numbers for a disk that is full, and for a quota that is used up."""

HALF_WRITTEN = ".half-written"
"""What the names of files that are being written end with."""


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk or a quota is full.

    safetensors raises an error of its own, with the system's number in the text.

    >>> is_full(OSError(errno.ENOSPC, "No space left on device")), is_full(OSError(errno.EIO, "broken"))
    (True, False)
    """
    if isinstance(error, SafetensorError):
        return any(f"(os error {number})" in str(error) for number in FULL)
    return isinstance(error, OSError) and error.errno in FULL


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make a file, and put it at `path` when it is whole and on the disk.

    Whatever goes wrong leaves what was at `path`, and nothing half-written unless the process is killed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder, "a"), lambda path: path.write_text("whole"))
    ...     [path.name for path in Path(folder).iterdir()]
    ['a']
    """
    half = path.with_name(path.name + HALF_WRITTEN)
    try:
        write(half)
        sync(half)
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's contents, in hex, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
