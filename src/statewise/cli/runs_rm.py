"""statewise runs rm: remove runs, by their whole names."""

import sys
from dataclasses import dataclass

from tyro.conf import Positional

from statewise.cli.runs_selection import RunsFolder
from statewise.core.errors import UsageError
from statewise.runs.remove import removable, remove


@dataclass(frozen=True, kw_only=True)
class Rm(RunsFolder):
    """Remove runs and what interrupted attempts at them left. Asks first; a run in progress is refused."""

    names: Positional[tuple[str, ...]]
    """Whole names, as `ls` lists them."""
    yes: bool = False
    """Do not ask."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        if not self.names:
            raise UsageError("runs rm: no run is named; name some as `statewise runs ls` lists them")
        folders = removable(self.folder, self.names)
        count = len(set(self.names))
        what = f"{count:,} run{'s' if count > 1 else ''}"
        if not self.yes and not agreed(f"Remove {what} from {self.folder}? [y/N] "):
            print("nothing is removed", file=sys.stderr)
            return 1
        remove(folders)
        print(f"{what} removed from {self.folder}")
        return 0


def agreed(question: str) -> bool:
    """Whether whoever is at the terminal says yes; without a terminal there is nobody to ask: a UsageError."""
    if not sys.stdin.isatty():
        raise UsageError("runs rm: standard input is no terminal, so that nobody can be asked; --yes removes unasked")
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
