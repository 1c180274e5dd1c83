"""Runs on this machine: a few processes, threads divided among them.

A worker that dies takes one run with it, which is recorded as crashed, and another takes its place.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from statewise.core.events import Event
from statewise.runs import Record, RunStore
from statewise.studies.executors.one_run import attempt, crashed
from statewise.studies.executors.protocol import Prepare, Progress, Slots
from statewise.studies.run_config import RunConfig
from statewise.studies.threads import threads


@dataclass(frozen=True)
class Local:
    """Processes of this machine; a single run, and every run of a single worker, stays in the process that asks."""

    def slots(self, workers: int | None, planned: int) -> Slots:
        """One run for each thread of torch's unless told otherwise, which share them."""
        available = torch.get_num_threads()
        count = max(1, min(workers or available, planned))
        return Slots(count, max(1, available // count))

    def run(
        self,
        runs: Sequence[RunConfig],
        store: RunStore,
        progress: Progress,
        *,
        workers: int | None,
        planned: int,
        prepare: Prepare | None,
    ) -> dict[str, Record]:
        """Run all; a worker that dies costs the run that it was busy with."""
        slots = self.slots(workers, planned)
        if slots.runs > 1 and len(runs) > 1:
            return Pool(store, progress, Slots(min(slots.runs, len(runs)), slots.threads), prepare).run(runs)
        if prepare is not None:
            prepare()
        with threads(slots.threads):
            return {run.name: attempt(run, store, progress) for run in runs}


@dataclass
class Worker:
    """A process, the pipe to it, and the run that it is busy with."""

    process: BaseProcess
    pipe: "Connection[Any, Any]"
    run: RunConfig


class Pool:
    """Worker processes that are handed one run at a time."""

    def __init__(self, store: RunStore, progress: Progress, slots: Slots, prepare: Prepare | None = None) -> None:
        self.prepare = prepare
        self.store = store
        self.progress = progress
        self.slots = slots
        # Spawned, never forked: a fork copies torch's thread pools without their threads.
        self.context = multiprocessing.get_context("spawn")

    def run(self, runs: Sequence[RunConfig]) -> dict[str, Record]:
        """Records by the runs' names."""
        waiting, records = list(reversed(runs)), dict[str, Record]()
        workers = [self._start(waiting.pop()) for _ in range(self.slots.runs)]
        try:
            while workers:
                by_pipe = {id(worker.pipe): worker for worker in workers}
                for ready in wait([worker.pipe for worker in workers]):
                    worker = by_pipe[id(ready)]
                    record = self._receive(worker)
                    if record is None:
                        continue
                    records[worker.run.name] = record
                    self.progress.end(worker.run, record, skipped=False)
                    self._next(worker, workers, waiting)
        finally:
            for worker in workers:
                worker.process.terminate()
            for worker in workers:
                worker.process.join()
        return records

    def _start(self, run: RunConfig) -> Worker:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(
            target=serve, args=(theirs, self.store, self.slots.threads, self.prepare), daemon=True
        )
        with interrupts_held():
            process.start()
        theirs.close()
        worker = Worker(process, ours, run)
        self._hand(worker, run)
        return worker

    def _hand(self, worker: Worker, run: RunConfig) -> None:
        worker.run = run
        self.progress.begin(run)
        worker.pipe.send(run)

    def _receive(self, worker: Worker) -> Record | None:
        """The worker's message: an event is passed on; a record, or the news of its death, ends the run."""
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            self.store.sweep([worker.run.name])
            return crashed(worker.run, self.store, f"its process ended with status {worker.process.exitcode}")
        if isinstance(message, Record):
            return message
        self.progress.event(worker.run, message)
        return None

    def _next(self, worker: Worker, workers: list[Worker], waiting: list[RunConfig]) -> None:
        alive = worker.process.is_alive()
        if waiting and alive:
            self._hand(worker, waiting.pop())
            return
        workers.remove(worker)
        if alive:
            worker.process.terminate()
            worker.process.join()
        elif waiting:
            workers.append(self._start(waiting.pop()))


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold interrupts back while a child starts. It inherits that for life, from its first instruction on.

    A terminal sends the interrupt to every process, and what it means is for the parent alone to decide.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # The first start of any child starts multiprocessing's tracker, and that lets interrupts through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(pipe: "Connection[Any, Any]", store: RunStore, num_threads: int, prepare: Prepare | None = None) -> None:
    """A worker's life: take runs, send events and records back."""
    torch.set_num_threads(num_threads)
    if prepare is not None:
        prepare()
    parent = os.getppid()
    while os.getppid() == parent:
        try:
            run = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(run, store, Messenger(pipe)))


class Messenger:
    """Progress that sends a run's events through a pipe; its record follows as the last message."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self.pipe = pipe

    def begin(self, run: RunConfig) -> None:
        """Known to the parent, who handed the run over."""

    def event(self, run: RunConfig, event: Event) -> None:
        """Send the event."""
        self.pipe.send(event)

    def end(self, run: RunConfig, record: Record, *, skipped: bool) -> None:
        """The record is sent by `serve`."""

    def note(self, text: str) -> None:
        """Workers have nothing to note."""
