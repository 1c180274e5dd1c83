"""StoppedError after any step and taken up again, a training ends with the same bits as one that never stopped."""

import copy
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from statewise.core.errors import RunError
from statewise.core.events import Evaluated, Finished
from statewise.core.random import seeded
from statewise.mixers import MIXERS, MinGRU
from statewise.models import LanguageModel
from statewise.tasks import Parity
from statewise.training import TrainingConfig, loop, train
from statewise.training.checkpoint import Checkpoint, Place, capture, restore


class StoppedError(Exception):
    """What a kill is, where a test can catch it."""


class Memory:
    """A keeper whose every checkpoint is kept, and that stops the training after a number of them."""

    def __init__(self, *, stop_after=math.inf, first=None):
        self.kept, self.first, self.stop_after = [], first, stop_after

    def load(self):
        return self.first

    def is_due(self):
        return True

    def save(self, checkpoint):
        self.kept.append(copy.deepcopy(checkpoint))
        if len(self.kept) >= self.stop_after:
            raise StoppedError


class Listener(list):
    def write(self, event):
        self.append(event)


class Noisy(MinGRU):
    """A mixer of someone's own, with dropout."""

    def forward(self, x, state=None, *, reset=None):
        y, state = super().forward(x, state, reset=reset)
        return nn.functional.dropout(y, 0.3, self.training), state


@pytest.fixture
def noisy(monkeypatch):
    monkeypatch.setitem(MIXERS, "noisy", Noisy)


def build(stack="mingru+gru"):
    with seeded(0):
        return LanguageModel(vocabulary=2, width=8, stack=stack, feed_forward=1)


def settings(**options):
    plain = {"sizes": (2, 4), "steps": 9, "batch_size": 4, "evaluate_every": 4, "warmup": 2, "validation": 8}
    return TrainingConfig(**{**plain, **options})


def run(keeper=None, *, stack="mingru+gru", noise=1, sink=None, **options):
    """A training from its beginning; the model and the outcome."""
    model = build(stack)
    with seeded(noise):
        outcome = train(
            model,
            Parity(),
            settings(**options),
            seed=3,
            sink=Listener() if sink is None else sink,
            keeper=keeper or Memory(),
        )
    return model, outcome


def stopped_after(count, **options):
    """The checkpoint of a training that was stopped after so many."""
    keeper = Memory(stop_after=count)
    with pytest.raises(StoppedError):
        run(keeper, **options)
    return keeper.kept[-1]


def assert_same(one, other):
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def told(outcome):
    return outcome.status, outcome.because, outcome.step, outcome.tokens


@pytest.mark.parametrize("count", range(1, 11))
def test_stopped_after_any_step_it_ends_with_the_same_bits(count):
    whole, outcome = run()
    keeper = Memory(first=stopped_after(count))
    again, second = run(keeper, noise=99)
    assert_same(whole, again)
    assert told(second) == told(outcome)
    assert len(keeper.kept) == (10 - count if count < 9 else 0)


def test_stopped_after_every_step_it_ends_with_the_same_bits():
    whole, _ = run()
    checkpoint = None
    for _ in range(9):
        keeper = Memory(first=checkpoint, stop_after=1)
        with pytest.raises(StoppedError):
            run(keeper)
        checkpoint = keeper.kept[-1]
    again, outcome = run(Memory(first=checkpoint))
    assert outcome.step == 9
    assert_same(whole, again)


def test_what_is_dropped_is_that_of_the_step_whatever_was_drawn_before(noisy):
    whole, _ = run(stack="noisy")
    assert_same(whole, run(stack="noisy", noise=99)[0])
    assert_same(whole, run(Memory(first=stopped_after(4, stack="noisy")), stack="noisy", noise=99)[0])
    assert not torch.equal(whole.head.weight, run(stack="mingru")[0].head.weight)


def test_a_keeper_changes_nothing():
    class Never(Memory):
        def is_due(self):
            return False

    assert_same(run()[0], run(Never())[0])


def test_evaluations_are_said_once_each_over_both_halves():
    whole, first, second = Listener(), Listener(), Listener()
    run(sink=whole)
    checkpoint = stopped_after(4, sink=first)
    run(Memory(first=checkpoint), sink=second)

    def said(*sinks):
        return [(e.step, e.size, e.loss) for sink in sinks for e in sink if isinstance(e, Evaluated)]

    assert said(first, second) == said(whole)
    assert [step for step, *_ in said(whole)] == [4, 8]
    assert [type(event) for event in second].count(Finished) == 1


def test_a_training_that_had_ended_takes_no_step_and_says_again_how_it_ended(monkeypatch):
    whole, outcome = run()
    ended = stopped_after(10)
    monkeypatch.setattr(loop, "one_step", None)
    sink, keeper = Listener(), Memory(first=ended)
    again, second = run(keeper, sink=sink)
    assert_same(whole, again)
    assert told(second) == told(outcome)
    assert [type(event) for event in sink] == [Finished]
    assert keeper.kept == []
    assert not again.training


def test_a_solved_training_stays_solved(monkeypatch):
    steps, _ = [], monkeypatch.setattr(loop, "validate", lambda *arguments, step, **options: step == 4)
    keeper = Memory()
    _, outcome = run(keeper)
    assert (outcome.step, outcome.because) == (4, "solved on the validation split at step 4")
    monkeypatch.setattr(loop, "one_step", lambda *arguments, **options: steps.append(1))
    _, again = run(Memory(first=keeper.kept[-1]))
    assert told(again) == told(outcome)
    assert steps == []


def test_a_training_that_diverged_stays_diverged(monkeypatch):
    monkeypatch.setattr(loop, "one_step", lambda *arguments, step, **options: (math.nan if step == 5 else 0.5, 10))
    keeper = Memory()
    _, outcome = run(keeper)
    assert (outcome.status, outcome.step) == ("diverged", 6)
    assert told(run(Memory(first=keeper.kept[-1]))[1]) == told(outcome)


def test_recent_losses_are_kept_so_that_divergence_comes_at_the_same_step(monkeypatch):
    monkeypatch.setattr(loop, "one_step", lambda *arguments, **options: (7.0, 10))
    options = {"steps": 99, "evaluate_every": 1000}
    assert run(**options)[1].step == 20
    assert run(Memory(first=stopped_after(15, **options)), **options)[1].step == 20


def test_a_budget_of_time_keeps_its_seconds_and_its_schedule(monkeypatch):
    now = SimpleNamespace(seconds=100.0, perf_counter=lambda: now.seconds)
    monkeypatch.setattr(loop, "time", now)
    rates = []

    def step(*arguments, rate, **options):
        now.seconds += 1.0
        rates.append(rate)
        return 0.5, 10

    monkeypatch.setattr(loop, "one_step", step)
    options = {"time": 8.0, "steps": 1, "evaluate_every": 1000, "warmup": 1, "learning_rate": 1.0}
    whole = run(**options)[1]
    expected = list(rates)
    rates.clear()
    checkpoint = stopped_after(5, **options)
    now.seconds += 3600
    second = run(Memory(first=checkpoint), **options)[1]
    assert rates == pytest.approx(expected)
    assert (second.step, second.seconds) == (whole.step, whole.seconds) == (8, 8.0)


def test_saving_costs_no_training_time(monkeypatch):
    now = SimpleNamespace(seconds=100.0, perf_counter=lambda: now.seconds)
    monkeypatch.setattr(loop, "time", now)

    def step(*arguments, **options):
        now.seconds += 1.0
        return 0.5, 10

    class Slow(Memory):
        def save(self, checkpoint):
            now.seconds += 60
            super().save(checkpoint)

    monkeypatch.setattr(loop, "one_step", step)
    keeper = Slow()
    assert run(keeper, evaluate_every=1000)[1].seconds == 9.0
    assert [kept.plain["place"]["seconds"] for kept in keeper.kept] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 9]


def test_nothing_is_kept_of_a_model_that_is_not_trained():
    keeper = Memory()
    run(keeper, steps=0)
    assert keeper.kept == []


def test_a_checkpoint_of_another_model_is_refused():
    checkpoint = stopped_after(2)
    model = build("mingru")
    optimizer = loop.make_optimizer(model, settings())
    with pytest.raises(RunError, match=r"^the checkpoint of step 2 is not of this model: Error.*blocks\.1[^\n]*$"):
        restore(checkpoint, model, optimizer)


def test_a_parameter_that_was_never_trained_has_no_state_and_gets_none():
    model = build()
    model.head.weight.requires_grad_(False)
    optimizer = loop.make_optimizer(model, settings())
    loop.one_step(model, Parity(), settings(), optimizer, seed=0, step=0, rate=0.1)
    checkpoint = copy.deepcopy(capture(model, optimizer, Place(step=1)))
    assert not any("head.weight" in name for name in checkpoint.tensors if name.startswith("optimizer."))
    fresh = build()
    place = restore(checkpoint, fresh, again := loop.make_optimizer(fresh, settings()))
    assert place == Place(step=1)
    assert len(again.state) == len(list(model.parameters())) - 1


def test_what_is_restored_does_not_share_memory_with_the_checkpoint():
    checkpoint = stopped_after(2)
    before = copy.deepcopy(checkpoint.tensors)
    run(Memory(first=Checkpoint(checkpoint.tensors, checkpoint.plain)))
    assert all(torch.equal(tensor, checkpoint.tensors[name]) for name, tensor in before.items())
