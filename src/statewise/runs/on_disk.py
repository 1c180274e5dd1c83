"""What a run folder holds, by name, and reading it with suspicion."""

import json
import os
from pathlib import Path
from typing import Any

from statewise.core.config import digest, from_plain
from statewise.core.errors import RunError
from statewise.runs.record import FORMAT, STATUSES, Record

RECORD, CONFIG, EVENTS, MODEL, CHECKPOINT, TOKENIZER = (
    "record.json", "config.json", "events.jsonl", "model.safetensors", "checkpoint", "tokenizer.json",
)  # fmt: skip


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


def find_record(root: Path, name: str) -> Record | None:
    """The record of a run below `root`, or None. A damaged folder is a RunError."""
    folder = root / name
    if not folder.exists():
        return None
    record = read_record(folder)
    if record.name != name:
        raise RunError(f"{folder / RECORD} is damaged: its configuration belongs to run {record.name}")
    return record


def set_aside(root: Path, name: str) -> Path:
    """Rename a damaged run folder so that nothing overwrites it, and return where it is."""
    for attempt in range(1, 1000):
        target = root / (f"{name}.damaged" + (f"-{attempt}" if attempt > 1 else ""))
        if not target.exists():
            return (root / name).rename(target)
    raise RunError(f"{root / name} is damaged, and so are 999 earlier ones: remove some")


def write_json(path: Path, plain: Any) -> None:
    """Write JSON for people to read, and make sure that it reached the disk."""
    with path.open("w") as file:
        json.dump(plain, file, indent=1, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
