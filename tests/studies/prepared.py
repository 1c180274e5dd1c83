"""What a process can be asked to do: a module of its own, so that workers can import it."""

import os
from pathlib import Path

import torch


def leave_a_mark(folder: Path) -> None:
    """A file with the process's number; a second time in the same process is an error."""
    (folder / str(os.getpid())).touch(exist_ok=False)


def whose_process(times: int) -> dict[str, int]:
    """What it was given, and where it ran."""
    return {"times": times, "process": os.getpid(), "threads": torch.get_num_threads()}


def complain(times: int) -> dict[str, int]:
    """An error of the work."""
    raise ValueError("there is no such layer")


def end_at_once(times: int) -> dict[str, int]:
    """A process that is gone."""
    os._exit(3)
