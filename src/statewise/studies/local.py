"""Many runs on this machine: a few processes, threads divided among them, finished runs skipped.

A worker that dies takes one run with it, which is recorded as crashed, and another takes its place.
"""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import torch

from statewise.core.config import to_plain
from statewise.core.errors import RunError
from statewise.core.events import Event
from statewise.runs import Record, RunStore
from statewise.studies.environment import threads_put_back
from statewise.studies.execute import execute
from statewise.studies.run_config import RunConfig


class Progress(Protocol):
    """Whoever watches a comparison."""

    def begin(self, run: RunConfig) -> None:
        """A run starts."""

    def event(self, run: RunConfig, event: Event) -> None:
        """A run says something."""

    def end(self, run: RunConfig, record: Record, *, skipped: bool) -> None:
        """A run has a record; `skipped` when it had one already."""

    def note(self, text: str) -> None:
        """Something the user should know."""


def run_all(
    runs: Sequence[RunConfig],
    store: RunStore,
    progress: Progress,
    *,
    workers: int,
    prepare: Callable[[], object] | None = None,
) -> list[Record]:
    """The record of every run, in order. Those that are on disk and did not crash are not run again.

    workers  processes; 1 runs everything in this one
    prepare  called once in every process that runs something, before its first run; a function of a module

    A damaged run folder is set aside and its run repeated. On an interrupt the workers are ended, what they had
    half-written is removed, and the interrupt goes on to the caller.
    """
    store.check_writable()
    records = {run.name: record for run in runs if (record := kept(run, store, progress))}
    missing = [run for run in runs if run.name not in records]
    # Divided by all the runs that are asked for: by the missing ones, a run that is begun after an interruption would
    # have other threads than it would have had, and end in other bits.
    threads = max(1, torch.get_num_threads() // max(1, min(workers, len(runs))))
    try:
        if workers == 1 or len(missing) <= 1:
            if prepare is not None and missing:
                prepare()
            with threads_put_back():
                torch.set_num_threads(threads)
                records |= {run.name: attempt(run, store, progress) for run in missing}
        else:
            records |= Pool(store, progress, min(workers, len(missing)), threads, prepare).run(missing)
    finally:
        store.sweep([run.name for run in missing])
    return [records[run.name] for run in runs]


def kept(run: RunConfig, store: RunStore, progress: Progress) -> Record | None:
    """The record of a run that need not be repeated."""
    try:
        record = store.find(run.name)
    except RunError as error:
        progress.note(f"{error}; set aside as {store.set_aside(run.name).name} and run again")
        return None
    if record is None or not record.conclusive:
        return None
    progress.end(run, record, skipped=True)
    return record


def attempt(run: RunConfig, store: RunStore, progress: Progress) -> Record:
    """One run in this process; an exception becomes a crashed record."""
    progress.begin(run)
    try:
        record = execute(run, store, Relay(lambda event: progress.event(run, event)))
    except Exception as error:
        record = crashed(run, store, f"{type(error).__name__}: {error}", traceback.format_exc())
    progress.end(run, record, skipped=False)
    return record


def crashed(run: RunConfig, store: RunStore, because: str, trace: str = "") -> Record:
    """Keep the record of a run that could not be finished."""
    record = Record(config=to_plain(run), status="crashed", because=because, environment={"traceback": trace})
    with store.begin(run) as folder:
        folder.finish(record)
    return record


@dataclass(frozen=True)
class Relay:
    """A sink that calls a function."""

    call: Callable[[Event], None]

    def write(self, event: Event) -> None:
        """Pass the event on."""
        self.call(event)


@dataclass
class Worker:
    """A process, the pipe to it, and the run that it is busy with."""

    process: BaseProcess
    pipe: "Connection[Any, Any]"
    run: RunConfig


class Pool:
    """Worker processes that are handed one run at a time."""

    def __init__(
        self,
        store: RunStore,
        progress: Progress,
        size: int,
        threads: int,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self.prepare = prepare
        self.store = store
        self.progress = progress
        self.size = size
        # Spawned, never forked: a fork copies torch's thread pools without their threads.
        self.context = multiprocessing.get_context("spawn")
        self.threads = threads

    def run(self, runs: Sequence[RunConfig]) -> dict[str, Record]:
        """Records by the runs' names."""
        waiting, records = list(reversed(runs)), dict[str, Record]()
        workers = [self._start(waiting.pop()) for _ in range(self.size)]
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
        process = self.context.Process(target=serve, args=(theirs, self.store, self.threads, self.prepare), daemon=True)
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


def serve(
    pipe: "Connection[Any, Any]", store: RunStore, threads: int, prepare: Callable[[], object] | None = None
) -> None:
    """A worker's life: take runs, send events and records back."""
    torch.set_num_threads(threads)
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
