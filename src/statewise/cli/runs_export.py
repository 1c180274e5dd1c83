"""statewise runs export: every run at every size as one file, for other tools."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from statewise.cli.runs_selection import SelectedRuns, tell_passed_over
from statewise.runs.query import export_runs


@dataclass(frozen=True, kw_only=True)
class Export(SelectedRuns):
    """Write runs to a .csv, .json or .parquet file, a row for each run and size. Needs the extra `report`.

    A run without measurements, as one that diverged, has one row.
    """

    file: Positional[Path]
    """Where to; the ending says how."""
    force: bool = False
    """Replace a file that is there."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        written = export_runs(self.folder, self.file, self.selection, force=self.force)
        runs = len({name for name, _ in written.rows})
        print(f"{len(written.rows):,} rows of {runs:,} run{'' if runs == 1 else 's'} written to {self.file}")
        tell_passed_over(written.passed_over)
        return 0
