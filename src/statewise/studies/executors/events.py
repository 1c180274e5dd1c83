"""What runs elsewhere say, read from the files that they write to shared storage."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from statewise.core.config import from_plain
from statewise.core.errors import UsageError
from statewise.core.events import Event
from statewise.runs.on_disk import EVENTS

KINDS: dict[str, type[Event]] = {kind.__name__.lower(): kind for kind in get_args(Event)}


class EventFiles:
    """Follows the events of runs by name: of those that go on and, where something is left to say, of those that ended.

    Nothing that a file holds or lacks is an error: the worst that can come of it is a bar that stands still.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = Path(root, ".partial-a-7")
    ...     folder.mkdir()
    ...     _ = (folder / "events.jsonl").write_text('{"event": "finished", "step": 3, "status": "finished", '
    ...                                              '"because": "solved", "seconds": 0.5}\\n{"event": "fini')
    ...     files = EventFiles(Path(root))
    ...     [(name, event.step) for name, event in files.news(["a", "b"])], list(files.news(["a", "b"]))
    ([('a', 3)], [])
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.read: dict[str, int] = {}

    def news(self, names: Iterable[str]) -> Iterator[tuple[str, Event]]:
        """What the runs of these names have said since they were last asked about."""
        going_on = self._going_on()
        for name in names:
            yield from ((name, event) for event in self._lines(name, going_on.get(name, self.root / name)))

    def _going_on(self) -> dict[str, Path]:
        """The folders of runs that go on; of several attempts at one run the one that wrote last."""
        found = [path for path in self.root.glob(f".partial-*/{EVENTS}") if path.name == EVENTS]
        found.sort(key=changed)
        return {path.parent.name.split("-")[1]: path.parent for path in found}

    def _lines(self, name: str, folder: Path) -> Iterator[Event]:
        """Events of whole lines after the last that was read. A file that became shorter was begun again."""
        try:
            content = (folder / EVENTS).read_bytes()
        except OSError:
            return
        start = self.read.get(name, 0)
        if start > len(content):
            start = 0
        end = content.rfind(b"\n") + 1
        self.read[name] = max(start, end)
        for line in content[start:end].splitlines():
            if (event := event_of(line)) is not None:
                yield event


def changed(path: Path) -> float:
    """When a file was last written; at the beginning of time where it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def event_of(line: bytes) -> Event | None:
    """The event of a line; None of a kind that is not known here, or damaged.

    >>> event_of(b'{"event": "finished", "step": 3, "status": "diverged", "because": "", "seconds": 1.5}').status
    'diverged'
    >>> event_of(b'{"event": "applause"}') is event_of(b"[") is None
    True
    """
    try:
        plain = json.loads(line)
        kind = KINDS[plain.pop("event")]
        return from_plain(kind, plain, where="event")
    except (ValueError, KeyError, AttributeError, TypeError, UsageError):
        return None
