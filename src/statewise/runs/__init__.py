"""Run records on disk: one folder a run, named by the hash of its configuration."""

from statewise.runs.record import Record, Result
from statewise.runs.store import RunFolder, RunStore, read_record

__all__ = ["Record", "Result", "RunFolder", "RunStore", "read_record"]
