"""What bears which name in a folder of runs, and which run is meant by the beginning of one."""

import os
import re
from pathlib import Path

from statewise.core.errors import UsageError, suggestion
from statewise.runs.lock import is_held

NAME = re.compile(r"[0-9a-f]{16}")
"""A run's name: `statewise.core.config.digest` of its configuration."""

UNFINISHED = re.compile(r"\.partial-([0-9a-f]{16})")
"""The folder of a run that has not ended: its name."""

TENSORBOARD = "tensorboard"
"""A folder among those of runs that holds no run: event files for TensorBoard, a folder for each run."""

MOST_OFFERED = 8
"""Candidates in a message, at most."""


def folders_in(root: Path) -> list[str]:
    """Names of the folders in `root`, in order. A UsageError where there is no such folder."""
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and entry.name != TENSORBOARD)
    except OSError as error:
        raise UsageError(f"there are no runs in {root}: {error.strerror}; name their folder with --folder") from None


def in_progress(folder: Path) -> bool:
    """Whether a living process is at the run of this unfinished folder."""
    return UNFINISHED.fullmatch(folder.name) is not None and is_held(folder)


def find_name(root: Path, beginning: str) -> str:
    """The one run in `root` whose name begins so, damaged ones included; none or several is a UsageError.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     (Path(root) / "0c02252c6f8b5f6d").mkdir()
    ...     find_name(Path(root), "0c0")
    '0c02252c6f8b5f6d'
    """
    names = [name for name in folders_in(root) if NAME.fullmatch(name)]
    meant = [name for name in names if name.startswith(beginning)]
    if len(meant) == 1 and beginning:
        return meant[0]
    if not names:
        raise UsageError(f"no run is named {beginning!r}: {root} holds no runs")
    if meant:
        raise UsageError(f"{len(meant)} runs are named {beginning}…: {offered(meant)}; write more digits")
    raise UsageError(f"no run is named {beginning!r}{offer(beginning, names)}")


def offer(name: str, names: list[str]) -> str:
    """The tail of a message about a name that is not there: the nearest, or the first few of all."""
    return suggestion(name, names) if len(names) <= MOST_OFFERED else f": there are {offered(names)}"


def offered(names: list[str]) -> str:
    """Names for a message: the first few, and how many more there are.

    >>> offered([f"{i:x}" for i in range(12)])
    '0, 1, 2, 3, 4, 5, 6, 7 and 4 more'
    """
    more = len(names) - MOST_OFFERED
    return ", ".join(names[:MOST_OFFERED]) + (f" and {more:,} more" if more > 0 else "")
