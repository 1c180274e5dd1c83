"""One run: what its record says is what its configuration asked and its saved model does."""

import mmap
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

import statewise
from statewise.capacity import read_index_lookup
from statewise.core.events import Finished
from statewise.core.random import child_seed, seeded
from statewise.models import LanguageModel, ModelConfig, load_model
from statewise.runs import RunStore
from statewise.studies import EvaluationConfig, environment, execute
from statewise.studies.environment import git_revision
from statewise.tasks import IndexLookup, Parity, Text
from statewise.training import evaluate


class Listener:
    def __init__(self):
        self.heard = []

    def write(self, event):
        self.heard.append(event)


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


@pytest.fixture
def lookup(make_run):
    """A run on index lookup, whose cut lies before its queries."""
    return replace(
        make_run(seed=5, sizes=(8,)),
        task=IndexLookup(alphabet=4, queries=3).identity(),
        model=ModelConfig(vocabulary=64, width=4, stack="gru+attention", positions="learned", max_length=32),
        evaluation=EvaluationConfig(sizes=(8,), examples=24, strings=16),
    )


def model_of(store, run):
    return load_model(store.root / run.name / "model.safetensors")


def test_results_are_those_of_the_saved_model_on_the_test_split(store, lookup):
    (result,) = execute(lookup, store, Listener()).results
    model, task = model_of(store, lookup), IndexLookup(alphabet=4, queries=3)
    scores = {
        split: evaluate(model, task, split=split, size=8, examples=24, seed=5) for split in ("test", "validation")
    }
    assert result.loss == pytest.approx(scores["test"].loss, rel=1e-6)
    assert result.loss != pytest.approx(scores["validation"].loss, rel=1e-4)
    assert result.token_accuracy == scores["test"].token_accuracy
    assert result.sequence_accuracy == scores["test"].sequence_accuracy
    assert result.sequences == 24


def test_the_state_is_counted_at_the_cut_and_its_counters_apart(store, lookup):
    (result,) = execute(lookup, store, Listener()).results
    assert result.state_bits == 32 * 4 + 2 * 8 * 32 * 4
    assert result.counter_bits == 64 + 64


def test_bits_are_recovered_where_the_meter_applies_and_is_asked(store, lookup):
    (result,) = execute(lookup, store, Listener()).results
    reading = read_index_lookup(
        model_of(store, lookup), IndexLookup(alphabet=4, queries=3), 8, strings=16, seed=5
    )  # fmt: skip
    assert result.recovered_bits == pytest.approx(reading.recovered_bits)
    assert result.recovered_at_least == pytest.approx(reading.at_least)
    without = replace(lookup, evaluation=replace(lookup.evaluation, strings=0))
    (result,) = execute(without, store, Listener()).results
    assert (result.recovered_bits, result.recovered_at_least) == (None, None)


def test_the_meter_passes_over_other_tasks(store, make_run):
    run = replace(make_run(), evaluation=EvaluationConfig(sizes=(4,), examples=16, strings=16))
    assert execute(run, store, Listener()).results[0].recovered_bits is None


@pytest.mark.parametrize(
    ("stack", "conv", "recurrent", "non_negative_decay"),
    [
        ("mingru+minlstm", 0, True, True),
        ("mingru", 2, True, False),
        ("mingru+gru", 0, True, False),
        ("mingru+attention", 0, False, False),
    ],
)
def test_facts_hold_for_every_layer_of_the_stack(store, make_run, stack, conv, recurrent, non_negative_decay):
    run = replace(make_run(), model=ModelConfig(vocabulary=2, width=4, stack=stack, conv=conv))
    facts = execute(run, store, Listener()).facts
    assert (facts["recurrent"], facts["non_negative_decay"]) == (recurrent, non_negative_decay)
    assert facts["parameters"] == sum(parameter.numel() for parameter in model_of(store, run).parameters())


@pytest.mark.parametrize("seed", [0, 1])
def test_weights_start_from_the_seed_and_leave_the_global_generator_alone(store, make_run, seed):
    run = make_run(seed, steps=1, learning_rate=1e-12)
    before = torch.get_rng_state()
    execute(run, store, Listener())
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(child_seed(seed, "weights")):
        fresh = LanguageModel(**vars(run.model))
    for one, other in zip(model_of(store, run).parameters(), fresh.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-9)


def test_training_data_follow_the_seed(store, make_run, monkeypatch):
    seeds = []
    examples = Parity.build

    def watched(task, words, size, *, split, start):
        if split == "train":
            seeds[-1].append(words.tolist())
        return examples(task, words, size, split=split, start=start)

    monkeypatch.setattr(Parity, "build", watched)
    for seed in (0, 1):
        seeds.append([])
        execute(make_run(seed), store, Listener())
    assert len(seeds[0]) == len(seeds[1]) == 3
    assert seeds[0] != seeds[1]


def test_events_go_to_the_folder_and_to_the_listener(store, make_run):
    listener = Listener()
    run = make_run(evaluate_every=1)
    execute(run, store, listener)
    assert isinstance(listener.heard[-1], Finished)
    lines = (store.root / run.name / "events.jsonl").read_text().splitlines()
    assert len(lines) == len(listener.heard) > 3


@pytest.mark.parametrize(("time", "budget"), [(None, "steps"), (0.05, "wall-clock")])
def test_the_cost_is_recorded_with_its_kind_of_budget(store, make_run, time, budget):
    training = execute(make_run(time=time, solved_at=None), store, Listener()).training
    assert training["budget"] == budget
    assert training["tokens"] == training["steps"] * 4 * 4
    assert time is not None or training["steps"] == 3
    assert training["tokens_per_second"] == pytest.approx(training["tokens"] / training["seconds"])


def test_the_machine_is_recorded(store, make_run):
    record = execute(make_run(), store, Listener())
    environment = record.environment
    assert environment["torch"] == torch.__version__
    assert environment["statewise"] == statewise.__version__
    assert environment["python"] == ".".join(map(str, sys.version_info[:3]))
    assert environment["threads"] == torch.get_num_threads()
    assert environment["kernels"]["scans"].startswith("cpu: float32 on the CPU; ")
    assert environment["kernels"]["torch"] == f"cpu: {torch.backends.cpu.get_cpu_capability()} instructions"
    assert 5e7 < environment["peak_memory"] < 1e11
    assert record.training["wall_seconds"] >= record.training["seconds"]
    assert record.training["resumed_at"] == []


def git(folder, *arguments):
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    told = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return told.stdout.strip()


def test_the_revision_of_the_working_directory_is_recorded_where_there_is_one(tmp_path):
    assert git_revision(tmp_path / "absent") is None
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "init", "-q")
    assert git_revision.__wrapped__(tmp_path) is None
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "a")
    git(tmp_path, "tag", "v1")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_revision.__wrapped__(tmp_path) == commit
    (tmp_path / "code.py").write_text("2")
    assert git_revision.__wrapped__(tmp_path) == f"{commit}-dirty"


def test_without_git_there_is_no_revision_and_no_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "GIT", ("no-such-git", *environment.GIT[1:]))
    assert git_revision.__wrapped__(tmp_path) is None


def test_the_peak_of_memory_is_that_of_the_run_and_not_of_an_earlier_one():
    environment.watch_memory()
    low = environment.peak_memory()
    # Pages of our own: what torch frees may be kept in the process, as other tests ask for.
    with mmap.mmap(-1, 2**28) as pages:
        for page in range(0, 2**28, mmap.PAGESIZE):
            pages[page] = 1
        high = environment.peak_memory()
    environment.watch_memory()
    assert high - low > 0.9 * 2**28
    assert environment.peak_memory() - low < 0.1 * 2**28


def test_a_text_with_few_windows_is_measured_on_those_it_has(store, make_run, tmp_path):
    (tmp_path / "corpus").write_bytes(bytes(range(250)) * 4)
    run = replace(
        make_run(sizes=(16,)),
        task=Text(file=str(tmp_path / "corpus")).identity(),
        model=ModelConfig(vocabulary=256, width=4),
        evaluation=EvaluationConfig(sizes=(16,), examples=None, strings=0),
    )
    (result,) = execute(run, store, Listener()).results
    assert (result.sequences, result.state_bits) == (6, 4 * 32)
