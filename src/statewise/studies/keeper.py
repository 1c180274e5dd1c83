"""A run's checkpoints in its folder, with what has to be the same for a run to go on to the same bits."""

import time
from typing import Any

import torch

from statewise.core.events import Noted, Sink
from statewise.runs import RunFolder
from statewise.studies.environment import decisive
from statewise.training import Checkpoint
from statewise.training.checkpoint_files import CheckpointFiles


class RunKeeper:
    """Saves and finds the checkpoints of one run; its events are cut back to where they stood.

    every       seconds between two checkpoints
    repeatable  whether the run has a budget of steps, and so ends with the same bits however often it is interrupted
    sink        is told where the run goes on, or why it starts over
    division    how the work is divided among processes, in words; it may change, and changes numbers by rounding

    A run goes on with as many threads as it was begun with. A repeatable one starts over where torch, the device or
    the kernels are others than its checkpoint was made with.
    """

    def __init__(
        self, folder: RunFolder, *, every: float, repeatable: bool, sink: Sink, division: str = "1 process"
    ) -> None:
        self.folder = folder
        self.files = CheckpointFiles(folder.checkpoint, every=every)
        self.repeatable = repeatable
        self.sink = sink
        self.division = division
        self.begun = time.monotonic()
        self.resumed_at: list[int] = []

    def load(self) -> Checkpoint | None:
        """The latest checkpoint that is whole and of this machine; None where the run starts from the beginning."""
        saved = self._usable()
        self.folder.rewind(0 if saved is None else saved.plain["run"]["events"])
        if saved is None:
            self.files.clear()
            return None
        self._take_up(saved.plain["run"], saved.plain["place"]["step"])
        return saved

    def is_due(self) -> bool:
        """Whether the time between two has gone by."""
        return self.files.is_due()

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, with where the run's events stand and what it is made with."""
        run = {
            "events": self.folder.position(),
            "threads": torch.get_num_threads(),
            "decisive": decisive(),
            "division": self.division,
            **self.summary(),
        }
        self.files.save(Checkpoint(checkpoint.tensors, {**checkpoint.plain, "run": run}))

    def summary(self) -> dict[str, Any]:
        """For the record: seconds of the whole run but for what was lost, and the steps at which it was taken up."""
        return {"wall_seconds": time.monotonic() - self.begun, "resumed_at": self.resumed_at}

    def _usable(self) -> Checkpoint | None:
        paths = self.files.paths()
        saved = self.files.latest(note=self._note)
        if paths and saved is None:
            self._note("starts over: no checkpoint is whole")
        if saved is None or not self.repeatable:
            return saved
        changed = differences(saved.plain["run"]["decisive"], decisive())
        if changed:
            step = saved.plain["place"]["step"]
            self._note(f"starts over: its checkpoint of step {step} could not end in the same bits, for {changed}")
        return None if changed else saved

    def _take_up(self, run: dict[str, Any], step: int) -> None:
        self.begun -= run["wall_seconds"]
        self.resumed_at = [*run["resumed_at"], step]
        threads = run["threads"]
        others = "" if threads == torch.get_num_threads() else f", with {threads} threads as it was begun"
        torch.set_num_threads(threads)
        self._note(f"goes on from step {step}{others}")
        if run.get("division", self.division) != self.division:
            self._note(f"was {run['division']} and is {self.division}: the same numbers but for rounding")

    def _note(self, text: str) -> None:
        self.sink.write(Noted(text=text))


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What changed, in words; empty where nothing did.

    >>> differences({"torch": "2.8", "device": "cpu"}, {"torch": "2.9", "device": "cpu"})
    'torch was 2.8 and is 2.9'
    """
    changed = [name for name in now if before.get(name) != now[name]]
    return "; ".join(f"{name} was {before.get(name)} and is {now[name]}" for name in changed)
