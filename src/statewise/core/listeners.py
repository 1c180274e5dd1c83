"""Sinks of the user's own, one of each for a run: what goes wrong in one costs that one and not the run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from statewise.core.events import Event, Finished, Noted, Sink


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """The run that a sink is made for.

    name    the digest of its configuration: the same run has the same name, whenever and wherever it is made
    title   task, model, learning rate and seed in a few words
    config  its whole configuration, plain: dicts, lists and scalars
    root    the folder of run folders
    """

    name: str
    title: str
    config: dict[str, Any]
    root: Path


SinkMaker = Callable[[RunInfo], Sink]
"""A class of sinks, or a function that makes them. Worker processes import it: it stands in a module, by its name."""


class Listeners:
    """The sinks of one run, as one that never fails: a sink that raises is dropped, and `note` is told why.

    >>> def silent(run):
    ...     raise ConnectionError("no server")
    >>> run = RunInfo(name="0c02252c6f8b5f6d", title="parity", config={}, root=Path("runs"))
    >>> Listeners([silent], run, note=print).write(Noted(text="a word"))
    sink silent is dropped: ConnectionError: no server
    """

    def __init__(self, makers: Sequence[SinkMaker], run: RunInfo, *, note: Callable[[str], object]) -> None:
        self.note = note
        self.step, self.seconds, self.ended = 0, 0.0, False
        self.sinks: list[tuple[str, Sink]] = []
        for maker in makers:
            try:
                self.sinks.append((name_of(maker), maker(run)))
            except Exception as error:
                self._drop(name_of(maker), error)

    def write(self, event: Event) -> None:
        """Hand the event to every sink that is left."""
        if not isinstance(event, Noted):
            self.step, self.seconds, self.ended = event.step, event.seconds, isinstance(event, Finished)
        for name, sink in list(self.sinks):
            try:
                sink.write(event)
            except Exception as error:
                self.sinks.remove((name, sink))
                self._drop(name, error)

    def end(self, status: str, because: str) -> None:
        """Tell of an end that the training loop did not tell of; nothing where it did."""
        if not self.ended:
            self.write(Finished(step=self.step, status=status, because=because, seconds=self.seconds))

    def _drop(self, name: str, error: Exception) -> None:
        self.note(f"sink {name} is dropped: {type(error).__name__}: {' '.join(str(error).split())}")


@contextmanager
def listening(makers: Sequence[SinkMaker], run: RunInfo, *, note: Callable[[str], object]) -> Iterator[Listeners]:
    """Listeners to a run while it goes on. An exception, which ends the run, is told them as Finished and goes on."""
    listeners = Listeners(makers, run, note=note)
    try:
        yield listeners
    except Exception as error:
        listeners.end("crashed", f"{type(error).__name__}: {error}")
        raise
    except BaseException as error:
        listeners.end("interrupted", type(error).__name__)
        raise


def name_of(maker: SinkMaker) -> str:
    """What to call a sink in messages: its class or function, whatever arguments are bound to it."""
    if isinstance(maker, partial):
        return name_of(maker.func)
    return getattr(maker, "__qualname__", type(maker).__qualname__)
