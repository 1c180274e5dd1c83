"""One process at a time in a folder. The system lets go of a lock when its process dies, however that comes about."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from statewise.core.errors import RunError

LOCK = "lock"
SECONDS_BETWEEN_TRIES = 0.5
HELD = (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
"""What the system says where another process holds the lock."""


class Lock:
    """A lock on a folder, by a file in it; it works across the machines that share a file system.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one, other = Lock(Path(folder)), Lock(Path(folder))
    ...     one.try_take(), other.try_take(), one.release(), other.try_take(), other.release()
    (True, False, None, True, None)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LOCK
        self.descriptor: int | None = None

    def try_take(self) -> bool:
        """Take the lock if it is free. The folder must be there; a disk that locks no files is a RunError."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have moved the folder, or removed it, between our opening and our locking.
            taken = os.path.samestat(os.fstat(descriptor), self.path.stat())
        except OSError as error:
            os.close(descriptor)
            if error.errno in HELD or isinstance(error, FileNotFoundError):
                return False
            raise RunError(f"{self.path} cannot be locked: {error.strerror}; keep runs on a disk that can") from None
        if not taken:
            os.close(descriptor)
            return False
        self.descriptor = descriptor
        with suppress(OSError):  # where the disk is full the lock holds as well, without a name on it
            os.truncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        return True

    @property
    def held(self) -> bool:
        """Whether it is ours."""
        return self.descriptor is not None

    def take(self, *, note: Callable[[str], object]) -> None:
        """Make the folder and take the lock; where another process holds it, say so once and wait for it."""
        said = False
        while not self._try_in_folder():
            if not said and (holder := self.holder()):
                note(f"{holder} is at this run; waiting for it")
                said = True
            time.sleep(SECONDS_BETWEEN_TRIES)

    def _try_in_folder(self) -> bool:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            return self.try_take()
        except FileNotFoundError:
            return False

    def holder(self) -> str:
        """Who holds the lock, or held it last; empty where nobody is known."""
        try:
            return self.path.read_text()
        except OSError:
            return ""

    def release(self) -> None:
        """Let go. A lock that is not held stays so."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def is_held(folder: Path) -> bool:
    """Whether a living process is at a folder. Makes nothing, and where there is no lock nobody is.

    >>> is_held(Path("no such folder"))
    False
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in HELD
    finally:
        os.close(descriptor)
    return False
