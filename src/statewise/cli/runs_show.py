"""statewise runs show: everything that one record says."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from tyro.conf import Positional

from statewise.cli.console import console, printable
from statewise.cli.runs_ls import cell
from statewise.cli.runs_selection import RunsFolder
from statewise.core.config import to_plain
from statewise.runs import Record, RunStore
from statewise.runs.names import find_name
from statewise.runs.record import title_of_run

MEASURED = ("size", "loss", "token_accuracy", "sequence_accuracy", "state_bits", "recovered_bits", "recovered_at_least")


@dataclass(frozen=True, kw_only=True)
class Show(RunsFolder):
    """Show one run: its configuration, how it ended, what was measured, and what measured it."""

    name: Positional[str]
    """Its name, or a beginning of it that no other run has."""
    json: bool = False
    """Print the record as it is on disk."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        name = find_name(self.folder, self.name)
        record = RunStore(self.folder).find(name)
        assert record is not None, "its folder was found"
        if self.json:
            print(json.dumps(to_plain(record), indent=1, sort_keys=True))
            return 0
        out = console()
        out.print(f"{name} · {printable(title_of_run(record.config))}", soft_wrap=True)
        found = list(facts(record))
        widest = max(len(label) for label, _ in found)
        for label, text in found:
            out.print(f"  {label:<{widest}}  {printable(text)}", soft_wrap=True)
        if record.results:
            out.print()
            out.print(results_table(record))
        out.print(f"\nkept in {self.folder / name}", soft_wrap=True)
        return 0


def facts(record: Record) -> Iterator[tuple[str, str]]:
    """Labels and texts: the end, then every setting and fact by its path."""
    yield "status", f"{record.status}: {record.because}"
    for part in ("config", "facts", "training", "environment"):
        yield from flat(part, getattr(record, part))


def flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """The leaves of nested settings, each with its path; what is not set is left out.

    >>> list(flat("model", {"width": 8, "conv": None, "norm": {"kind": "rms"}}))
    [('model.norm.kind', 'rms'), ('model.width', '8')]
    """
    if isinstance(value, dict):
        for key in sorted(value):
            yield from flat(f"{path}.{key}", value[key])
    elif value is not None and value != []:
        yield path, " ".join(map(str, value)) if isinstance(value, list) else str(value)


def results_table(record: Record) -> Table:
    """What was measured, a row for each size."""
    table = Table(box=None, pad_edge=False)
    for column in MEASURED:
        table.add_column(column.replace("_", " "), justify="right")
    for result in record.results:
        table.add_row(*(cell(column, getattr(result, column)) for column in MEASURED))
    return table
