"""A command that is killed goes on when it is typed again."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from statewise.runs import RunStore

PATIENCE = 300


def command(output, corpus):
    return [
        sys.executable, "-m", "statewise", "train", "text", "--file", str(corpus), "--models", "mingru",
        "--steps", "40", "--width", "16", "--depth", "1", "--sizes", "32", "--batch-size", "2",
        "--checkpoint-every", "0.01s", "--output", str(output),
    ]  # fmt: skip


def weights(output):
    (record,) = RunStore(output).records()
    return load_file(output / record.name / "model.safetensors"), record


@pytest.mark.slow
def test_training_on_text_goes_on_after_a_kill_to_the_same_bits(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.write_bytes(bytes(range(32, 127)) * 200)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen(command(tmp_path / "killed", corpus), env=environment, start_new_session=True)
    deadline = time.monotonic() + PATIENCE
    while not list(tmp_path.glob("killed/.partial-*/checkpoint/*.safetensors")) and time.monotonic() < deadline:
        assert killed.poll() is None
        time.sleep(0.001)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(PATIENCE)
    again = subprocess.run(
        command(tmp_path / "killed", corpus), env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert again.returncode == 0, again.stderr
    assert "goes on from step" in again.stderr
    subprocess.run(
        command(tmp_path / "alone", corpus), env=environment, capture_output=True, timeout=PATIENCE, check=True
    )
    (ours, record), (theirs, alone) = weights(tmp_path / "killed"), weights(tmp_path / "alone")
    assert record.training["resumed_at"]
    assert record.results == alone.results
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
