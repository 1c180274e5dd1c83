"""The executor: skips what is done, survives crashes, deaths and interrupts, and leaves no half-written run."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from functools import partial
from multiprocessing import resource_tracker

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.core.events import Evaluated, Finished
from statewise.models import ModelConfig
from statewise.runs import RunStore
from statewise.studies import load, run_all
from statewise.studies.executors import one_run
from statewise.studies.executors.local import interrupts_held
from statewise.tasks import Text
from studies.prepared import leave_a_mark


def folders(root):
    return {path.name for path in root.iterdir()}


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def test_runs_finish_with_everything_in_their_folder(store, watcher, make_run):
    runs = [make_run(seed) for seed in (0, 1)]
    records = run_all(runs, store, watcher, workers=1)
    assert [record.name for record in records] == [run.name for run in runs] == watcher.ended
    assert folders(store.root) == {run.name for run in runs}
    for run, record in zip(runs, records, strict=True):
        folder = store.root / run.name
        assert folders(folder) == {"config.json", "events.jsonl", "record.json", "model.safetensors"}
        assert record.status == "finished"
        assert [result.size for result in record.results] == [4, 8]
        assert json.loads((folder / "config.json").read_text()) == record.config
        lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        assert lines[-1]["event"] == "finished"


def test_asked_again_nothing_runs(store, watcher, make_run):
    runs = [make_run()]
    first = run_all(runs, store, watcher, workers=1)
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    again = run_all(runs, store, watcher, workers=1)
    assert again == first
    assert watcher.skipped == watcher.begun == [runs[0].name]
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before


def test_processes_give_the_same_numbers_as_one(tmp_path, watcher, make_run):
    runs = [make_run(seed) for seed in range(3)]
    alone = run_all(runs, RunStore(tmp_path / "one"), watcher, workers=1)
    torch_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(6)
        many = run_all(runs, RunStore(tmp_path / "many"), watcher, workers=2)
        assert torch.get_num_threads() == 6
    finally:
        torch.set_num_threads(torch_threads)
    assert {record.environment["threads"] for record in many} == {3}
    assert {record.environment["threads"] for record in alone} == {torch_threads}
    assert watcher.begun == 2 * [run.name for run in runs]
    assert multiprocessing.active_children() == []
    assert [record.results for record in many] == [record.results for record in alone]
    assert sorted(watcher.ended) == sorted(2 * [run.name for run in runs])
    assert any(isinstance(event, Finished) for _, event in watcher.events)


def test_a_run_has_the_threads_of_the_whole_plan_whatever_was_there(store, watcher, make_run):
    """Started again with one run left, its last bits are those that it would have had."""
    runs = [make_run(seed) for seed in range(3)]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(6)
        run_all(runs[:2], store, watcher, workers=1)
        *_, last = run_all(runs, store, watcher, workers=2)
        assert torch.get_num_threads() == 6
    finally:
        torch.set_num_threads(before)
    assert watcher.skipped == [run.name for run in runs[:2]]
    assert last.environment["threads"] == 3


@pytest.mark.slow
def test_every_process_that_runs_something_is_prepared_once_before_it(tmp_path, store, watcher, make_run):
    marks = tmp_path / "marks"
    marks.mkdir()
    records = run_all(
        [make_run(seed) for seed in range(3)], store, watcher, workers=2, prepare=partial(leave_a_mark, marks)
    )
    assert [record.status for record in records] == ["finished"] * 3
    assert len(folders(marks)) == 2
    assert str(os.getpid()) not in folders(marks)


def test_this_process_is_prepared_before_its_first_run_and_not_for_nothing(store, watcher, make_run):
    begun = []
    for seeds in ((0, 1), (0, 1), (2,)):
        before = list(watcher.begun)
        run_all(
            [make_run(seed) for seed in seeds], store, watcher, workers=1,
            prepare=lambda before=before: begun.append(watcher.begun == before),
        )  # fmt: skip
    assert begun == [True, True]


def test_a_store_that_cannot_be_written_is_refused_before_anything_runs(tmp_path, watcher, make_run):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="runs cannot be written"):
        run_all([make_run()], RunStore(tmp_path / "file"), watcher, workers=1)
    assert watcher.begun == []


def test_records_come_in_the_order_asked_whatever_was_there(store, watcher, make_run):
    runs = [make_run(seed) for seed in range(3)]
    run_all(runs[1:2], store, watcher, workers=1)
    records = run_all(runs, store, watcher, workers=1)
    assert [record.name for record in records] == [run.name for run in runs]
    assert watcher.skipped == [runs[1].name]


def test_a_corpus_that_was_edited_since_the_plan_is_a_crashed_run_that_says_so(tmp_path, store, watcher, make_run):
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(bytes(range(256)) * 20)
    task = Text(file=str(corpus)).identity()
    run = replace(make_run(), task=task, model=ModelConfig(vocabulary=256, width=4))
    (fine,) = run_all([run], store, watcher, workers=1)
    assert fine.status == "finished"
    run = replace(run, seed=1)
    corpus.write_bytes(b"other" * 1000)
    (crashed,) = run_all([run], store, watcher, workers=1)
    assert crashed.status == "crashed"
    assert crashed.because.startswith(f"UsageError: text: {corpus} is not what was planned")
    assert "\n" not in crashed.because


def test_a_run_that_raises_is_a_record_and_is_tried_again(store, watcher, make_run, monkeypatch):
    runs = [make_run(0), make_run(1)]

    def fail(config, *_):
        if config.seed == 0:
            raise ZeroDivisionError("on purpose")
        return execute(config, *_)

    execute = one_run.execute
    monkeypatch.setattr(one_run, "execute", fail)
    crashed, fine = run_all(runs, store, watcher, workers=1)
    assert (crashed.status, crashed.because) == ("crashed", "ZeroDivisionError: on purpose")
    assert "in fail" in crashed.environment["traceback"]
    assert fine.status == "finished"
    with pytest.raises(Exception, match="is a run that crashed, so it has no model: ZeroDivisionError"):
        load(store.root / crashed.name)

    monkeypatch.setattr(one_run, "execute", execute)
    repaired, _ = run_all(runs, store, watcher, workers=1)
    assert repaired.status == "finished"
    assert folders(store.root) == {run.name for run in runs}


def signalling(watcher, store, number, victims):
    """A watcher that sends a signal to the workers of the first few runs as soon as they say something."""

    class Signalling(type(watcher)):
        def event(self, run, event):
            heard = {name for name, _ in self.events}
            if run.name not in heard and len(heard) < victims:
                lock = (store.root / f".partial-{run.name}" / "lock").read_text()
                os.kill(int(lock.split()[1]), number)
            super().event(run, event)

    return Signalling()


@pytest.mark.parametrize("deaths", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_worker_that_dies_costs_one_run(store, watcher, make_run, deaths):
    runs = [make_run(seed, steps=400, evaluate_every=1) for seed in range(3)]
    records = run_all(runs, store, signalling(watcher, store, signal.SIGKILL, deaths), workers=2)
    assert sorted(record.status for record in records) == ["crashed"] * deaths + ["finished"] * (3 - deaths)
    assert {record.because for record in records if record.status == "crashed"} == {"its process ended with status -9"}
    assert folders(store.root) == {run.name for run in runs}


@pytest.mark.slow
def test_an_interrupt_is_for_the_parent_alone_to_act_on(store, watcher, make_run):
    runs = [make_run(seed, steps=100, evaluate_every=1) for seed in range(2)]
    records = run_all(runs, store, signalling(watcher, store, signal.SIGINT, 2), workers=2)
    assert [record.status for record in records] == ["finished", "finished"]


def test_interrupts_stay_held_though_the_tracker_lets_them_through(monkeypatch):
    """As multiprocessing's tracker does when it starts, up to Python 3.12."""
    monkeypatch.setattr(
        resource_tracker, "ensure_running", lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    )
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with interrupts_held():
            assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_damaged_record_is_set_aside_and_run_again(store, watcher, make_run):
    run = make_run()
    run_all([run], store, watcher, workers=1)
    (store.root / run.name / "record.json").write_text("{")
    (record,) = run_all([run], store, watcher, workers=1)
    assert record.status == "finished"
    assert folders(store.root) == {run.name, f"{run.name}.damaged"}
    assert (store.root / f"{run.name}.damaged" / "record.json").read_text() == "{"
    assert f"set aside as {run.name}.damaged and run again" in watcher.notes[0]


def test_a_diverging_run_is_recorded_as_diverged_and_not_repeated(store, watcher, make_run):
    run = make_run(learning_rate=1e30, steps=200, warmup=0)
    (record,) = run_all([run], store, watcher, workers=1)
    assert record.status == "diverged"
    assert "the loss was" in record.because
    assert record.results == ()
    assert not (store.root / run.name / "model.safetensors").exists()
    run_all([run], store, watcher, workers=1)
    assert watcher.skipped == [run.name]


def test_an_interrupt_keeps_what_is_finished_and_nothing_half_done(tmp_path):
    # minGRU does not solve parity at this size, so that the runs still go on when the interrupt comes.
    program = textwrap.dedent(
        """
        import signal
        import sys
        from statewise.cli import main
        if __name__ == "__main__":
            # A shell that starts the tests in the background has them ignore interrupts, and children inherit that.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.exit(main(["compare", "parity", "--models", "mingru", "--sizes", "256", "--steps", sys.argv[1],
                           "--seeds", "0", "1", "2", "--workers", "2", "--no-page", "--output", sys.argv[2]]))
        """
    )
    script, output = tmp_path / "script.py", tmp_path / "runs"
    script.write_text(program)
    process = subprocess.Popen(
        [sys.executable, str(script), "100000000", str(output)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not list(output.glob(".partial-*/events.jsonl")) and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, said
    assert f"0 of 3 runs are finished and kept in {output}" in said
    assert "Traceback" not in said
    assert folders(output) == set()


def test_events_of_evaluations_reach_the_watcher(store, watcher, make_run):
    run_all([make_run(evaluate_every=1)], store, watcher, workers=1)
    assert {event.split for _, event in watcher.events if isinstance(event, Evaluated)} == {"validation"}
