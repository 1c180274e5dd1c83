"""A run that is going on: its hidden folder, and how that becomes a run.

    runs/.partial-<name>/       one process at a time; what a killed one left is taken up by the next
        config.json  events.jsonl  model.safetensors  tokenizer.json  record.json
        checkpoint/             the state of training, last and last but one; gone when the run has ended
        lock                    held by the process that is at it
        reserve                 a little space, given back to write down that there was no more

The record is written last and the folder then renamed, so that no reader sees half of a run.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from statewise.core.config import digest, to_plain
from statewise.core.disk import HALF_WRITTEN, sync, write_whole
from statewise.core.errors import RunError
from statewise.core.events import Event
from statewise.runs.lock import LOCK, Lock
from statewise.runs.on_disk import (
    CHECKPOINT,
    CONFIG,
    EVENTS,
    MODEL,
    RECORD,
    TOKENIZER,
    find_record,
    read_record,
    set_aside,
    write_json,
)
from statewise.runs.record import Record

RESERVE, ENDED, REPLACED = "reserve", "ended", "replaced"
RESERVED_BYTES = 2**15
"""A configuration, a record, and the blocks of the folder that they go to."""


def partial_folder(root: Path, name: str) -> Path:
    """Where a run is while it goes on."""
    return root / f".partial-{name}"


def has_checkpoint(partial: Path) -> bool:
    """Whether a later process can go on from here."""
    return any(not path.name.endswith(HALF_WRITTEN) for path in (partial / CHECKPOINT).glob("*"))


class RunFolder:
    """A run that is going on: a sink for its events, and a folder that appears only when it is whole.

    note     is told where another process is at the same run, and this one waits
    earlier  the record of this run where it has ended already; None where it has not, or crashed or failed

    Used in a `with` block. Left without a record, the folder stays if it holds a checkpoint and is removed if not.
    """

    def __init__(self, root: Path, config: dict[str, Any], *, note: Callable[[str], object] | None = None) -> None:
        self.name = digest(config)
        self.root = root
        self.final = root / self.name
        self.partial = partial_folder(root, self.name)
        self.config = config
        self.note = note or (lambda _text: None)
        self.lock = Lock(self.partial)
        self.earlier: Record | None = None

    def __enter__(self) -> "RunFolder":
        self.lock.take(note=self.note)
        try:
            if self._complete():
                self._publish(self.partial)
                if not self.lock.held:
                    self.lock.take(note=self.note)
            self.earlier = self._conclusive(self.final)
            self._prepare()
            # Unbuffered: a line that the disk did not take is not tried again when the file is closed.
            self.events = (self.partial / EVENTS).open("ab", buffering=0)
        except BaseException:
            self._abandon()
            raise
        if not has_checkpoint(self.partial):
            self.rewind(0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A folder that has become a run is nobody's, and another process may be at its old name.
        if self.lock.held:
            self._close()
            self._abandon()

    def _complete(self) -> bool:
        """Whether a process died between its record and the folder's move. A record that is none is removed."""
        if self._conclusive(self.partial) is not None:
            return True
        (self.partial / RECORD).unlink(missing_ok=True)
        return False

    def _conclusive(self, folder: Path) -> Record | None:
        """The record of this run in a folder, if it is whole and need not be made again."""
        with suppress(RunError):
            record = read_record(folder)
            return record if record.conclusive and record.name == self.name else None
        return None

    def _prepare(self) -> None:
        """Make what a run needs before its first step."""
        for remains in (ENDED, REPLACED):
            shutil.rmtree(self.partial / remains, ignore_errors=True)
        if not (self.partial / CONFIG).exists():
            write_whole(self.partial / CONFIG, lambda path: write_json(path, self.config))
        try:
            (self.partial / RESERVE).write_bytes(bytes(RESERVED_BYTES))
        except OSError:
            (self.partial / RESERVE).unlink(missing_ok=True)

    def _close(self) -> None:
        """Close the events and give the reserve back."""
        self.events.close()
        (self.partial / RESERVE).unlink(missing_ok=True)

    def _abandon(self) -> None:
        """Leave what can be taken up, and nothing else."""
        if not has_checkpoint(self.partial):
            shutil.rmtree(self.partial, ignore_errors=True)
        self.lock.release()

    @property
    def model(self) -> Path:
        """Where the weights go."""
        return self.partial / MODEL

    @property
    def tokenizer(self) -> Path:
        """Where the tokenizer goes, of a text that has one."""
        return self.partial / TOKENIZER

    @property
    def checkpoint(self) -> Path:
        """Where the state of training goes."""
        return self.partial / CHECKPOINT

    def write(self, event: Event) -> None:
        """Append an event as one line of JSON, whole or not at all."""
        line = json.dumps({"event": type(event).__name__.lower(), **asdict(event)}).encode() + b"\n"
        before = os.fstat(self.events.fileno()).st_size
        if self.events.write(line) != len(line):
            self.events.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.partial / EVENTS))

    def position(self) -> int:
        """How many bytes of events there are, all of them on the disk: for a checkpoint to remember."""
        os.fsync(self.events.fileno())
        return os.fstat(self.events.fileno()).st_size

    def rewind(self, position: int) -> None:
        """Drop the events after a position, which were said by steps that are taken again."""
        self.events.truncate(min(position, os.fstat(self.events.fileno()).st_size))

    def finish(self, record: Record) -> Path:
        """Write the record, move the folder to its final name, and return that.

        Of a run that crashed or failed and can be taken up, the record alone is moved, and the folder stays.
        A crashed or failed run in its place is replaced and a damaged one set aside; any other was as good, and stays.
        """
        self._close()
        if record.status != "finished":
            self.model.unlink(missing_ok=True)
        resumable = has_checkpoint(self.partial) and not record.conclusive
        folder = self.partial / ENDED if resumable else self.partial
        folder.mkdir(exist_ok=True)
        if resumable:
            write_json(folder / CONFIG, self.config)
        if (folder / MODEL).exists():
            sync(folder / MODEL)
        write_whole(folder / RECORD, lambda path: write_json(path, to_plain(record)))
        return self._publish(folder)

    def _publish(self, folder: Path) -> Path:
        """Give a whole folder the run's name, unless a run that ended has it."""
        if folder == self.partial:
            shutil.rmtree(self.checkpoint, ignore_errors=True)
        try:
            there = find_record(self.root, self.name)
        except RunError:
            set_aside(self.root, self.name)
            there = None
        if there is not None and there.conclusive:
            return self.final
        if there is not None:
            self.final.rename(self.partial / REPLACED)
        folder.rename(self.final)
        sync(self.root)
        if folder == self.partial:
            shutil.rmtree(self.final / REPLACED, ignore_errors=True)
            (self.final / LOCK).unlink()
            self.lock.release()
        else:
            shutil.rmtree(self.partial / REPLACED, ignore_errors=True)
        return self.final
