"""Removing runs: nothing but folders directly below the folder of runs that bear a run's name, and whole or not at all.

A folder is renamed first and deleted then, so that no reader meets half of a run. What a killed removal left under
`.removed-…` goes with the next one.
"""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from statewise.core.errors import RunError, UsageError
from statewise.runs.names import NAME, UNFINISHED, folders_in, in_progress, offer, offered

REMOVED = ".removed-"


def removable(root: Path, names: Sequence[str]) -> list[Path]:
    """The folders of these runs, what is left of interrupted attempts at them included.

    Names are whole: a part of one, a path, a run that is not there, a link and a run in progress are UsageErrors.
    """
    folders = folders_in(root)
    return [folder for name in dict.fromkeys(names) for folder in folders_of(root, name, folders)]


def folders_of(root: Path, name: str, folders: Sequence[str]) -> list[Path]:
    """The folders of one run among those in `root`."""
    known = [folder for folder in folders if NAME.fullmatch(folder)]
    if NAME.fullmatch(name) is None:
        meant = [folder for folder in known if name and folder.startswith(name)]
        hint = f": did you mean {offered(meant)}?" if meant else ""
        raise UsageError(f"{name!r} is not the name of a run, which has 16 digits of 0-9 and a-f{hint}")
    attempts = [folder for folder in folders if (match := UNFINISHED.fullmatch(folder)) and match[1] == name]
    for folder in attempts:
        if in_progress(root / folder):
            raise UsageError(f"run {name} is in progress, in {root / folder}: stop it first")
    found = [root / folder for folder in (*([name] if name in known else []), *attempts)]
    if not found:
        raise UsageError(f"no run is named {name!r}{offer(name, known) if known else f': {root} holds no runs'}")
    for path in found:
        if path.is_symlink():
            raise UsageError(f"{path} is a link to a folder that is elsewhere: remove it by hand")
    return found


def remove(folders: Sequence[Path]) -> None:
    """Remove what `removable` found; a folder that cannot be renamed is a RunError, and stays as it is."""
    try:
        for folder in folders:
            folder.rename(Path(tempfile.mkdtemp(prefix=REMOVED, dir=folder.parent)) / folder.name)
    except OSError as error:
        raise RunError(f"{error.filename} cannot be removed: {error.strerror}") from None
    finally:
        for root in {folder.parent for folder in folders}:
            sweep(root)


def sweep(root: Path) -> None:
    """Delete what is renamed already, by this removal or by one that was killed."""
    for left in root.glob(f"{REMOVED}*"):
        shutil.rmtree(left, ignore_errors=True)
