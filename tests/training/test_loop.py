"""The loop: it learns, stops when it should, says what it does, and repeats itself bit by bit."""

import math
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from statewise.core.errors import UsageError
from statewise.core.events import Evaluated, Finished, Progress
from statewise.core.random import seeded
from statewise.models import LanguageModel
from statewise.tasks import IndexLookup, Parity, Task
from statewise.training import Score, TrainingConfig, loop, train


class Listener(list):
    def write(self, event):
        self.append(event)

    def of(self, kind):
        return [event for event in self if isinstance(event, kind)]


def build(seed=0, **options):
    with seeded(seed):
        return LanguageModel(**{"vocabulary": 2, "width": 8, "stack": "gru", "feed_forward": 1, **options})


def settings(**options):
    plain = {"sizes": (4,), "steps": 8, "batch_size": 4, "evaluate_every": 1000, "warmup": 2, "validation": 8}
    return TrainingConfig(**{**plain, **options})


def run(model=None, task=None, seed=0, sink=None, **options):
    model = build() if model is None else model
    return train(model, task or Parity(), settings(**options), seed=seed, sink=Listener() if sink is None else sink)


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when a test says so."""
    now = SimpleNamespace(seconds=100.0, perf_counter=lambda: now.seconds)
    monkeypatch.setattr(loop, "time", now)
    return now


@pytest.fixture
def steps(monkeypatch, clock):
    """Steps that take one second, learn nothing, and are written down."""
    taken = SimpleNamespace(done=[], losses=None)

    def step(model, task, config, optimizer, **options):
        clock.seconds += 1.0
        taken.done.append(options)
        return (next(taken.losses) if taken.losses else 0.5), 10

    monkeypatch.setattr(loop, "one_step", step)
    return taken


@pytest.fixture
def scores(monkeypatch, clock):
    """Evaluations that take an hour, and say of each size what `accuracy` holds."""
    asked = SimpleNamespace(sizes=[], accuracy={})

    def evaluate(model, task, *, split, size, examples, seed, group):
        clock.seconds += 3600
        asked.sizes.append(size)
        return Score(1.0, 1.0, asked.accuracy.get(size, 0.0), 8)

    monkeypatch.setattr(loop, "evaluate", evaluate)
    return asked


# Learning


def test_a_gru_learns_parity_in_a_few_steps():
    sink = Listener()
    model = build(width=16)
    outcome = run(model, sink=sink, steps=400, batch_size=32, learning_rate=1e-2, evaluate_every=25, validation=64)
    assert outcome.status == "finished"
    assert outcome.because == f"solved on the validation split at step {outcome.step}"
    assert outcome.step < 400
    evaluated = sink.of(Evaluated)
    assert evaluated[-1].sequence_accuracy >= 0.999
    assert evaluated[0].loss > 0.1 > evaluated[-1].loss
    assert [event.step for event in evaluated] == list(range(25, outcome.step + 1, 25))
    assert outcome.tokens == outcome.step * 32 * 4


def test_every_parameter_is_trained():
    model = build(positions="learned", max_length=4)
    before = weights(model)
    run(model)
    after = weights(model)
    assert [name for name in before if torch.equal(before[name], after[name])] == []


def test_the_same_seed_gives_the_same_weights_bit_by_bit():
    models = [build() for _ in range(3)]
    for i, model in enumerate(models):
        with seeded(i):
            run(model, seed=3 if i < 2 else 4, evaluate_every=2 if i else 1000)
    one, again, other = map(weights, models)
    assert same(one, again)
    assert not same(one, other)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_no_global_random_number_is_drawn(dropout):
    before = torch.get_rng_state()
    run(build(dropout=dropout), evaluate_every=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_dropped_depends_on_the_seed_and_the_step_alone():
    models = [build(dropout=0.5), build(dropout=0.5), build()]
    for i, model in enumerate(models):
        with seeded(i):
            run(model, seed=3)
    one, again, whole = map(weights, models)
    assert same(one, again)
    assert not same(one, whole)


def test_every_step_drops_something_else(monkeypatch):
    model, kept = build(dropout=0.5), []
    model.blocks[0].dropout.register_forward_hook(lambda module, given, y: kept.append(y.detach() != 0))
    run(model, steps=2)
    assert not torch.equal(kept[0], kept[2])


def test_a_gradient_is_clipped_to_the_norm_that_is_set():
    """Adam divides by the gradient's size, except far below its ε: so small a norm stops all learning."""
    still, moved = build(), build()
    before = weights(still)
    run(still, clip=1e-30, weight_decay=0.0)
    run(moved, clip=1.0, weight_decay=0.0)
    change = max(float((before[name] - tensor).abs().max()) for name, tensor in weights(still).items())
    assert change < 1e-12
    assert not same(before, weights(moved))


def test_gradients_of_one_step_do_not_leak_into_the_next(monkeypatch):
    found = []
    clip = nn.utils.clip_grad_norm_

    def spy(parameters, norm):
        parameters = list(parameters)
        found.append([parameter.grad.clone() for parameter in parameters])
        return clip(parameters, norm)

    monkeypatch.setattr(loop.nn.utils, "clip_grad_norm_", spy)
    model = build()
    batch = Parity().examples("train", seed=0, start=4, count=4, size=4)
    run(model, steps=2, learning_rate=1e-30, weight_decay=0.0)
    model.zero_grad()
    loop.loss_of(model(batch.tokens)[0], batch).backward()
    for ours, expected in zip(found[1], model.parameters(), strict=True):
        torch.testing.assert_close(ours, expected.grad)


# Data


def test_training_reads_each_example_of_the_train_split_once_and_nothing_of_the_test_split(monkeypatch):
    asked = []
    examples = Task.examples

    def spy(task, split, **options):
        asked.append((split, options["seed"], options["start"], options["count"], options["size"]))
        return examples(task, split, **options)

    monkeypatch.setattr(Task, "examples", spy)
    run(seed=7, steps=30, sizes=(2, 4, 8), evaluate_every=10, validation=6)
    assert {split for split, *_ in asked} == {"train", "validation"}
    assert {seed for _, seed, *_ in asked} == {7}
    training = [(start, count) for split, _, start, count, _ in asked if split == "train"]
    assert training == [(4 * step, 4) for step in range(30)]
    assert {size for split, *_, size in asked if split == "train"} == {2, 4, 8}
    assert {(start, count, size) for split, _, start, count, size in asked if split == "validation"} == {(0, 6, 8)}


def test_sizes_are_drawn_about_equally_often_and_not_in_turn(monkeypatch):
    drawn = []
    examples = Task.examples

    def spy(task, split, **options):
        drawn.append(options["size"])
        return examples(task, split, **options)

    monkeypatch.setattr(Task, "examples", spy)
    run(steps=180, sizes=(1, 2, 3), batch_size=1, evaluate_every=1000)
    assert len(drawn) == 180
    assert all(abs(drawn.count(size) - 60) < 5 * (180 * 2 / 9) ** 0.5 for size in (1, 2, 3))
    assert drawn[:60] != drawn[60:120]
    assert len({tuple(pair) for pair in pairwise(drawn)}) == 9


@pytest.mark.parametrize("sizes", [(0,), (4, -1)])
def test_sizes_that_the_task_lacks_are_refused_before_anything_is_trained(steps, sizes):
    with pytest.raises(UsageError, match=f"parity: size is {min(sizes)}"):
        run(sizes=sizes)
    assert steps.done == []


# Budgets


def test_a_budget_of_steps_is_used_to_the_last_and_the_schedule_laid_over_it(steps):
    outcome = run(steps=5, learning_rate=1.0, warmup=1)
    assert [taken["step"] for taken in steps.done] == [0, 1, 2, 3, 4]
    expected = [0.5 * (1 + math.cos(math.pi * i / 5)) for i in range(5)]
    assert [taken["rate"] for taken in steps.done] == pytest.approx(expected)
    assert (outcome.step, outcome.tokens, outcome.seconds) == (5, 50, 5.0)
    assert outcome.tokens_per_second == 10.0
    assert (outcome.status, outcome.because) == ("finished", "the budget is used up")


def test_a_budget_of_time_replaces_that_of_steps_and_carries_the_schedule(steps):
    outcome = run(steps=1, time=8.0, learning_rate=1.0, warmup=1)
    expected = [0.5 * (1 + math.cos(math.pi * i / 8)) for i in range(8)]
    assert [taken["rate"] for taken in steps.done] == pytest.approx(expected)
    assert outcome.seconds == 8.0


def test_evaluations_cost_no_training_time(steps, scores):
    sink = Listener()
    outcome = run(time=6.0, evaluate_every=2, sink=sink)
    assert (outcome.step, outcome.seconds) == (6, 6.0)
    assert outcome.tokens_per_second == 10.0
    assert len(scores.sizes) == 3
    assert [event.seconds for event in sink.of(Evaluated)] == [2.0, 4.0, 6.0]
    assert sink[-1].seconds == 6.0


def test_a_budget_of_real_time_is_kept_to():
    outcome = run(time=0.3, steps=1)
    assert 0.3 <= outcome.seconds < 3


def test_the_rate_that_is_scheduled_is_the_rate_that_is_used(monkeypatch):
    made = []
    make = loop.make_optimizer

    def spy(model, config):
        made.append(make(model, config))
        return made[0]

    monkeypatch.setattr(loop, "make_optimizer", spy)
    run(steps=4, learning_rate=0.1, warmup=1)
    last = 0.1 * 0.5 * (1 + math.cos(math.pi * 3 / 4))
    assert [group["lr"] for group in made[0].param_groups] == pytest.approx([last, last])


# Stopping


def test_it_stops_when_every_training_size_is_solved(steps, scores):
    scores.accuracy = {2: 1.0, 4: 1.0, 8: 0.999}
    outcome = run(steps=100, sizes=(2, 8, 4, 2), evaluate_every=7)
    assert (outcome.step, outcome.status) == (7, "finished")
    assert outcome.because == "solved on the validation split at step 7"
    assert scores.sizes == [8, 4, 2]


@pytest.mark.parametrize(("unsolved", "asked"), [(8, [8]), (4, [8, 4]), (2, [8, 4, 2])])
def test_one_size_that_is_not_solved_keeps_it_going_and_ends_the_round(steps, scores, unsolved, asked):
    scores.accuracy = {2: 1.0, 4: 1.0, 8: 1.0, unsolved: 0.998}
    outcome = run(steps=3, sizes=(2, 4, 8), evaluate_every=3)
    assert outcome.because == "the budget is used up"
    assert scores.sizes == asked


def test_without_a_threshold_it_never_stops(steps, scores):
    scores.accuracy = {4: 1.0}
    assert run(steps=9, evaluate_every=2, solved_at=None).step == 9
    assert scores.sizes == [4] * 4


def test_evaluation_is_on_the_validation_split_as_the_events_say():
    sink = Listener()
    run(sink=sink, evaluate_every=4, solved_at=None)
    assert [(event.step, event.split, event.size) for event in sink.of(Evaluated)] == [
        (4, "validation", 4),
        (8, "validation", 4),
    ]


# Divergence


def test_an_absurd_learning_rate_diverges():
    sink = Listener()
    outcome = run(steps=60, learning_rate=1e6, sink=sink)
    assert outcome.status == "diverged"
    assert outcome.step < 60
    assert f"at step {outcome.step}" in outcome.because
    assert sink[-1] == Finished(step=outcome.step, status="diverged", because=outcome.because, seconds=sink[-1].seconds)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_it_at_once(steps, loss):
    steps.losses = iter([0.5, 0.5, loss])
    outcome = run(steps=10)
    assert (outcome.status, outcome.step, outcome.because) == ("diverged", 3, f"the loss was {loss} at step 3")


def test_a_loss_that_stays_absurd_ends_it_after_twenty_steps(steps):
    """10 ln 2 is 6.93."""
    steps.losses = iter([7.0] * 99)
    assert (run(steps=99).status, len(steps.done)) == ("diverged", 20)


def test_a_high_loss_that_falls_again_is_forgiven(steps):
    steps.losses = iter([60.0, *[1.0] * 98])
    assert run(steps=99).status == "finished"
    steps.losses = iter([6.9] * 99)
    assert run(steps=99).status == "finished"


def test_weights_that_are_not_finite_after_the_last_step_are_no_model():
    outcome = run(steps=1, warmup=1, learning_rate=1e39)
    assert (outcome.status, outcome.because) == ("diverged", "weights were not finite after step 1")


# What is said, and what is left


def test_the_last_word_is_finished_and_it_is_said_once():
    sink = Listener()
    outcome = run(sink=sink, evaluate_every=3)
    assert [type(event) for event in sink].count(Finished) == 1
    assert isinstance(sink[-1], Finished)
    assert (sink[-1].step, sink[-1].status, sink[-1].because) == (8, outcome.status, outcome.because)
    assert sink[-1].seconds == pytest.approx(outcome.seconds, abs=0.5)


def test_progress_is_reported_a_few_times_a_second_at_most(monkeypatch, clock):
    def step(*arguments, **options):
        clock.seconds += 0.1
        return options["step"] + 1.0, 10

    monkeypatch.setattr(loop, "one_step", step)
    sink = Listener()
    run(steps=40, sink=sink, model=build(vocabulary=100))
    progress = sink.of(Progress)
    assert [event.step for event in progress] == list(range(3, 40, 3))
    assert all(after.seconds - before.seconds >= 0.25 for before, after in pairwise(progress))
    first, last = progress[0], progress[-1]
    assert (first.fraction, last.fraction) == pytest.approx((3 / 40, 39 / 40))
    assert (first.seconds, first.seconds_left) == pytest.approx((0.3, 3.7))
    assert (first.loss, last.loss) == pytest.approx((2.0, 29.5))
    assert first.tokens_per_second == pytest.approx(100)


def test_a_listener_that_fails_ends_the_run(clock, steps):
    class Full:
        def write(self, event):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run(sink=Full())
    assert len(steps.done) == 1


def test_the_model_is_left_in_eval_mode_and_was_trained_in_training_mode(monkeypatch):
    modes = []
    step = loop.one_step

    def spy(model, *arguments, **options):
        modes.append(model.training)
        return step(model, *arguments, **options)

    monkeypatch.setattr(loop, "one_step", spy)
    model = build().eval()
    run(model, evaluate_every=2, steps=4)
    assert modes == [True] * 4
    assert not model.training


# The optimiser


def test_weight_decay_is_on_the_matrices_of_linear_maps_alone():
    model = build(stack="gru+attention", positions="learned", max_length=9)
    optimizer = loop.make_optimizer(model, settings(weight_decay=0.3))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, plain = ({names[id(p)] for p in group["params"]} for group in optimizer.param_groups)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]
    assert decayed | plain == set(names.values())
    assert not decayed & plain
    assert all("norm" in name or "bias" in name or name in ("embedding.weight", "places.weight") for name in plain)
    assert {"embedding.weight", "places.weight", "norm.weight"} <= plain
    assert {"head.weight", "blocks.0.mixer.cell.weight_hh_l0", "blocks.1.mixer.query_key_value.weight"} <= decayed
    assert not any("norm" in name or "bias" in name for name in decayed)


def test_weight_decay_shrinks_what_no_gradient_reaches():
    """Rows of the head for symbols that never occur still decay; those of the embedding do not."""
    model = build(vocabulary=40)
    before = weights(model)
    run(model, IndexLookup(alphabet=2), sizes=(4,), steps=20, learning_rate=0.1, weight_decay=0.5, clip=1e-30)
    after = weights(model)
    assert float(after["head.weight"].norm()) < 0.9 * float(before["head.weight"].norm())
    assert torch.equal(after["embedding.weight"][30:], before["embedding.weight"][30:])
