"""statewise runs ls: the runs in a folder, as a table for people or as rows for machines."""

import csv
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from statewise.cli.console import console, printable
from statewise.cli.runs_selection import SelectedRuns, tell_passed_over
from statewise.core.durations import spoken
from statewise.core.errors import UsageError
from statewise.runs.query import COLUMNS, Listing, list_runs

SHOWN_IN_A_TABLE = 50
"""Rows of a table, unless more are asked for: a longer one is not read."""

IN_THE_TABLE = (
    "name", "status", "task", "model", "seed", "learning_rate", "steps", "seconds", "size", "token_accuracy", "loss",
    "written",
)  # fmt: skip
HEADINGS = {"learning_rate": "rate", "seconds": "time", "token_accuracy": "token acc.", "written": "written (UTC)"}
STYLES = {
    "finished": "green",
    "running": "cyan",
    "diverged": "yellow",
    "interrupted": "yellow",
    "crashed": "red",
    "failed": "red",
}
LEFT = {"name", "status", "task", "model", "written"}
"""Columns of texts; numbers stand right."""

WRITTEN: dict[str, Callable[[Any], str]] = {
    "learning_rate": "{:g}".format,
    "steps": "{:,}".format,
    "seconds": spoken,
    "token_accuracy": "{:.1%}".format,
    "loss": "{:.4g}".format,
    "written": "{:%Y-%m-%d %H:%M}".format,
}
"""How values are written for people."""


@dataclass(frozen=True, kw_only=True)
class Ls(SelectedRuns):
    """List runs: what was asked, how it ended, and what was measured at the largest size. Needs the extra `report`."""

    sort: str = "name"
    """Column to sort by: any of those of --json."""
    reverse: bool = False
    """Largest first."""
    limit: int | None = None
    """Most runs to print; 0 is all. Default 50 in the table, all with --json and --csv."""
    json: bool = False
    """Print a JSON list with every column."""
    csv: bool = False
    """Print CSV with every column."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        if self.json and self.csv:
            raise UsageError("runs ls: json and csv are two ways to print the same; choose one")
        if self.limit is not None and self.limit < 0:
            raise UsageError(f"runs ls: limit is {self.limit}; it must be at least 0")
        columns = COLUMNS if self.json or self.csv else IN_THE_TABLE
        listing = list_runs(self.folder, self.selection, columns, sort=self.sort, reverse=self.reverse)
        default = len(listing.rows) if self.json or self.csv else SHOWN_IN_A_TABLE
        shown = listing.rows[: (default if self.limit is None else self.limit) or len(listing.rows)]
        if self.json:
            print(json.dumps([dict(zip(columns, map(plain, row), strict=True)) for row in shown], indent=1))
        elif self.csv:
            csv.writer(sys.stdout, lineterminator="\n").writerows([columns, *(map(plain, row) for row in shown)])
        else:
            self._print_table(listing, shown)
        tell_passed_over(listing.passed_over)
        return 0

    def _print_table(self, listing: Listing, shown: list[tuple[Any, ...]]) -> None:
        out = console()
        if shown:
            out.print(table_of(listing.columns, shown))
        total, more = len(listing.rows), len(listing.rows) - len(shown)
        rest = f"; {more:,} of them are not shown: --limit 0 shows all" if more else ""
        out.print(f"{total:,} run{'' if total == 1 else 's'}{rest}", soft_wrap=True)


def table_of(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Table:
    """A table for people, with the status in its colour where there are colours."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        justify, whole = ("left" if column in LEFT else "right"), column in ("name", "status", "written")
        table.add_column(HEADINGS.get(column, column.replace("_", " ")), justify=justify, no_wrap=whole)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(cell(column, value) for column, value in zip(columns, row, strict=True)))
    return table


def cell(column: str, value: Any) -> Text:
    """A value as people read it.

    >>> cell("token_accuracy", 0.5).plain, cell("loss", None).plain
    ('50.0%', '')
    """
    text = "" if value is None else WRITTEN.get(column, str)(value)
    return Text(" ".join(printable(text).split()), style=STYLES.get(text, "") if column == "status" else "")


def plain(value: Any) -> Any:
    """A value as JSON and CSV have it; what is not finite is not known.

    >>> plain(math.nan), plain(datetime(2026, 1, 2, 3, 4, 5))
    (None, '2026-01-02T03:04:05Z')
    """
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds") + "Z"
    return None if isinstance(value, float) and not math.isfinite(value) else value
