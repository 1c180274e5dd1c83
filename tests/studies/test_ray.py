"""The Ray executor on a cluster that is played: what is sent, tried again, recorded, said and put away."""

import json
import logging
import os
import pickle
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from statewise.core.errors import MissingExtraError, RunError, UsageError
from statewise.core.events import Evaluated, Finished
from statewise.runs import RunStore
from statewise.studies import run_all
from statewise.studies.executors import Local, Ray, Slots, one_run
from statewise.studies.executors.events import EventFiles
from statewise.studies.executors.ray_quiet import LISTENER, quiet
from statewise.studies.executors.ray_reach import check_reachable
from statewise.studies.executors.ray_tasks import Preparation, Setting, work
from studies.fake_ray import FakeRay, TaskCancelledError
from studies.prepared import leave_a_mark


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """Tasks of the played cluster run in this process, and set its directory and its threads."""
    before = torch.get_num_threads()
    monkeypatch.chdir(Path.cwd())
    yield
    torch.set_num_threads(before)


@pytest.fixture
def play(monkeypatch):
    """Put a played Ray in the place of the real one."""

    def put(**script):
        ray = FakeRay(**script)
        monkeypatch.setitem(sys.modules, "ray", ray)
        return ray

    return put


def test_runs_are_tasks_and_leave_the_same_records_as_here(play, store, watcher, make_run, tmp_path):
    ray = play()
    runs = [make_run(seed, evaluate_every=1) for seed in range(3)]
    here = run_all(runs, RunStore(tmp_path / "here"), type(watcher)(), workers=1)
    records = run_all(runs, store, watcher, workers=None, executor=Ray(cpus=1, gpus=0.0))
    assert [record.name for record in records] == [run.name for run in runs]
    assert [record.results for record in records] == [record.results for record in here]
    assert {path.name for path in store.root.iterdir()} == {run.name for run in runs}
    assert [store.find(run.name) for run in runs] == records
    assert ray.requests == [{"max_retries": 0, "num_cpus": 1, "num_gpus": 0.0}]
    assert watcher.begun == watcher.ended == [run.name for run in runs]
    assert {event.step for name, event in watcher.events if isinstance(event, Evaluated)} == {1, 2, 3}
    assert [name for name, event in watcher.events if isinstance(event, Finished)] == watcher.ended
    assert ray.session is None
    again = run_all(runs, store, watcher, workers=None, executor=Ray())
    assert again == records
    assert len(ray.sessions) == 1, "nothing is missing, so no cluster is started"


def test_a_run_computes_with_as_many_threads_as_it_asks_for_cpus(play, store, watcher, make_run):
    play(nodes=[{"CPU": 4.0}])
    (record,) = run_all([make_run()], store, watcher, workers=None, executor=Ray(cpus=3))
    assert record.environment["threads"] == 3


def test_at_most_so_many_runs_are_sent_at_a_time(play, store, watcher, make_run):
    ray = play()
    run_all([make_run(seed) for seed in range(5)], store, watcher, workers=2, executor=Ray())
    assert ray.most == 2
    assert ray.sessions[0]["num_cpus"] == 2


def test_a_lost_worker_is_noted_and_its_run_tried_again(play, store, watcher, make_run):
    play(lost={1: 2})
    records = run_all([make_run(seed) for seed in range(3)], store, watcher, workers=None, executor=Ray(retries=2))
    assert [record.status for record in records] == ["finished"] * 3
    title = make_run(1).title
    assert watcher.notes == [
        f"{title} · its worker was lost, tried again, {again} of 2 · WorkerCrashedError: The worker died"
        for again in (1, 2)
    ]
    assert sorted(watcher.begun) == sorted(watcher.ended) == sorted(record.name for record in records)


def test_a_run_that_loses_too_many_workers_is_recorded_and_run_when_asked_again(play, store, watcher, make_run):
    play(lost={0: 3})
    runs = [make_run(0), make_run(1)]
    crashed, fine = run_all(runs, store, watcher, workers=None, executor=Ray(retries=2))
    assert (crashed.status, fine.status) == ("crashed", "finished")
    assert crashed.because == "its worker was lost, 3 times in all: WorkerCrashedError: The worker died"
    assert store.find(runs[0].name) == crashed
    repaired, kept = run_all(runs, store, watcher, workers=None, executor=Ray())
    assert repaired.status == "finished"
    assert kept == fine


def test_a_node_without_the_runs_folder_is_a_crashed_run_that_says_so(play, store, watcher, make_run):
    ray = play(on_init=lambda: store.root.rmdir())
    (record,) = run_all([make_run()], store, watcher, workers=None, executor=Ray())
    assert record.status == "crashed"
    assert record.because == (
        f"it did not begin: RunError: there is no {store.root} on {socket.gethostname()}: "
        "the runs folder must be on storage that all nodes share"
    )
    assert len(ray.done) == 1, "what is not lost is not tried again"


def test_a_folder_that_does_not_come_back_is_noted(play, store, watcher, make_run, tmp_path, monkeypatch):
    """As where two nodes have a folder of the same name that is not the same."""
    play()
    there = RunStore(tmp_path / "elsewhere")
    there.check_writable()
    monkeypatch.setattr(RunStore, "__reduce__", lambda _store: (RunStore, (there.root,)))
    (record,) = run_all([make_run()], store, watcher, workers=None, executor=Ray())
    assert record.status == "finished"
    assert watcher.notes == [
        f"{make_run().title} · ended, but is not in {store.root}: "
        "the runs folder must be on storage that all nodes share"
    ]


@pytest.mark.parametrize("stubborn", [False, True])
def test_an_interrupt_cancels_what_runs_and_keeps_what_is_finished(play, store, watcher, make_run, stubborn):
    ray = play(interrupt=2, stubborn=stubborn)
    runs = [make_run(seed) for seed in range(4)]
    with pytest.raises(KeyboardInterrupt):
        run_all(runs, store, watcher, workers=3, executor=Ray())
    assert watcher.ended == [runs[0].name]
    assert [path.name for path in store.root.iterdir()] == [runs[0].name]
    flying = [1, 2, 3]
    assert ray.cancelled == [(task, force) for force in (False, True)[: 1 + stubborn] for task in flying]
    assert ray.session is None


def test_a_session_of_the_callers_is_used_and_left(play, store, watcher, make_run):
    ray = play()
    ray.init(theirs=True)
    run_all([make_run()], store, watcher, workers=None, executor=Ray())
    assert ray.sessions == [{"theirs": True}]
    assert ray.session == {"theirs": True}


def test_a_cluster_of_its_own_is_quiet_and_sends_nothing_home(play, store, watcher, make_run, monkeypatch):
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    seen, before = [], logging.getLogger("ray").level
    ray = play(on_init=lambda: seen.append((os.environ["RAY_USAGE_STATS_ENABLED"], logging.getLogger("ray").level)))
    run_all([make_run()], store, watcher, workers=1, executor=Ray())
    assert seen == [("0", logging.ERROR)]
    assert "RAY_USAGE_STATS_ENABLED" not in os.environ
    assert logging.getLogger("ray").level == before
    (settings,) = ray.sessions
    assert settings["address"] == "local"
    assert settings["include_dashboard"] is False
    assert settings["log_to_driver"] is False


def test_what_ray_says_of_lost_workers_does_not_reach_standard_output(capsys):
    before = signal.getsignal(signal.SIGTERM)
    with quiet():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for name in (LISTENER, "other"):
            thread = threading.Thread(target=print, args=(f"said by {name}",), name=name)
            thread.start()
            thread.join()
        assert sys.stdout.isatty() is False
    assert capsys.readouterr().out == "said by other\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_every_worker_is_prepared_once_whatever_travels(store, make_run, tmp_path):
    store.check_writable()
    marks = tmp_path / "marks"
    marks.mkdir()
    setting = Setting(tmp_path, 1, Preparation(partial(leave_a_mark, marks)), ())
    records = [work(*pickle.loads(pickle.dumps((make_run(seed), store, setting)))) for seed in (0, 1)]
    assert [record.status for record in records] == ["finished", "finished"]
    assert [path.name for path in marks.iterdir()] == [str(os.getpid())]


def test_paths_are_relative_to_where_the_command_was_given(store, make_run, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="there is no runs on"):
        work(make_run(), RunStore(Path("runs")), Setting(tmp_path / "here", 1, None, ()))
    monkeypatch.chdir("/")
    (tmp_path / "here/runs").mkdir()
    assert work(make_run(), RunStore(Path("runs")), Setting(tmp_path / "here", 1, None, ())).status == "finished"


def test_a_run_that_is_cancelled_leaves_no_record(store, make_run, tmp_path, monkeypatch):
    def cancelled(*_):
        raise TaskCancelledError

    store.check_writable()
    monkeypatch.setattr(one_run, "execute", cancelled)
    with pytest.raises(TaskCancelledError):
        work(make_run(), store, Setting(tmp_path, 1, None, (TaskCancelledError,)))
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize(
    ("nodes", "executor", "workers", "expected"),
    [
        ([{"CPU": 4.0}, {"CPU": 3.0}], Ray(address="auto", cpus=2), None, Slots(3, 2)),
        ([{"CPU": 4.0}, {"CPU": 3.0}], Ray(address="auto", cpus=2), 2, Slots(2, 2)),
        ([{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0}], Ray(address="auto", gpus=0.5), None, Slots(2, 1)),
        ([{"CPU": 1.0}], Ray(address="auto", cpus=2), None, Slots(1, 2)),
        ([], Ray(), 3, Slots(3, 1)),
        ([], Ray(), 30, Slots(5, 1)),
    ],
)
def test_room_is_counted_node_by_node(play, nodes, executor, workers, expected):
    play(nodes=nodes)
    assert executor.slots(workers, 5) == expected


def test_a_cluster_without_room_is_waited_for_and_a_machine_without_it_refused(play, store, watcher, make_run):
    play(nodes=[{"CPU": 1.0}])
    executor = Ray(address="auto", cpus=2, gpus=1)
    run_all([make_run()], store, watcher, workers=None, executor=executor)
    assert watcher.notes == [
        "no node of the cluster has 2 CPUs and 1 GPU, which a run asks for: waiting for one",
    ]
    with pytest.raises(UsageError, match="this machine does not have 2 CPUs and 1 GPU, which a run asks for"):
        run_all([make_run(1)], store, watcher, workers=None, executor=replace(executor, address=None))


def test_without_ray_the_extra_is_named(store, watcher, make_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"the executor ray needs ray, .* pip install 'statewise\[ray\]'"):
        run_all([make_run()], store, watcher, workers=None, executor=Ray())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cpus": 0}, "cpus_per_run is 0; it must be at least 1"),
        ({"gpus": -1.0}, "gpus_per_run is -1; it must be a share up to 1, or a whole number"),
        ({"gpus": 1.5}, "gpus_per_run is 1.5; it must be a share up to 1, or a whole number"),
        ({"retries": -1}, "retries is -1; it must be at least 0"),
        *(
            ({"address": address}, f"address is '{address}'; it must be HOST:PORT of a cluster's head, or auto")
            for address in ("head", "head:", ":6379", "head:0", "head:65536", "ray://head:10001")
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(settings, message):
    with pytest.raises(UsageError) as caught:
        Ray(**settings)
    assert str(caught.value) == f"ray: {message}"


@pytest.fixture
def server():
    """A server at a free port of this machine that answers one call with what it is given, or with silence."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def answer(reply):
        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(reply)

        if reply is not None:
            threads.append(threading.Thread(target=serve))
            threads[-1].start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield answer
    for thread in threads:
        thread.join(timeout=10)
    listener.close()


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (None, "no cluster can be reached at {} (no answer); `ray start --head` prints the address to give"),
        (b"HTTP/1.1 400 Bad Request\r\n", "what answers at {} is not the head of a cluster"),
        (b"", "what answers at {} is not the head of a cluster"),
    ],
)
def test_an_address_where_no_cluster_answers_is_one_line_and_soon(server, reply, message):
    address = server(reply)
    begun = time.monotonic()
    with pytest.raises(UsageError) as caught:
        check_reachable(address, seconds=0.3)
    assert time.monotonic() - begun < 5
    assert str(caught.value).startswith("ray: " + message.format(address))
    assert "\n" not in str(caught.value)


def test_an_address_that_nobody_listens_at_is_one_line_and_at_once(store, watcher, make_run, play):
    play()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(UsageError, match=rf"no cluster can be reached at {address} \(connection refused\)"):
        run_all([make_run()], store, watcher, workers=None, executor=Ray(address=address))


def test_a_server_of_grpc_is_asked_to_let_us_join(server, play, store, watcher, make_run):
    def refuse():
        raise RuntimeError("Version mismatch:\n  ours: 1\n  theirs: 2")

    address = server(bytes([0, 0, 6, 4, 0, 0, 0, 0, 0]) + bytes(6))
    ray = play(on_init=refuse)
    with pytest.raises(UsageError) as caught:
        run_all([make_run()], store, watcher, workers=None, executor=Ray(address=address))
    assert str(caught.value) == (
        f"ray: the cluster at {address} cannot be joined: RuntimeError: Version mismatch: ours: 1 theirs: 2"
    )
    assert ray.sessions[0]["address"] == address


def line_of(step):
    return json.dumps({"event": "finished", "step": step, "status": "finished", "because": "", "seconds": 1.0}) + "\n"


def test_events_are_followed_from_line_to_line_and_to_the_end(tmp_path):
    going_on, over = tmp_path / ".partial-a", tmp_path / "a"
    going_on.mkdir()
    files = EventFiles(tmp_path)

    def steps():
        return [event.step for _, event in files.news(["a"])]

    assert steps() == []
    with (going_on / "events.jsonl").open("w") as file:
        file.write(line_of(1) + '{"event": "applause"}\n' + "torn\n" + line_of(2)[:20])
        file.flush()
        assert steps() == [1]
        file.write(line_of(2)[20:])
        file.flush()
        assert steps() == [2]
        assert steps() == []
        file.write(line_of(3))
    going_on.rename(over)
    assert steps() == [3]


def test_another_attempt_is_followed_from_its_beginning(tmp_path):
    files = EventFiles(tmp_path)
    path = tmp_path / ".partial-a" / "events.jsonl"
    path.parent.mkdir()
    for steps in ([1, 2, 3], [1]):
        path.write_text("".join(map(line_of, steps)))
        assert [event.step for _, event in files.news(["a"])] == steps


def test_the_local_executor_divides_its_threads():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(6)
        assert Local().slots(None, 100) == Slots(6, 1)
        assert Local().slots(4, 100) == Slots(4, 1)
        assert Local().slots(4, 2) == Slots(2, 3)
        assert Local().slots(1, 2) == Slots(1, 6)
    finally:
        torch.set_num_threads(before)


def test_a_run_that_is_missing_alone_has_the_threads_of_the_whole_plan(store, watcher, make_run):
    """Else it would end in other bits when it is taken up after an interruption."""
    torch.set_num_threads(4)
    runs = [make_run(0), make_run(1)]
    run_all(runs[:1], store, watcher, workers=1)
    _, alone = run_all(runs, store, watcher, workers=2)
    assert alone.environment["threads"] == 2
    assert torch.get_num_threads() == 4
