"""Sinks for tests, in a module of their own so that worker processes can import them."""

import json
from dataclasses import asdict


class ToFile:
    """Each event as a line of a file beside the runs, named by the run."""

    def __init__(self, run):
        self.path = run.root.parent / f"{run.name}.heard"
        self.path.write_text(json.dumps({"title": run.title, "config": run.config}) + "\n")

    def write(self, event):
        with self.path.open("a") as file:
            file.write(json.dumps({"event": type(event).__name__, **asdict(event)}) + "\n")


class Deaf:
    """Fails at the first event."""

    def __init__(self, run):
        pass

    def write(self, event):
        raise ConnectionError("no server")


def from_function(run):
    """A function that makes a sink."""
    return ToFile(run)


NOT_CALLABLE = 3


class WithoutWrite:
    """No sink."""
