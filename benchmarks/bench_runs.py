"""How long do questions about 10,000 runs take? `statewise runs ls` and `export`, on records as training leaves them.

The baseline is reading the same files one by one with Python's json, which answers no question yet. CPU seconds are
those of all threads. The start of Python, torch included, is listed apart: every command has it.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from statewise.cli import main as statewise
from statewise.cli.doctor import other_load
from statewise.core.config import digest
from statewise.runs import RunStore
from statewise.runs.on_disk import CONFIG, EVENTS, MODEL, RECORD
from statewise.runs.query import Selection, export_runs, list_runs

RUNS = 10_000
GOAL = 2.0
"""Seconds to list them."""

TRAINED = [
    "index-lookup",
    "parity",
    "--models",
    "mingru",
    "gru",
    "--sizes",
    "4",
    "8",
    "16",
    "--steps",
    "3",
    "--seeds",
    "0",
]


def timed(work: Callable[[], object], times: int = 3) -> tuple[float, float]:
    """Least wall-clock and CPU seconds of several turns, after one that is not counted."""
    work()
    spent = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        spent.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(wall for wall, _ in spent), min(cpu for _, cpu in spent)


def fill(root: Path, count: int) -> None:
    """`count` runs: copies of a few that were trained, each with a seed, a configuration and a name of its own."""
    trained = root.with_name("trained")
    statewise(["compare", *TRAINED, "--batch-size", "4", "--no-page", "--workers", "1", "--output", str(trained)])
    patterns = [json.loads((trained / record.name / RECORD).read_text()) for record in RunStore(trained).records()]
    for number in range(count):
        record = patterns[number % len(patterns)]
        record["config"]["seed"] = number
        folder = root / digest(record["config"])
        folder.mkdir(parents=True)
        (folder / RECORD).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
        (folder / CONFIG).write_text(json.dumps(record["config"], indent=1, sort_keys=True) + "\n")
        (folder / EVENTS).write_text("{}\n")
        (folder / MODEL).write_bytes(bytes(1000))


def quiet(*arguments: str) -> Callable[[], object]:
    """A command whose output goes nowhere."""

    def work() -> None:
        with redirect_stdout(StringIO()):
            assert statewise(arguments) == 0

    return work


def main() -> None:
    """Print one table."""
    if (busy := other_load()) is not None:
        print(f"warning: {busy}", file=sys.stderr)
    root = Path(tempfile.mkdtemp()) / "runs"
    try:
        fill(root, RUNS)
        folder, target = ("--folder", str(root)), root.with_name("all.parquet")
        works: dict[str, Callable[[], object]] = {
            "every column of every run": lambda: list_runs(root),
            "those with token_accuracy > 0.5": lambda: list_runs(root, Selection(where="token_accuracy > 0.5")),
            "runs ls: the first 50 as a table": quiet("runs", "ls", *folder),
            "runs ls --json": quiet("runs", "ls", "--json", *folder),
            "runs export to Parquet, every size": lambda: export_runs(root, target, force=True),
            "baseline: json.loads of every file": lambda: [
                json.loads(path.read_bytes()) for path in root.glob(f"*/{RECORD}")
            ],
        }
        print(f"{RUNS:,} records of {next(root.glob(f'*/{RECORD}')).stat().st_size:,} bytes; goal for ls: {GOAL:g} s")
        print(f"{'':40}{'wall s':>10}{'CPU s':>10}")
        for name, work in works.items():
            wall, cpu = timed(work)
            print(f"{name:40}{wall:10.2f}{cpu:10.2f}", flush=True)
    finally:
        shutil.rmtree(root.parent)


if __name__ == "__main__":
    main()
