"""Killed at any moment and started again, a run ends with the weights and the metrics of one that was left alone."""

import multiprocessing
import random
import signal
import time
from dataclasses import replace

import pytest
import torch

from statewise.core.config import to_plain
from statewise.core.events import Evaluated
from statewise.runs import RunStore
from statewise.studies import execute, keeper, run_all
from statewise.training import loop
from statewise.training.checkpoint_files import CheckpointFiles
from studies.interrupted import Listener, assert_as_if_left_alone, checkpoints, left_alone, short_run
from studies.victims import ONCE, PLACES, carry_out

TIMES = {place: (1,) if place in ONCE else (1, 3) for place in PLACES}

PATIENCE = 120
"""Seconds for a process of a second, on a machine that has other things to do."""


@pytest.fixture
def run():
    return short_run()


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def processes():
    """Processes that are forked from one in which everything is imported and nothing has run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["statewise.studies"])
    return context


def start(processes, run, root, **options):
    process = processes.Process(target=carry_out, args=(to_plain(run), str(root)), kwargs=options, daemon=True)
    process.start()
    return process


def killed(processes, run, root, **options):
    """Let a process be killed at a place; where it stands in the store then."""
    process = start(processes, run, root, **options)
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL


OFTEN = {"in the middle of a step", "in the middle of a checkpoint's write", "when the folder is moved"}
"""Places that are tried in every round, since a process costs seconds; the slow tests try all."""

CASES = [
    pytest.param(place, count, marks=[] if place in OFTEN and count == 1 else [pytest.mark.slow])
    for place in PLACES
    for count in TIMES[place]
]


@pytest.mark.parametrize(("place", "count"), CASES)
def test_killed_anywhere_and_started_again_it_ends_in_the_same_bits(processes, run, tmp_path, place, count):
    if (
        place in ("when the weights are saved", "when the record is written", "before the folder is moved")
        and count > 1
    ):
        pytest.skip("comes once")
    root = tmp_path / "runs"
    killed(processes, run, root, at=(place, count))
    moved = place == "after the folder was moved"
    assert (RunStore(root).find(run.name) is not None) is moved
    if not moved:
        execute(run, RunStore(root, checkpoint_every=0), Listener())
    assert_as_if_left_alone(run, root, left_alone(run, tmp_path))


def test_killed_at_random_again_and_again_it_ends_in_the_same_bits(processes, run, tmp_path):
    root, chance, kills = tmp_path / "runs", random.Random(), 0
    for _ in range(60):
        process = start(processes, run, root, slow=0.01)
        process.join(chance.uniform(0.0, 0.25) if kills < 8 else PATIENCE)
        if process.exitcode == 0:
            break
        process.kill()
        process.join(PATIENCE)
        kills += 1
    assert kills >= 1
    assert_as_if_left_alone(run, root, left_alone(run, tmp_path))


def test_what_was_measured_last_is_measured_again_without_training(processes, run, tmp_path, monkeypatch):
    root = tmp_path / "runs"
    killed(processes, run, root, at=("in the last measurements", 2), every=1e9)
    monkeypatch.setattr(loop, "one_step", None)
    listener = Listener()
    record = execute(run, RunStore(root), listener)
    assert listener.notes() == ["goes on from step 17"]
    assert record.training["resumed_at"] == [17]
    monkeypatch.undo()
    assert_as_if_left_alone(run, root, left_alone(run, tmp_path))


def test_what_was_written_down_is_only_moved(processes, run, tmp_path, monkeypatch):
    """Its checkpoint is gone by then, so all would have to be done again."""
    root = tmp_path / "runs"
    killed(processes, run, root, at=("when the folder is moved", 1))
    assert checkpoints(root, run) == []
    monkeypatch.setattr(loop, "one_step", None)
    record = execute(run, RunStore(root), Listener())
    assert record == RunStore(root).find(run.name)
    monkeypatch.undo()
    assert_as_if_left_alone(run, root, left_alone(run, tmp_path))


def test_of_a_damaged_checkpoint_the_one_before_it_is_used(processes, run, tmp_path):
    root = tmp_path / "runs"
    killed(processes, run, root, at=("before a step", 10))
    before, newest = checkpoints(root, run)
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 8
    newest.write_bytes(content)
    listener = Listener()
    execute(run, RunStore(root, checkpoint_every=0), listener)
    assert listener.notes() == [
        f"checkpoint {newest} is damaged: its contents do not have its digest",
        f"goes on from step {int(before.stem)}",
    ]
    assert_as_if_left_alone(run, root, left_alone(run, tmp_path))


def test_where_no_checkpoint_is_whole_it_says_so_and_starts_over(processes, run, tmp_path):
    root = tmp_path / "runs"
    killed(processes, run, root, at=("before a step", 10))
    for path in checkpoints(root, run):
        path.write_bytes(b"torn")
    listener = Listener()
    record = execute(run, RunStore(root), listener)
    assert listener.notes()[-1] == "starts over: no checkpoint is whole"
    assert record.training["resumed_at"] == []
    assert_as_if_left_alone(run, root, left_alone(run, tmp_path))


def test_it_goes_on_with_the_threads_that_it_was_begun_with(processes, run, tmp_path):
    root = tmp_path / "runs"
    killed(processes, run, root, at=("before a step", 10), threads=2)
    listener = Listener()
    record = execute(run, RunStore(root), listener)
    assert listener.notes() == ["goes on from step 9, with 2 threads as it was begun"]
    assert record.environment["threads"] == 2
    assert torch.get_num_threads() == 1
    torch.set_num_threads(2)
    assert_as_if_left_alone(run, root, left_alone(run, tmp_path))


def test_another_torch_could_not_give_the_same_bits_so_it_starts_over(processes, run, tmp_path, monkeypatch):
    root = tmp_path / "runs"
    killed(processes, run, root, at=("before a step", 10))
    here = keeper.decisive()
    monkeypatch.setattr(keeper, "decisive", lambda: {**here, "torch": "99.0"})
    listener = Listener()
    execute(run, RunStore(root, checkpoint_every=0), listener)
    assert listener.notes() == [
        "starts over: its checkpoint of step 9 could not end in the same bits, for "
        f"torch was {torch.__version__} and is 99.0"
    ]
    assert_as_if_left_alone(run, root, left_alone(run, tmp_path))


def test_a_budget_of_time_keeps_its_seconds_on_any_machine(processes, run, tmp_path, monkeypatch):
    run = replace(run, training=replace(run.training, time=3.0, evaluate_every=1))
    root = tmp_path / "runs"
    killed(processes, run, root, at=("before a step", 2), slow=0.5)
    saved = CheckpointFiles(root / f".partial-{run.name}" / "checkpoint", every=0).latest().plain["place"]
    assert saved["step"] == 1
    assert saved["seconds"] >= 0.5
    monkeypatch.setattr(keeper, "decisive", dict)
    listener = Listener()
    training = execute(run, RunStore(root), listener).training
    assert listener.notes() == ["goes on from step 1"]
    first = next(event for event in listener if isinstance(event, Evaluated))
    assert (first.step, first.seconds > saved["seconds"]) == (2, True)
    assert training["budget"] == "wall-clock"
    assert training["wall_seconds"] >= training["seconds"] >= 3.0


# Two processes at one run


def wait_until(there):
    deadline = time.monotonic() + PATIENCE
    while not there() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert there()


def test_a_second_process_waits_for_the_record_of_the_first(processes, run, tmp_path, monkeypatch):
    root = tmp_path / "runs"
    process = start(processes, run, root, slow=0.05)
    wait_until(lambda: (root / f".partial-{run.name}" / "events.jsonl").exists())
    monkeypatch.setattr(loop, "one_step", None)
    listener = Listener()
    record = execute(run, RunStore(root), listener)
    (note,) = listener.notes()
    assert note.startswith(f"process {process.pid} on ")
    assert note.endswith(" is at this run; waiting for it")
    process.join(PATIENCE)
    assert (process.exitcode, record.status) == (0, "finished")
    monkeypatch.undo()
    assert_as_if_left_alone(run, root, left_alone(run, tmp_path))


def test_a_process_that_waits_takes_up_what_a_killed_one_left(processes, run, tmp_path):
    root = tmp_path / "runs"
    first = start(processes, run, root, slow=0.05)
    wait_until(lambda: checkpoints(root, run))
    second = start(processes, run, root)
    wait_until((tmp_path / "notes").exists)
    first.kill()
    second.join(PATIENCE)
    assert second.exitcode == 0
    assert "goes on from step" in (tmp_path / "notes").read_text()
    assert_as_if_left_alone(run, root, left_alone(run, tmp_path))


def test_an_exception_keeps_the_checkpoint_and_a_crashed_record_beside_it(run, tmp_path, monkeypatch, watcher):
    store = RunStore(tmp_path / "runs", checkpoint_every=0)
    step = loop.one_step

    def fail(*arguments, **options):
        if options["step"] == 9:
            raise ZeroDivisionError("on purpose")
        return step(*arguments, **options)

    monkeypatch.setattr(loop, "one_step", fail)
    (record,) = run_all([run], store, watcher, workers=1)
    assert (record.status, store.find(run.name)) == ("crashed", record)
    assert {path.name for path in (store.root / run.name).iterdir()} == {"config.json", "record.json"}
    assert len(checkpoints(store.root, run)) == 2
    monkeypatch.undo()
    (record,) = run_all([run], store, watcher, workers=1)
    assert record.training["resumed_at"] == [9]
    assert_as_if_left_alone(run, store.root, left_alone(run, tmp_path))
