"""Runs on disk for tests that ask questions about many: small, and alike but for what a test is about."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from statewise.core.config import digest
from statewise.runs import Record, Result, RunStore
from statewise.runs.lock import Lock
from statewise.runs.on_disk import CONFIG
from statewise.runs.record import Validation

RESULT = Result(
    size=8, loss=0.25, token_accuracy=0.5, sequence_accuracy=0.125, sequences=64, state_bits=1024, counter_bits=64,
    validation=Validation(loss=0.5, token_accuracy=0.25, sequence_accuracy=0.0),
)  # fmt: skip


def config_of(seed=0, task="parity", stack="gru", rate=0.01):
    return {
        "seed": seed,
        "task": {"name": task},
        "model": {"stack": stack, "width": 4, "norm": "rms"},
        "training": {"steps": 3, "learning_rate": rate},
    }


def keep(root: Path, config=None, status="finished", *, losses=(0.25, 0.5), because="all steps", seconds=2.0) -> str:
    """A whole run with a result for each loss, at sizes 8, 4, …; its name. The largest size comes first."""
    results = tuple(replace(RESULT, size=8 // (i + 1), loss=loss) for i, loss in enumerate(losses))
    record = Record(
        config=config or config_of(),
        status=status,
        because=because,
        facts={"parameters": 12},
        results=results if status == "finished" else (),
        training={"steps": 3, "seconds": seconds, "tokens": 96, "tokens_per_second": 48.0, "budget": "steps"},
        environment={"device": "cpu", "threads": 1, "torch": "2"},
    )
    with RunStore(root).begin(record.config) as folder:
        if status == "finished":
            folder.model.write_bytes(b"weights")
        return folder.finish(record).name


def begin(root: Path, config) -> str:
    """The folder of a run that has not ended and that nobody is at; the run's name."""
    name = digest(config)
    folder = root / f".partial-{name}"
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps(config, indent=1))
    return name


@contextmanager
def at(root: Path, name: str):
    """A context in which a process is at an unfinished run."""
    lock = Lock(root / f".partial-{name}")
    assert lock.try_take()
    yield
    lock.release()
