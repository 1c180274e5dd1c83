import pytest

from statewise.models import ModelConfig
from statewise.studies import EvaluationConfig, RunConfig
from statewise.tasks import Parity
from statewise.training import TrainingConfig


class Watcher:
    """Progress that remembers what it was told."""

    def __init__(self):
        self.begun, self.ended, self.skipped, self.notes, self.events = [], [], [], [], []

    def begin(self, run):
        self.begun.append(run.name)

    def event(self, run, event):
        self.events.append((run.name, event))

    def end(self, run, record, *, skipped):
        (self.skipped if skipped else self.ended).append(run.name)

    def note(self, text):
        self.notes.append(text)


def tiny_run(seed=0, **training):
    """A run of a fraction of a second."""
    return RunConfig(
        task=Parity().identity(),
        model=ModelConfig(vocabulary=2, width=4, stack="mingru"),
        training=TrainingConfig(**{"sizes": (4,), "steps": 3, "batch_size": 4, "validation": 8, **training}),
        evaluation=EvaluationConfig(sizes=(4, 8), examples=16),
        seed=seed,
    )


@pytest.fixture
def watcher():
    return Watcher()


@pytest.fixture
def make_run():
    return tiny_run
