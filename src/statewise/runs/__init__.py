"""Run records on disk: one folder a run, named by the hash of its configuration."""

from statewise.runs.folder import RunFolder
from statewise.runs.on_disk import read_record
from statewise.runs.record import Record, Result
from statewise.runs.store import RunStore

__all__ = ["Record", "Result", "RunFolder", "RunStore", "read_record"]
