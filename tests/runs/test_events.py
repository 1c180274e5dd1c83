import json

import pytest

from statewise.core.events import Evaluated, Finished, Progress
from statewise.runs.events import read_events
from statewise.runs.store import RunStore


def progress(step, loss=1.0):
    return Progress(step=step, fraction=0.5, loss=loss, tokens_per_second=1.0, seconds=1.0, seconds_left=1.0)


def evaluated(step, size, accuracy=0.5):
    return Evaluated(
        step=step, split="validation", size=size, loss=1.0, token_accuracy=accuracy, sequence_accuracy=None, seconds=1.0
    )


FINISHED = Finished(step=9, status="finished", because="the budget is used up", seconds=3.0)


def test_what_a_run_wrote_is_read_back(tmp_path):
    events = (progress(1), evaluated(5, 8), evaluated(5, 16), progress(5), FINISHED)
    with RunStore(tmp_path).begin({"seed": 1}) as folder:
        for event in events:
            folder.write(event)
        assert read_events(folder.partial) == events


def test_of_what_is_said_twice_the_last_counts_and_steps_are_in_order(tmp_path):
    with RunStore(tmp_path).begin({"seed": 1}) as folder:
        for event in (progress(1), progress(3, loss=9.0), progress(2), progress(3, loss=2.0)):
            folder.write(event)
        assert [(event.step, event.loss) for event in read_events(folder.partial)] == [(1, 1.0), (2, 1.0), (3, 2.0)]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "3", '{"event": "other", "step": 1}', '{"event": "finished", "step": 1}', '{"event": ["x"]}', "\ufffd"],
)
def test_a_line_that_is_no_event_is_passed_over(line, tmp_path):
    whole = json.dumps({"event": "finished", **vars(FINISHED)})
    (tmp_path / "events.jsonl").write_text(f"{line}\n{whole}\n{whole[:20]}")
    assert read_events(tmp_path) == (FINISHED,)


def test_a_folder_without_events_has_none(tmp_path):
    assert read_events(tmp_path) == read_events(tmp_path / "absent") == ()
