"""Sinks of the user's own: they hear everything, and what goes wrong in one costs that one alone."""

from functools import partial
from pathlib import Path

import pytest

from statewise.core.events import Finished, Noted, Progress
from statewise.core.listeners import Listeners, RunInfo, listening, name_of

RUN = RunInfo(name="0c02252c6f8b5f6d", title="parity · gru", config={"seed": 1}, root=Path("runs"))
STEP = Progress(step=3, fraction=0.5, loss=0.25, tokens_per_second=9.0, seconds=2.0, seconds_left=2.0)
END = Finished(step=5, status="finished", because="all steps", seconds=4.0)


class Ear:
    """A sink that keeps what it hears, and fails when it hears a certain event."""

    def __init__(self, run, heard, fails_at=None):
        self.heard, self.fails_at = heard, fails_at
        heard.append(run)

    def write(self, event):
        if event is self.fails_at:
            raise ConnectionError("no\nserver")
        self.heard.append(event)


def broken(run):
    raise ValueError("no key")


def test_each_run_has_sinks_of_its_own_that_hear_everything():
    one, other = [], []
    listeners = Listeners([partial(Ear, heard=one), partial(Ear, heard=other)], RUN, note=pytest.fail)
    for event in (STEP, Noted(text="a word"), END):
        listeners.write(event)
    assert one == other == [RUN, STEP, Noted(text="a word"), END]


def test_a_sink_that_fails_is_dropped_with_one_note_and_the_others_hear_on():
    first, failing, last, notes = [], [], [], []
    makers = [partial(Ear, heard=first), partial(Ear, heard=failing, fails_at=STEP), partial(Ear, heard=last)]
    listeners = Listeners(makers, RUN, note=notes.append)
    for event in (STEP, STEP, END):
        listeners.write(event)
    assert first == last == [RUN, STEP, STEP, END]
    assert failing == [RUN]
    assert notes == ["sink Ear is dropped: ConnectionError: no server"]


def test_a_sink_that_cannot_be_made_is_dropped_with_one_note():
    heard, notes = [], []
    listeners = Listeners([broken, partial(Ear, heard=heard)], RUN, note=notes.append)
    listeners.write(END)
    assert heard == [RUN, END]
    assert notes == ["sink broken is dropped: ValueError: no key"]


def test_an_interrupt_inside_a_sink_is_no_failure_of_the_sink():
    class Interrupted:
        def __init__(self, run):
            pass

        def write(self, event):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Listeners([Interrupted], RUN, note=pytest.fail).write(END)


def fail_after(events, error, heard):
    with listening([partial(Ear, heard=heard)], RUN, note=pytest.fail) as listeners:
        for event in events:
            listeners.write(event)
        raise error


@pytest.mark.parametrize(
    ("error", "status", "because"),
    [(ZeroDivisionError("on purpose"), "crashed", "ZeroDivisionError: on purpose"),
     (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt")],
)  # fmt: skip
def test_a_run_that_ends_by_an_exception_is_told_as_finished_where_it_was(error, status, because):
    heard = []
    with pytest.raises(type(error)):
        fail_after([STEP, Noted(text="a word")], error, heard)
    assert heard[-1] == Finished(step=3, status=status, because=because, seconds=2.0)


def test_finished_is_told_once():
    heard = []
    with pytest.raises(ZeroDivisionError):
        fail_after([END], ZeroDivisionError(), heard)
    assert heard == [RUN, END]
    with listening([partial(Ear, heard=heard)], RUN, note=pytest.fail):
        pass
    assert heard == [RUN, END, RUN]


def test_a_sink_is_called_by_its_class_or_function_whatever_is_bound():
    assert [name_of(maker) for maker in (Ear, broken, partial(partial(Ear, heard=[]), fails_at=3))] == [
        "Ear", "broken", "Ear",
    ]  # fmt: skip
