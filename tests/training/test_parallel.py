"""One model over two real processes: the curve of one process, shares that are shares, and checkpoints for any number.

The processes are torchrun's, and run every case of `parallel_worker.py` in one launch: each launch takes seconds.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from statewise.training import Group
from statewise.training.group import ALONE
from training import parallel_worker as worker

SECONDS = 600
"""Twenty times what it takes where nothing else runs: a process that hangs must not hang the suite."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parallel")


@pytest.fixture(scope="module")
def found(folder):
    """What each of the two processes found, the main one's first."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    done = subprocess.run(
        [*launch, "--nproc-per-node", "2", worker.__file__, folder],
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.fixture(scope="module")
def alone():
    """The trainings that the divided ones are to equal, in this process."""
    return {case: worker.run(case, ALONE) for case in (worker.PLAIN, worker.TASK_OF_VECTORS)}


def largest_difference(one, other):
    assert len(one) == len(other) > 0
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def assert_same_training(divided, whole, *, most=1e-9):
    expected = {str(step): loss for step, loss in whole["losses"].items()}
    assert list(divided["losses"]) == list(expected)
    assert largest_difference(divided["losses"].values(), expected.values()) < most
    assert largest_difference(divided["scores"], whole["scores"]) < most
    for name, weights in whole["weights"].items():
        assert largest_difference(divided["weights"][name], weights) < most, name
    assert divided["tokens"] == whole["tokens"]


@pytest.mark.parametrize("name", worker.SAME_CURVES)
def test_two_processes_train_as_one_does_with_the_same_batch(found, alone, name):
    """In float64, over rows that divide unevenly, with different numbers of scored tokens, clipped, and with parameters
    that get no gradient."""
    assert_same_training(found[0][name], alone[worker.PLAIN])


def test_so_they_do_where_tokens_are_vectors(found, alone):
    assert_same_training(found[0]["vectors"], alone[worker.TASK_OF_VECTORS])


def test_accumulation_changes_one_process_by_rounding_alone(alone):
    divided = worker.run(worker.Case(accumulation=3), ALONE)
    divided["losses"] = {str(step): loss for step, loss in divided["losses"].items()}
    assert_same_training(divided, alone[worker.PLAIN])


def test_the_rows_of_the_cases_differ_in_what_is_scored(alone):
    """Else a mean of means would be right too."""
    batch = worker.TASKS[worker.PLAIN.task]().examples("train", seed=3, start=0, count=7, size=6)
    counts = [
        int(batch.scored[first : first + count].sum()) for first, count in (Group(r, 2).rows(0, 7) for r in (0, 1))
    ]
    assert counts[0] / 3 != counts[1] / 4


def test_every_process_ends_with_the_same_weights_and_the_main_one_alone_speaks(found):
    for name in worker.SAME_CURVES:
        assert found[0][name]["weights"] == found[1][name]["weights"]
        assert found[0][name]["losses"] == found[1][name]["losses"]
        assert found[0][name]["said"] > 2
        assert found[1][name]["said"] == 0


def test_under_fsdp_each_process_holds_its_half(found):
    shares = [process["shares"] for process in found]
    for share in shares:
        assert share["world"] == 2
        assert share["sharded"]
        assert share["state sharded"]
        assert share["parameters"] == share["whole"]
        assert 0.4 < share["here"] / share["whole"] < 0.6
    assert shares[0]["here"] + shares[1]["here"] == shares[0]["whole"]


@pytest.mark.parametrize("name", worker.LOW)
def test_a_precision_is_the_same_in_two_processes_and_is_not_full(found, name):
    case = replace(worker.LOW[name], kind="none")
    one, full = (
        list(worker.run(replace(case, precision=precision), ALONE)["losses"].values())
        for precision in (case.precision, "full")
    )
    assert largest_difference(found[0][name]["losses"].values(), one) < 2e-3
    assert 1e-5 < largest_difference(one, full) < 2e-2


def test_two_processes_then_one_then_two_give_the_curve_of_one(found, alone):
    interrupted = found[0][worker.CHECKPOINTED]
    assert_same_training({**interrupted, "scores": alone[worker.PLAIN]["scores"]}, alone[worker.PLAIN])
    assert interrupted["files"] == ["000000000001.safetensors"]


def test_a_checkpoint_of_shards_holds_what_one_process_would_have_written(found, folder, tmp_path):
    worker.run(worker.TASK_OF_VECTORS, ALONE, keeper=worker.Files(tmp_path / "whole"))
    whole, sharded = worker.kept_in(tmp_path / "whole"), worker.kept_in(folder / "vectors")
    assert list(sharded) == list(whole)
    for name, (shape, dtype, total) in whole.items():
        assert sharded[name][:2] == [shape, dtype], name
        assert sharded[name][2] == pytest.approx(total, abs=1e-9), name


def test_a_split_with_fewer_examples_than_processes_is_scored_once(found):
    expected = worker.scores_of_a_few(ALONE)
    for process in found:
        assert process["few"] == pytest.approx(expected, abs=1e-12)


def test_what_is_asked_for_and_is_not_so_is_refused_in_every_process(found):
    for process in found:
        said = process["refusals"]
        assert said["batch"] == (
            "UsageError: training: batch_size is 7; 2 processes with accumulation 4 need at least 8"
        )
        assert said["sharded"] == (
            "RunError: parallel is fsdp, and embedding.weight is not sharded: every process holds all of it"
        )
        assert said["twice"] == "UsageError: join: torch.distributed is initialised already; leave that to join"
        assert said["dtype"] == (
            "UsageError: precision is bf16-weights, which needs weights kept in float32; these are float64"
        )
