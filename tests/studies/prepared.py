"""What a process can be asked to do before its first run: a module of its own, so that workers can import it."""

import os
from pathlib import Path


def leave_a_mark(folder: Path) -> None:
    """A file with the process's number; a second time in the same process is an error."""
    (folder / str(os.getpid())).touch(exist_ok=False)
