"""Runs on disk for tests that ask questions about many: small, and alike but for what a test is about."""

import json
from dataclasses import replace
from pathlib import Path

from statewise.core.config import digest
from statewise.runs import Record, Result, RunStore
from statewise.runs.record import Validation
from statewise.runs.store import CONFIG

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


def begin(root: Path, config, process: int | str) -> str:
    """The folder of a run that has not ended, by a process with this number; the run's name."""
    name = digest(config)
    folder = root / f".partial-{name}-{process}"
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps(config, indent=1))
    return name


GONE = 2**31 - 2
"""The number of no process: Linux gives out 2^22 at most."""
