"""Events, and several listeners as one."""

from dataclasses import FrozenInstanceError

import pytest

from statewise.core.events import Finished, Tee


class Listener:
    def __init__(self, name, heard, fails=False):
        self.name, self.heard, self.fails = name, heard, fails

    def write(self, event):
        if self.fails:
            raise RuntimeError(f"{self.name} fails")
        self.heard.append((self.name, event))


EVENT = Finished(step=3, status="finished", because="all steps", seconds=0.5)


def test_every_listener_hears_every_event_in_order():
    heard = []
    tee = Tee(Listener("a", heard), Listener("b", heard))
    tee.write(EVENT)
    tee.write(EVENT)
    assert heard == [("a", EVENT), ("b", EVENT), ("a", EVENT), ("b", EVENT)]


def test_a_listener_that_fails_ends_the_run():
    with pytest.raises(RuntimeError, match="b fails"):
        Tee(Listener("b", [], fails=True)).write(EVENT)


def test_events_are_read_only():
    with pytest.raises(FrozenInstanceError):
        EVENT.step = 4
