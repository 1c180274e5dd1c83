"""`statewise train` under real launchers: one record, one voice, and an end for all when one process fails."""

import os
import subprocess
import sys
import time

import pytest

from statewise.runs import RunStore
from statewise.studies import load

pytestmark = pytest.mark.slow

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
ACCELERATE = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1"]
ACCELERATE += ["--mixed_precision", "no", "--dynamo_backend", "no"]
SMALL = ["--sizes", "4", "--steps", "6", "--batch-size", "4", "--width", "6", "--no-keep-memory"]

SECONDS = 600
"""Twenty times what it takes where nothing else runs."""

FAILING = """
import os, signal
from statewise.mixers import MinGRU

class Failing(MinGRU):
    seen = 0

    def forward(self, x, state=None, *, reset=None):
        Failing.seen += 1
        if os.environ.get("RANK") == "1" and Failing.seen == 5:
            {how}
        return super().forward(x, state, reset=reset)
"""


def statewise(folder, launcher, *options, task="parity", stdin=""):
    """What the command printed and how it ended; its own run folder is `runs` in `folder`."""
    return subprocess.run(
        [sys.executable, *launcher, "-m", "statewise", "train", task, *SMALL, "--output", "runs", *options],
        cwd=folder,
        input=stdin,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def test_two_processes_leave_the_record_of_one_with_the_same_name(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = statewise(tmp_path / "one", [])
    two = statewise(
        tmp_path / "two", TORCHRUN, "--parallel", "fsdp", "--accumulation", "2", "--processes-expected", "2"
    )
    assert (one.returncode, two.returncode) == (0, 0), two.stderr[-4000:]
    (alone,), (together,) = (list(RunStore(tmp_path / name / "runs").records()) for name in ("one", "two"))
    assert together.name == alone.name
    assert together.training["division"] == "2 processes by fsdp, accumulation 2"
    assert alone.training["division"] == "1 process"
    assert together.training["tokens"] == alone.training["tokens"]
    assert together.results[0].loss == pytest.approx(alone.results[0].loss, abs=1e-5)
    assert two.stdout.count("parameters,") == one.stdout.count("parameters,") == 1
    assert load(tmp_path / "two" / "runs" / together.name).record == together
    assert not list((tmp_path / "two" / "runs").glob(".partial-*"))


def test_the_error_of_one_process_ends_all_and_is_said_and_recorded_once(tmp_path):
    (tmp_path / "failing.py").write_text(FAILING.format(how='raise ValueError("no more")'))
    begun = time.monotonic()
    done = statewise(tmp_path, TORCHRUN, "--models", "failing.Failing", "--parallel", "ddp")
    assert time.monotonic() - begun < SECONDS / 2
    assert done.returncode == 1
    assert done.stderr.count("no more") == 1, done.stderr[-4000:]
    assert "statewise: process 1 of 2: ValueError: no more\n" in done.stderr
    (record,) = RunStore(tmp_path / "runs").records()
    assert (record.status, record.because) == ("crashed", "process 1 of 2: ValueError: no more")


def test_a_process_that_is_killed_ends_all(tmp_path):
    (tmp_path / "failing.py").write_text(FAILING.format(how="os.kill(os.getpid(), signal.SIGKILL)"))
    done = statewise(tmp_path, TORCHRUN, "--models", "failing.Failing", "--parallel", "ddp")
    assert done.returncode == 1
    assert not [record for record in RunStore(tmp_path / "runs").records() if record.status == "finished"]


def test_what_every_process_refuses_is_said_once(tmp_path):
    done = statewise(tmp_path, TORCHRUN)
    assert done.returncode == 1
    assert done.stderr.count("statewise: parallel is none, and there are 2 processes") == 1
    assert not (tmp_path / "runs").exists()


def test_standard_input_is_the_corpus_of_all_processes(tmp_path):
    text = "".join(f"to be or not to be; {number * number}\n" for number in range(20_000))
    asked = ["--parallel", "ddp", "--file", "-", "--cache", "cache"]
    done = statewise(tmp_path, TORCHRUN, *asked, task="text", stdin=text)
    assert done.returncode == 0, done.stderr[-4000:]
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.read_text() == text
    (record,) = RunStore(tmp_path / "runs").records()
    assert record.training["division"] == "2 processes by ddp"
    done = statewise(tmp_path, TORCHRUN, *asked, task="text")
    assert done.returncode == 1
    assert done.stderr.count("statewise: text: standard input is empty\n") == 1


def test_a_state_that_is_to_be_carried_by_several_processes_is_refused_once_and_leaves_nothing(tmp_path):
    done = statewise(tmp_path, TORCHRUN, "--parallel", "ddp", "--carry-state", task="text")
    assert done.returncode == 1
    assert done.stderr.count("statewise: training: with carry_state a state is carried by one process") == 1
    assert "asked for were 2 processes by ddp, in full: leave out carry_state" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_accelerate_on_a_cpu_starts_one_process_and_is_found_out(tmp_path):
    done = statewise(tmp_path, ACCELERATE, "--parallel", "ddp")
    assert done.returncode != 0
    assert "statewise: parallel is ddp, and this process is alone: start it with: torchrun" in done.stderr
    assert not (tmp_path / "runs").exists()
