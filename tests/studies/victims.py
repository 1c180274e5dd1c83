"""What processes that are to be killed run: a module of its own, so that they can import it. Importing it is quick."""

import os
import signal
import sys
import time
from pathlib import Path

import torch

from statewise.core import disk
from statewise.runs import RunFolder, RunStore
from statewise.runs.lock import Lock
from statewise.studies import RunConfig, execute
from statewise.training import checkpoint_files, loop

EXECUTE = sys.modules["statewise.studies.execute"]
HALF_WAY = "in the middle of a checkpoint's write"

PLACES = {
    "before a step": (loop, "one_step"),
    "in the middle of a step": (torch.optim.AdamW, "step"),
    "in an evaluation": (loop, "evaluate"),
    HALF_WAY: (checkpoint_files, "save_file"),
    "before a checkpoint has its name": (disk, "sync"),
    "in the last measurements": (EXECUTE, "measure_one"),
    "when the weights are saved": (EXECUTE, "save_model"),
    "when the record is written": (RunFolder, "finish"),
    "before the folder is moved": (RunFolder, "_publish"),
    "after the folder was moved": (Lock, "release"),
}
"""Where a process can be killed: functions that are called there."""

ONCE = {
    "when the weights are saved",
    "when the record is written",
    "before the folder is moved",
    "after the folder was moved",
}


class Deaf:
    """A sink that hears nothing but notes, which it keeps in a file."""

    def __init__(self, path):
        self.path = path

    def write(self, event):
        if type(event).__name__ == "Noted":
            with self.path.open("a") as file:
                file.write(event.text + "\n")


def carry_out(plain, root, *, every=0.0, at=None, threads=1, slow=0.0):
    """One run to its end. `at` is (place, count): the process is killed at that place the count-th time."""
    torch.set_num_threads(threads)
    if at is not None:
        kill_at(*at)
    if slow:
        slow_down(slow)
    config = RunConfig.from_plain(plain, where="test")
    execute(config, RunStore(Path(root), checkpoint_every=every), Deaf(Path(root).parent / "notes"))


def die():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def kill_at(place, count):
    """Have this process killed when it comes to a place for the count-th time."""
    left = [count]
    target, name = PLACES[place]
    original = getattr(target, name)

    def watched(*arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            if place == HALF_WAY:
                original(*arguments, **options)
                os.truncate(arguments[1], arguments[1].stat().st_size // 2)
            die()
        return original(*arguments, **options)

    setattr(target, name, watched)


def slow_down(seconds):
    """Make steps last, so that there is time to be killed in one."""
    original = loop.one_step

    def slow(*arguments, **options):
        time.sleep(seconds)
        return original(*arguments, **options)

    loop.one_step = slow
