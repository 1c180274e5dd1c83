"""What runs elsewhere say, read from the files that they write to shared storage."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from statewise.core.events import Event
from statewise.runs.events import event_of
from statewise.runs.folder import partial_folder
from statewise.runs.on_disk import EVENTS


class EventFiles:
    """Follows the events of runs by name: of those that go on and, where something is left to say, of those that ended.

    Nothing that a file holds or lacks is an error: the worst that can come of it is a bar that stands still.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = Path(root, ".partial-a")
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
        for name in names:
            yield from ((name, event) for event in self._lines(name))

    def _lines(self, name: str) -> Iterator[Event]:
        """Events of whole lines after the last that was read. A file that became shorter was begun again."""
        going_on = partial_folder(self.root, name)
        folder = going_on if going_on.exists() else self.root / name
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
