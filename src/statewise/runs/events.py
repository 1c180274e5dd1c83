"""What a run said while it was trained, read back from its folder."""

import json
from pathlib import Path
from typing import Any, get_args

from statewise.core.config import from_plain
from statewise.core.errors import UsageError
from statewise.core.events import Evaluated, Event, Finished, Noted, Progress
from statewise.runs.on_disk import EVENTS

Measured = Progress | Evaluated | Finished
"""Events of a step."""

KINDS: dict[str, type[Event]] = {kind.__name__.lower(): kind for kind in get_args(Event)}


def read_events(folder: Path) -> tuple[Measured, ...]:
    """The events of a run in the order of their steps, each once; none where the folder holds none.

    A run that went on after an interruption says some of it twice: what it said last counts. Lines that are torn or of
    another kind are passed over, for a curve with a gap is worth more than none.
    """
    try:
        text = (folder / EVENTS).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    said: dict[tuple[Any, ...], Measured] = {}
    for line in text.splitlines():
        event = event_of(line)
        if event is not None and not isinstance(event, Noted):
            said[type(event), event.step, getattr(event, "split", ""), getattr(event, "size", 0)] = event
    return tuple(sorted(said.values(), key=lambda event: event.step))


def event_of(line: str | bytes) -> Event | None:
    """One line as an event; None of a kind that is not known here, or torn.

    >>> event_of('{"event": "finished", "step": 3, "status": "finished", "because": "done", "seconds": 1.5}').step
    3
    """
    try:
        plain = json.loads(line)
        return from_plain(KINDS[plain.pop("event")], plain, where=EVENTS)
    except (ValueError, KeyError, TypeError, AttributeError, UsageError):
        return None
