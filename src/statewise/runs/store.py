"""A folder of run folders.

    runs/<name>/                name = digest of the canonical configuration
        config.json             that configuration
        events.jsonl            what the training loop said, one event a line
        record.json             how it ended and what was measured
        model.safetensors       the weights, where training finished
    runs/.partial-<name>-<pid>/ a run that is going on
    runs/<name>.damaged[-k]/    a folder whose record could not be read, set aside

A run is written under the partial name and renamed when it is whole, so that no reader sees half of one.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from statewise.core.config import digest, from_plain, to_plain
from statewise.core.errors import RunError, UsageError
from statewise.core.events import Event
from statewise.core.listeners import SinkMaker
from statewise.runs.record import FORMAT, STATUSES, Record

RECORD, CONFIG, EVENTS, MODEL = "record.json", "config.json", "events.jsonl", "model.safetensors"


def read_record(folder: Path) -> Record:
    """The record in a folder of any name. Missing, torn or foreign: a RunError that says which."""
    path = folder / RECORD
    try:
        plain = json.loads(path.read_text())
        record = from_plain(Record, plain, where=str(path))
        digest(record.config)
    except FileNotFoundError:
        raise RunError(f"{folder} holds no {RECORD}: it is not a run") from None
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{path} is damaged: {error}") from None
    if record.format != FORMAT or record.status not in STATUSES:
        raise RunError(f"{path} is damaged: format {record.format!r}, status {record.status!r}")
    if record.status == "finished" and not (folder / MODEL).exists():
        raise RunError(f"{folder} is damaged: it holds no {MODEL}")
    return record


class RunStore:
    """The runs below one folder.

    sinks  makers of sinks, called for each run that begins and told what it says; no part of any run's identity

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     store = RunStore(Path(root))
    ...     with store.begin({"seed": 1}) as folder:
    ...         _ = folder.finish(Record(config={"seed": 1}, status="crashed", because="an example"))
    ...     [record.because for record in store.records()]
    ['an example']
    """

    def __init__(self, root: Path, *, sinks: Sequence[SinkMaker] = ()) -> None:
        self.root = root
        self.sinks = tuple(sinks)

    def check_writable(self) -> None:
        """Make the folder, and raise a UsageError where it cannot be made or written."""
        trial = self.root / f".partial-trial-{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            trial.mkdir()
            trial.rmdir()
        except OSError as error:
            raise UsageError(f"runs cannot be written to {self.root}: {error.strerror}") from None

    def find(self, name: str) -> Record | None:
        """The record of a run, or None. A damaged folder is a RunError; see `set_aside`."""
        folder = self.root / name
        if not folder.exists():
            return None
        record = read_record(folder)
        if record.name != name:
            raise RunError(f"{folder / RECORD} is damaged: its configuration belongs to run {record.name}")
        return record

    def records(self) -> Iterator[Record]:
        """Every run once, in the order of names; damaged folders are passed over.

        Of several folders with the same run, as after a copy by hand, the one that bears its name counts.
        """
        found: dict[str, Record] = {}
        for folder in sorted(self.root.glob("[!.]*")):
            if folder.is_dir() and ".damaged" not in folder.name:
                try:
                    record = read_record(folder)
                except RunError:
                    continue
                if folder.name == record.name or record.name not in found:
                    found[record.name] = record
        yield from (found[name] for name in sorted(found))

    def set_aside(self, name: str) -> Path:
        """Rename a damaged run folder so that nothing overwrites it, and return where it is."""
        for attempt in range(1, 1000):
            target = self.root / (f"{name}.damaged" + (f"-{attempt}" if attempt > 1 else ""))
            if not target.exists():
                return (self.root / name).rename(target)
        raise RunError(f"{self.root / name} is damaged, and so are 999 earlier ones: remove some")

    def begin(self, config: Any) -> "RunFolder":
        """A folder for the run of `config`, to be used in a `with` block."""
        return RunFolder(self.root, to_plain(config))

    def sweep(self, names: Sequence[str]) -> None:
        """Remove what interrupted runs of these names left half-written; what other living processes write stays."""
        for name in names:
            for folder in self.root.glob(f".partial-{name}-*"):
                if not another_lives(folder.name.split("-")[2]):
                    shutil.rmtree(folder, ignore_errors=True)


class RunFolder:
    """A run that is going on: a sink for its events, and a folder that appears only when it is whole."""

    def __init__(self, root: Path, config: dict[str, Any]) -> None:
        self.name = digest(config)
        self.store = RunStore(root)
        self.final = root / self.name
        self.partial = root / f".partial-{self.name}-{os.getpid()}"
        self.config = config

    def __enter__(self) -> "RunFolder":
        # A killed process may have had our number, as the first process of a container always has.
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        write_json(self.partial / CONFIG, self.config)
        self.events = (self.partial / EVENTS).open("w")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.events.close()
        shutil.rmtree(self.partial, ignore_errors=True)

    @property
    def model(self) -> Path:
        """Where the weights go."""
        return self.partial / MODEL

    def write(self, event: Event) -> None:
        """Append an event as one line of JSON."""
        line = {"event": type(event).__name__.lower(), **asdict(event)}
        self.events.write(json.dumps(line) + "\n")
        self.events.flush()

    def finish(self, record: Record) -> Path:
        """Write the record, move the folder to its final name, and return that.

        A crashed run in its place is replaced and a damaged one set aside; any other was as good, and stays.
        """
        write_json(self.partial / RECORD, to_plain(record))
        self.events.close()
        try:
            there = self.store.find(self.name)
        except RunError:
            self.store.set_aside(self.name)
            there = None
        if there is not None and there.status != "crashed":
            return self.final
        if there is not None:
            replaced = self.final.rename(self.partial.with_name(f"{self.partial.name}-replaced"))
            self.partial.rename(self.final)
            shutil.rmtree(replaced)
        else:
            self.partial.rename(self.final)
        return self.final


def another_lives(number: str) -> bool:
    """Whether a process with this number, other than our own, is running on this machine."""
    try:
        os.kill(int(number), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return int(number) != os.getpid()


def write_json(path: Path, plain: Any) -> None:
    """Write JSON for people to read, and make sure that it reached the disk."""
    with path.open("w") as file:
        json.dump(plain, file, indent=1, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
