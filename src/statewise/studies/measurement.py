"""What a study times or weighs in place of training: each in a process of its own, and kept as a file.

runs/measured-<name>.json    name = digest of what was measured, on which machine
    settings                 what the work was called with
    machine                  processor, cores, threads, torch: a measurement on another is another
    load                     processes that were running over the minute before
    numbers                  what came out
"""

import json
import multiprocessing
import os
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import torch

from statewise.core.config import digest, from_plain, to_plain
from statewise.core.errors import RunError, UsageError
from statewise.runs.on_disk import write_json

Numbers = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One thing to measure: `work(**settings)`, a function of a module, gives plain numbers by name."""

    work: Callable[..., Numbers]
    settings: dict[str, Any]

    @property
    def title(self) -> str:
        """The settings in a few words."""
        return ", ".join(f"{key} {value}" for key, value in self.settings.items())

    @property
    def key(self) -> str:
        """Digest of the work and its settings, on whatever machine: what a study asks for."""
        return digest(self._asked())

    @property
    def name(self) -> str:
        """Digest of the work, its settings and this machine, torch's threads included: what a file is called."""
        return digest(self._asked() | {"machine": machine()})

    def _asked(self) -> dict[str, Any]:
        return {"work": f"{self.work.__module__}.{self.work.__qualname__}", "settings": to_plain(self.settings)}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What came out of a measurement, and where; see the module."""

    settings: dict[str, Any]
    machine: dict[str, Any]
    load: float
    numbers: Numbers


def machine() -> dict[str, Any]:
    """The processor, its cores, the threads that torch uses and torch's version."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def processor() -> str:
    """The processor's name, as Linux has it; elsewhere as Python has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def measure_all(asked: Sequence[Measurement], root: Path, note: Callable[[str], object]) -> dict[str, Measured]:
    """Every measurement by its key, in order; those that are below `root` are taken from there.

    note  called with a line for each that is measured

    Work that raises is a RunError, which says of what. What was measured before it stays.
    """
    found: dict[str, Measured] = {}
    for place, each in enumerate(asked, 1):
        path = root / f"measured-{each.name}.json"
        kept = read_measured(path)
        if kept is None:
            note(f"[{place}/{len(asked)}] measuring {each.title}")
            kept = Measured(
                settings=to_plain(each.settings), machine=machine(), load=load(), numbers=in_a_process(each)
            )
            keep(kept, path)
        found[each.key] = kept
    return found


def read_measured(path: Path) -> Measured | None:
    """What a file holds; None where there is none, or what there is cannot be read."""
    try:
        return from_plain(Measured, json.loads(path.read_text()), where=str(path))
    except (OSError, ValueError, UsageError):
        return None


def keep(measured: Measured, path: Path) -> None:
    """Write a file that appears only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.stem}-{os.getpid()}")
    write_json(partial, to_plain(measured))
    partial.replace(path)


def in_a_process(asked: Measurement) -> Numbers:
    """Do the work in a fresh process, so that memory is its own, with as many threads as here."""
    context = fresh_context(asked.work.__module__)
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(with_threads, torch.get_num_threads(), asked).result()
    except BrokenProcessPool:
        raise RunError(f"measuring {asked.title}: its process ended before it answered") from None
    except Exception as error:
        raise RunError(f"measuring {asked.title}: {type(error).__name__}: {error}") from None


def fresh_context(module: str) -> BaseContext:
    """How a process is started that has imported `module` and done nothing yet.

    Forked from a server that only imports, where there is one, so that torch is read once for all: a fork of this
    process would have its memory, and torch's thread pools without their threads. Else spawned.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, module])
    return context


def with_threads(threads: int, asked: Measurement) -> Numbers:
    """The work, under so many of torch's threads."""
    torch.set_num_threads(threads)
    return asked.work(**asked.settings)


def load() -> float:
    """Processes that were running over the last minute; 0 where the system does not say."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return 0.0
