"""Runs as tasks: sent, followed, tried again where their worker is lost, and cancelled on an interrupt."""

import os
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import torch

from statewise.core.errors import RunError
from statewise.core.events import Event
from statewise.runs import Record, RunStore
from statewise.studies.executors.events import EventFiles
from statewise.studies.executors.one_run import attempt, crashed
from statewise.studies.executors.protocol import Prepare, Progress
from statewise.studies.run_config import RunConfig

SECONDS_BETWEEN_LOOKS = 1.0
"""How often the files of events are read: they may be on a network's disk."""

SECONDS_TO_STOP = 5.0
"""How long interrupted runs may take to put their things away, before their processes are ended."""


SHARED = "the runs folder must be on storage that all nodes share"


@dataclass(frozen=True)
class Preparation:
    """What every process does once, told from others by its key: a function that has travelled is another one."""

    call: Prepare = field(compare=False)
    key: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class Setting:
    """What runs have in common.

    directory    that paths are relative to
    threads      of each
    preparation  called once in each process
    cancelled    what Ray raises in a run that it stops
    """

    directory: Path
    threads: int
    preparation: Preparation | None
    cancelled: tuple[type[Exception], ...]


@dataclass
class Flight:
    """A run that was sent to the cluster, and how many workers it has lost."""

    run: RunConfig
    lost: int = 0
    begun: bool = False


class Tasks:
    """The runs of one plan on a cluster.

    ray      the module, in a session
    request  num_cpus and num_gpus of each run
    retries  lost workers that a run survives
    """

    def __init__(
        self,
        ray: ModuleType,
        store: RunStore,
        progress: Progress,
        *,
        request: dict[str, Any],
        prepare: Prepare | None,
        retries: int,
    ) -> None:
        self.ray = ray
        self.store = store
        self.progress = progress
        self.retries = retries
        self.events = EventFiles(store.root)
        # Ray's own retries would say nothing of a lost worker, and not tell one from an exception.
        self.task = ray.remote(work).options(max_retries=0, **request)
        preparation = None if prepare is None else Preparation(prepare)
        self.setting = Setting(Path.cwd(), request["num_cpus"], preparation, (ray.exceptions.TaskCancelledError,))
        self.flying: dict[Any, Flight] = {}

    def run(self, runs: Sequence[RunConfig], *, at_a_time: int) -> dict[str, Record]:
        """Records by the runs' names. What an interrupt or an error finds running is cancelled."""
        waiting, records = deque(runs), dict[str, Record]()
        try:
            while waiting or self.flying:
                while waiting and len(self.flying) < at_a_time:
                    self._send(Flight(waiting.popleft()))
                landed, _ = self.ray.wait(list(self.flying), timeout=SECONDS_BETWEEN_LOOKS)
                self._tell()
                for task in landed:
                    flight = self.flying.pop(task)
                    if (record := self._outcome(task, flight)) is not None:
                        records[flight.run.name] = record
        finally:
            self._cancel(list(self.flying))
        return records

    def _send(self, flight: Flight) -> None:
        self.flying[self.task.remote(flight.run, self.store, self.setting)] = flight

    def _tell(self) -> None:
        """Pass on what runs have said. One that says something has begun: Ray does not tell."""
        flights = {flight.run.name: flight for flight in self.flying.values()}
        for name, event in self.events.news(flights):
            self._begin(flights[name])
            self.progress.event(flights[name].run, event)

    def _begin(self, flight: Flight) -> None:
        if not flight.begun:
            flight.begun = True
            self.progress.begin(flight.run)

    def _outcome(self, task: Any, flight: Flight) -> Record | None:
        """The record of a run whose task has ended; None where it is tried again."""
        errors = self.ray.exceptions
        try:
            record: Record = self.ray.get(task)
        except errors.RayTaskError as error:
            record = crashed(flight.run, self.store, f"it did not begin: {reason(error.cause)}")
        except errors.RayError as error:
            flight.lost += 1
            why = reason(error).partition(". ")[0]
            if flight.lost <= self.retries:
                again = f"tried again, {flight.lost} of {self.retries}"
                self.progress.note(f"{flight.run.title} · its worker was lost, {again} · {why}")
                self._send(flight)
                return None
            record = crashed(flight.run, self.store, f"its worker was lost, {flight.lost} times in all: {why}")
        self._end(flight, record)
        return record

    def _end(self, flight: Flight, record: Record) -> None:
        self._begin(flight)
        for _, event in self.events.news([flight.run.name]):
            self.progress.event(flight.run, event)
        if not (self.store.root / flight.run.name).is_dir():
            root = self.store.root
            self.progress.note(f"{flight.run.title} · ended, but is not in {root}: {SHARED}")
        self.progress.end(flight.run, record, skipped=False)

    def _cancel(self, tasks: list[Any]) -> None:
        """Interrupt what still runs, and end what does not stop in time."""
        for forcibly in (False, True):
            for task in tasks:
                self.ray.cancel(task, force=forcibly)
            if tasks:
                _, tasks = self.ray.wait(tasks, num_returns=len(tasks), timeout=SECONDS_TO_STOP)


def work(run: RunConfig, store: RunStore, setting: Setting) -> Record:
    """One run, in a worker on whichever node it is. A node without the runs folder is a RunError."""
    if setting.directory.is_dir():
        os.chdir(setting.directory)
    if not store.root.is_dir():
        raise RunError(f"there is no {store.root} on {socket.gethostname()}: {SHARED}")
    torch.set_num_threads(setting.threads)
    if setting.preparation is not None:
        prepare_once(setting.preparation)
    return attempt(run, store, Unwatched(), passing=setting.cancelled)


@cache
def prepare_once(preparation: Preparation) -> None:
    """Prepare this process, unless it is."""
    preparation.call()


class Unwatched:
    """Progress of a worker: its events are in the run's folder, from where the executor reads them."""

    def begin(self, run: RunConfig) -> None:
        """Told by the first event."""

    def event(self, run: RunConfig, event: Event) -> None:
        """Written to the run's folder."""

    def end(self, run: RunConfig, record: Record, *, skipped: bool) -> None:
        """Told by the task's result."""

    def note(self, text: str) -> None:
        """Workers have nothing to note."""


def reason(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
