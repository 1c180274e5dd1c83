"""What tests of interrupted runs have in common: the run, and what it is to end as."""

import json

import torch
from safetensors.torch import load_file

from statewise.models import ModelConfig
from statewise.runs import RunStore
from statewise.studies import EvaluationConfig, RunConfig, execute
from statewise.tasks import IndexLookup
from statewise.training import TrainingConfig
from statewise.training.checkpoint_files import CheckpointFiles


def short_run():
    """A run with every kind of measurement, of a part of a second."""
    return RunConfig(
        task=IndexLookup(alphabet=4, queries=3).identity(),
        model=ModelConfig(vocabulary=64, width=4, stack="mingru+attention", positions="learned", max_length=32),
        training=TrainingConfig(sizes=(4, 8), steps=17, batch_size=4, validation=8, evaluate_every=5, solved_at=None),
        evaluation=EvaluationConfig(sizes=(4, 6, 8), examples=24, strings=16),
        seed=5,
    )


class Listener(list):
    def write(self, event):
        self.append(event)

    def notes(self):
        return [event.text for event in self if type(event).__name__ == "Noted"]


def left_alone(run, tmp_path):
    """The record and the weights of a run that nothing interrupts."""
    store = RunStore(tmp_path / "alone")
    return execute(run, store, Listener()), load_file(store.root / run.name / "model.safetensors")


def assert_as_if_left_alone(run, root, alone):
    """The finished run in `root` is bit by bit the other, and has no double events."""
    record, weights = alone
    folder = root / run.name
    assert {path.name for path in root.iterdir()} == {run.name}
    assert {path.name for path in folder.iterdir()} >= {
        "config.json", "events.jsonl", "model.safetensors", "record.json",
    }  # fmt: skip
    assert not (folder / "checkpoint").exists()
    found = RunStore(root).find(run.name)
    assert (found.status, found.because, found.facts) == (record.status, record.because, record.facts)
    assert found.results == record.results
    for cost in ("steps", "tokens", "budget"):
        assert found.training[cost] == record.training[cost]
    ours = load_file(folder / "model.safetensors")
    assert ours.keys() == weights.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in weights.items())
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    evaluated = [(event["step"], event["size"]) for event in events if event["event"] == "evaluated"]
    assert evaluated == [(5, 8), (10, 8), (15, 8)]
    assert [event["event"] for event in events].count("finished") == 1


def checkpoints(root, run):
    return CheckpointFiles(root / f".partial-{run.name}" / "checkpoint", every=0).paths()
