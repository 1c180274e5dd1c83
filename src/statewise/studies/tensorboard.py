"""A sink that writes TensorBoard's event files, through torch's writer.

    runs/tensorboard/<title>-<first digits of the name>/    one folder for each run

`tensorboard --logdir runs/tensorboard` shows them. Losses, accuracies and the rate stand at their steps, the
configuration as a text. A run that is made again, or goes on, takes the place of what it had written from its first
step on.
"""

import importlib
import json
import re
from typing import Any

from statewise.core.events import Evaluated, Event, Finished, Noted, Progress
from statewise.core.listeners import RunInfo
from statewise.core.optional import require
from statewise.runs.names import TENSORBOARD

LONGEST_TITLE = 100
"""Characters of a folder's name: file systems end at 255 bytes, and every character here is one."""


class TensorBoard:
    """Event files of one run."""

    def __init__(self, run: RunInfo) -> None:
        require("tensorboard", extra="tensorboard", purpose="writing for TensorBoard")
        self.writers = importlib.import_module("torch.utils.tensorboard")
        self.run = run
        self.writer: Any = None

    def write(self, event: Event) -> None:
        """Write the numbers of an event; reach the disk with each evaluation, and close with the last event."""
        if isinstance(event, Noted):
            return
        if self.writer is None:
            self.writer = self._open(event.step)
        for tag, value in scalars(event).items():
            self.writer.add_scalar(tag, value, event.step)
        if isinstance(event, Evaluated):
            self.writer.flush()
        if isinstance(event, Finished):
            self.writer.add_text("end", f"{event.status}: {event.because}", event.step)
            self.writer.close()

    def _open(self, step: int) -> Any:
        folder = self.run.root / TENSORBOARD / folder_of(self.run)
        # What an earlier attempt wrote from this step on is then no longer shown.
        writer = self.writers.SummaryWriter(str(folder), purge_step=step)
        config = json.dumps(self.run.config, indent=1, sort_keys=True)
        writer.add_text("configuration", "\n".join(f"    {line}" for line in config.splitlines()), step)
        return writer


def scalars(event: Progress | Evaluated | Finished) -> dict[str, float]:
    """Tags and values of what an event measured.

    >>> event = Evaluated(
    ...     step=5, split="validation", size=8, loss=0.5, token_accuracy=0.9, sequence_accuracy=None, seconds=1.0
    ... )
    >>> scalars(event)
    {'loss/validation, size 8': 0.5, 'token accuracy/validation, size 8': 0.9}
    """
    if isinstance(event, Progress):
        return {"loss/training": event.loss, "tokens per second/training": event.tokens_per_second}
    if isinstance(event, Finished):
        return {"seconds/training": event.seconds}
    where = f"{event.split}, size {event.size}"
    measured = {
        f"loss/{where}": event.loss,
        f"token accuracy/{where}": event.token_accuracy,
        f"sequence accuracy/{where}": event.sequence_accuracy,
    }
    return {tag: value for tag, value in measured.items() if value is not None}


def folder_of(run: RunInfo) -> str:
    """A folder's name that says which run it is, in characters that every file system and shell takes as they are.

    >>> from pathlib import Path
    >>> folder_of(RunInfo(name="0c02252c6f8b5f6d", title="parity · gru*2 · rate 0.01 · seed 1", config={}, root=Path()))
    'parity-gru-2-rate-0.01-seed-1-0c02252c'
    """
    title = re.sub(r"[^A-Za-z0-9_.+=]+", "-", run.title)[:LONGEST_TITLE].strip(".-")
    return f"{title}-{run.name[:8]}"
