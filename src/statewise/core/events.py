"""What a training loop says while it works, and who may listen.

A `Sink` is anything with `write(event)`: a list's append wrapped, a file, a progress bar, a tracker.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Emitted a few times a second while training. Loss per scored token; times in seconds."""

    step: int
    fraction: float
    loss: float
    tokens_per_second: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Emitted after every evaluation on a split. Loss in nats per scored token, accuracies in [0, 1].

    Where tokens are vectors the loss is a squared error and there are no accuracies. Where they spell text, there is
    the loss in nats per byte beside.
    """

    step: int
    split: str
    size: int
    loss: float
    token_accuracy: float | None
    sequence_accuracy: float | None
    seconds: float
    loss_per_byte: float | None = None


@dataclass(frozen=True, kw_only=True)
class Finished:
    """Emitted once, last. `status` is finished or diverged, and `because` says why.

    Sinks of the user's own also hear of runs that crashed or were interrupted.
    """

    step: int
    status: str
    because: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Noted:
    """Something about a run that its user should know, in words: where it goes on, or why it starts over."""

    text: str


Event = Progress | Evaluated | Finished | Noted


class Sink(Protocol):
    """Whoever listens to a run."""

    def write(self, event: Event) -> None:
        """Take one event. An exception ends the run, unless `statewise.core.listeners` stands between."""


class Tee:
    """Several sinks as one.

    >>> Tee().write(Finished(step=1, status="finished", because="all steps", seconds=0.1))
    """

    def __init__(self, *sinks: Sink) -> None:
        self.sinks = sinks

    def write(self, event: Event) -> None:
        """Hand the event to every sink, in order."""
        for sink in self.sinks:
            sink.write(event)
