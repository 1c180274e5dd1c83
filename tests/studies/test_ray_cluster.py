"""Real Ray clusters on this machine: workers killed, a node lost, an interrupt. The same records as without."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from statewise.core.events import Evaluated
from statewise.runs import RunStore
from statewise.studies import run_all
from statewise.studies.executors import Ray

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to find the worker of a run"),
]
ray = pytest.importorskip("ray")

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
PATIENCE = {"RAY_worker_register_timeout_seconds": "300", "RAY_health_check_timeout_ms": "60000"}
"""Of Ray's with itself: a machine that does other things too is slow, not dead."""

TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """One thread, as a worker with one CPU has; a mixer of these tests, which workers find; nobody told."""
    for name, value in {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(TESTS), **PATIENCE}.items():
        monkeypatch.setenv(name, value)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cluster(surroundings):
    """A head and a second node, one CPU each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    cluster.other = cluster.add_node(**NODE)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def long_run(make_run, seed):
    """A run of hardly any work, that takes longer than a worker takes to start."""
    run = make_run(seed, steps=400, evaluate_every=20, solved_at=None)
    return replace(run, model=replace(run.model, stack="studies.patient.Patient"))


def workers_at(store):
    """The processes that write the events of a run, by the run's name: whoever else has the file open."""
    found = {}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = link.readlink()
        except OSError:
            continue
        pid, folder = int(link.parts[2]), target.parent
        if target.name == "events.jsonl" and folder.parent == store.root and pid != os.getpid():
            found[folder.name.split("-")[1]] = pid
    return found


def nodes_of(pids):
    """Which node each process belongs to: the node's own process is its parent."""
    return {pid: int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in pids}


def weights(store, run):
    return load_file(store.root / run.name / "model.safetensors")


def assert_same_as_here(runs, records, store, elsewhere, watcher):
    """Results, and weights bit by bit, are those of one thread in this process."""
    here = run_all(runs, elsewhere, watcher, workers=1)
    for run, record, alone in zip(runs, records, here, strict=True):
        assert record.status == "finished"
        assert record.name == run.name
        assert record.environment["threads"] == 1
        assert record.results == alone.results
        for name, tensor in weights(elsewhere, run).items():
            assert weights(store, run)[name].equal(tensor), name


class Saboteur:
    """A watcher that does something once, as soon as two runs have been evaluated on two workers."""

    def __init__(self, watcher, store, act):
        self.watcher, self.store, self.act = watcher, store, act
        self.heard = set()

    def __getattr__(self, name):
        return getattr(self.watcher, name)

    def event(self, run, event):
        self.watcher.event(run, event)
        if isinstance(event, Evaluated):
            self.heard.add(run.name)
        if self.act is not None and len(self.heard) >= 2 and len(workers := workers_at(self.store)) == 2:
            act, self.act = self.act, None
            act(workers)


def test_a_killed_worker_and_a_lost_node_lose_nothing(cluster, store, watcher, make_run, tmp_path, capfd):
    runs = [long_run(make_run, seed) for seed in range(3)]
    killed = []

    def kill_a_worker(workers):
        killed.append(min(workers))
        os.kill(workers[killed[0]], signal.SIGKILL)
        saboteur.heard.clear()
        saboteur.act = lose_a_node

    def lose_a_node(workers):
        raylet = cluster.other.all_processes["raylet"][0].process.pid
        parents = nodes_of(workers.values())
        killed.append(next(name for name, pid in workers.items() if parents[pid] == raylet))
        cluster.remove_node(cluster.other, allow_graceful=False)

    saboteur = Saboteur(watcher, store, kill_a_worker)
    records = run_all(runs, store, saboteur, workers=None, executor=Ray(address=cluster.address))
    assert saboteur.act is None, "both were done"
    assert len(killed) == 2
    assert {path.name for path in store.root.iterdir()} == {run.name for run in runs}
    notes = [note for note in watcher.notes if "its worker was lost, tried again, 1 of 3" in note]
    assert len(notes) == 2
    assert "WorkerCrashedError: " in notes[0]
    assert "NodeDiedError: " in notes[1]
    assert sorted(watcher.begun) == sorted(watcher.ended) == sorted(run.name for run in runs)
    assert not ray.is_initialized()
    assert "raylet" not in capfd.readouterr().out
    assert_same_as_here(runs, records, store, RunStore(tmp_path / "here"), watcher)


def test_a_run_that_keeps_losing_its_worker_is_recorded_with_the_reason(store, watcher, make_run):
    """On a cluster that the executor starts and ends itself."""
    runs = [long_run(make_run, 0), make_run(1)]
    doomed = runs[0].name
    over = threading.Event()

    def kill_again_and_again():
        while not over.wait(0.05):
            if pid := workers_at(store).get(doomed):
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_again_and_again)
    killer.start()
    try:
        crashed, fine = run_all(runs, store, watcher, workers=1, executor=Ray(retries=1))
    finally:
        over.set()
        killer.join()
    assert crashed.status == "crashed"
    assert crashed.because.startswith("its worker was lost, 2 times in all: WorkerCrashedError: The worker died")
    assert fine.status == "finished"
    assert RunStore(store.root).find(doomed) == crashed
    assert not ray.is_initialized()


def test_an_interrupt_cancels_what_runs_and_keeps_what_is_finished(cluster, tmp_path):
    program = textwrap.dedent(
        """
        import signal
        import sys
        from statewise.cli import main
        if __name__ == "__main__":
            # A shell that starts the tests in the background has them ignore interrupts, and children inherit that.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.exit(main(["compare", "parity", "--models", "mingru", "--sizes", "256", "--steps", sys.argv[1],
                           "--seeds", *sys.argv[4:], "--no-page", "--output", sys.argv[2],
                           "--executor", "ray", "--address", sys.argv[3]]))
        """
    )
    script, output = tmp_path / "script.py", tmp_path / "runs"
    script.write_text(program)

    def start(steps, *seeds):
        arguments = [sys.executable, str(script), steps, str(output), cluster.address, *seeds]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)

    process = start("2", "0")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "Verdict" in said
    process = start("100000000", "0", "1", "2")
    try:
        deadline = time.monotonic() + 120
        while len(workers_at(RunStore(output))) < 2 and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert f"0 of 3 runs are finished and kept in {output}" in said
    assert "Traceback" not in said
    assert workers_at(RunStore(output)) == {}
    assert [record.status for record in RunStore(output).records()] == ["finished"]
