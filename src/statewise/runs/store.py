"""A folder of run folders.

runs/<name>/                name = digest of the canonical configuration
    config.json             that configuration
    events.jsonl            what the training loop said, one event a line
    record.json             how it ended and what was measured
    model.safetensors       the weights, where training finished
runs/.partial-<name>/       a run that is going on, or was interrupted
runs/<name>.damaged[-k]/    a folder whose record could not be read, set aside
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from statewise.core.config import to_plain
from statewise.core.errors import RunError, UsageError
from statewise.runs.folder import RunFolder, has_checkpoint, partial_folder
from statewise.runs.lock import Lock
from statewise.runs.on_disk import find_record, read_record, set_aside
from statewise.runs.record import Record

SECONDS_BETWEEN_CHECKPOINTS = 30.0
"""What an interruption costs at most. A checkpoint of a model that trains in minutes takes tens of milliseconds."""


class RunStore:
    """The runs below one folder.

    checkpoint_every  seconds between two checkpoints of a run that is going on; no part of any run's identity

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     store = RunStore(Path(root))
    ...     with store.begin({"seed": 1}) as folder:
    ...         _ = folder.finish(Record(config={"seed": 1}, status="crashed", because="an example"))
    ...     [record.because for record in store.records()]
    ['an example']
    """

    def __init__(self, root: Path, *, checkpoint_every: float = SECONDS_BETWEEN_CHECKPOINTS) -> None:
        self.root = root
        self.checkpoint_every = checkpoint_every

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
        return find_record(self.root, name)

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
        return set_aside(self.root, name)

    def begin(self, config: Any, *, note: Callable[[str], object] | None = None) -> RunFolder:
        """A folder for the run of `config`, to be used in a `with` block; see `RunFolder`."""
        return RunFolder(self.root, to_plain(config), note=note)

    def sweep(self, names: Sequence[str]) -> None:
        """Remove what interrupted runs of these names left that nobody can take up.

        What holds a checkpoint stays, and so does what a living process is at.
        """
        for name in names:
            partial = partial_folder(self.root, name)
            lock = Lock(partial)
            with suppress(FileNotFoundError):
                if lock.try_take() and not has_checkpoint(partial):
                    shutil.rmtree(partial, ignore_errors=True)
            lock.release()
