import json

import pytest

from statewise.core.config import to_plain
from statewise.runs import Record, Result, RunStore
from statewise.runs.on_disk import EVENTS
from statewise.runs.record import Validation
from statewise.studies.study import Trained


class Bench:
    """A store to which finished runs are added with the numbers that a test wants."""

    def __init__(self, root):
        self.store, self.records = RunStore(root), []

    def finish(self, run, *, accuracy=0.5, loss=1.0, curve=()):
        """A record with one accuracy (or a function of the size) and loss, and events (step, loss, accuracy)."""
        results = tuple(
            Result(
                size=size,
                loss=loss,
                token_accuracy=accuracy(size) if callable(accuracy) else accuracy,
                sequence_accuracy=0.0,
                sequences=10,
                state_bits=64,
                counter_bits=0,
                validation=Validation(loss=loss, token_accuracy=0.0, sequence_accuracy=0.0),
            )
            for size in run.evaluation.sizes
        )
        self.records.append(Record(config=to_plain(run), status="finished", because="", results=results))
        lines = [{"event": "progress", "step": 1}, *map(event_of, curve)]
        folder = self.store.root / run.name
        folder.mkdir()
        (folder / EVENTS).write_text("\n".join(map(json.dumps, lines)))

    def trained(self):
        return Trained(self.store, self.records)


def event_of(point):
    step, loss, accuracy = point
    return {
        "event": "evaluated", "step": step, "split": "validation", "size": 1, "loss": loss, "token_accuracy": accuracy,
        "sequence_accuracy": 0.0, "seconds": 0.0,
    }  # fmt: skip


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)
