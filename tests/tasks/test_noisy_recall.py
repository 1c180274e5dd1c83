"""Noisy recall: the drawing in its file worked by hand, and how often slots are noise."""

from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.noisy_recall import NoisyRecall
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task

MANY = 8000


def examples(task, size, count=MANY):
    return task.examples("train", seed=0, start=0, count=count, size=size)


@pytest.mark.parametrize(
    "fields",
    [{}, {"noise": 0.0}, {"keys": 2, "values": 2, "noise_tokens": 1}, {"keys": 1, "values": 3, "noise": 0.9}],
)
def test_every_law_holds(fields):
    check_task(NoisyRecall(**fields))


def test_an_example_worked_by_hand():
    tokens = torch.tensor([[1, 5, 10, 8, 4, 7, 1, 5, 9, 9, 4]])
    answers = NoisyRecall(keys=5, values=3, noise_tokens=4).solve(Batch(tokens, tokens, tokens >= 0))
    none = UNSCORED
    assert answers.tolist() == [[none, none, none, none, none, none, 5, none, none, none, 7]]


def test_keys_are_scored_wherever_they_return_and_there_alone():
    task = NoisyRecall(keys=3, values=4, noise_tokens=2, noise=0.4)
    tokens, targets, scored, _ = examples(task, 9, 500)
    for row, wanted, asked in zip(tokens.tolist(), targets.tolist(), scored.tolist(), strict=True):
        table = {}
        for t, token in enumerate(row):
            returns = t % 2 == 0 and token in table
            assert asked[t] == returns
            if returns:
                assert wanted[t] == table[token]
            if t % 2 == 1 and row[t - 1] < 3:
                assert table.setdefault(row[t - 1], token) == token


@pytest.mark.parametrize(("noise", "size"), [(0.0, 5), (0.2, 4), (0.9, 6), (0.5, 1)])
def test_slots_are_noise_as_often_as_said_and_never_all_of_them(noise, size):
    task = NoisyRecall(noise=noise)
    tokens = examples(task, size).tokens
    noisy = tokens[:, 0:-1:2] >= 16
    assert torch.equal(noisy, tokens[:, 1::2] >= 16)
    assert not noisy.all(1).any()
    share = noise * (size - 1) / size
    assert ((noisy.double().mean(0) - share).abs() <= 5 * (share * (1 - share) / MANY) ** 0.5).all()


def test_keys_values_noise_and_the_last_slot_are_uniform():
    tokens = examples(NoisyRecall(keys=4, values=4, noise_tokens=4, noise=0.5), 2).tokens
    keys = tokens[:, 0] < 4
    for column, first in ((tokens[keys, 0], 0), (tokens[keys, 1], 4), (tokens[~keys, 0], 8), (tokens[~keys, 1], 8)):
        counts = torch.bincount(column - first, minlength=4).double()
        assert ((counts - len(column) / 4).abs() < 5 * (len(column) / 4) ** 0.5).all()
    both = (tokens[:, 0] < 4) & (tokens[:, 2] < 4) & (tokens[:, 0] != tokens[:, 2])
    first_asked = (tokens[both, 4] == tokens[both, 0]).double().mean()
    assert abs(first_asked - 0.5) < 5 * 0.5 / int(both.sum()) ** 0.5


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"keys": 2, "values": 2, "noise_tokens": 1}, 1),
        ({"keys": 2, "values": 2, "noise_tokens": 1}, 2),
        ({"keys": 2, "values": 2, "noise_tokens": 1, "noise": 0.0}, 2),
        ({"keys": 1, "values": 2, "noise_tokens": 2}, 2),
    ],
)
def test_inputs_are_exactly_what_is_valid(fields, size):
    task = NoisyRecall(**fields)
    every = product(range(-1, task.vocabulary(size)), repeat=task.length(size))
    valid = {tokens for tokens in every if task.valid(torch.tensor(tokens))}
    listed = [tuple(tokens.tolist()) for tokens in task.inputs(size)]
    assert len(listed) == len(set(listed)) == task._num_inputs(size)
    assert set(listed) == valid


@pytest.mark.parametrize("size", [3, 4])
def test_inputs_are_as_many_as_their_number_says(size):
    task = NoisyRecall(keys=2, values=2, noise_tokens=1)
    assert len(list(task.inputs(size))) == task._num_inputs(size)
    assert NoisyRecall().inputs(3) is None


@pytest.mark.parametrize("tokens", [[], [0], [0, 2], [4, 4, 0], [0, 2, 1], [0, 2, 0, 3, 0], [0, 4, 0], [0, 1, 0]])
def test_what_is_no_input_is_not_valid(tokens):
    assert not NoisyRecall(keys=2, values=2, noise_tokens=1).valid(torch.tensor(tokens, dtype=torch.int64))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keys": 0}, "noisy-recall: keys is 0; it must be at least 1"),
        ({"values": 1}, "noisy-recall: values is 1; it must be at least 2"),
        ({"noise_tokens": 0}, "noisy-recall: noise_tokens is 0; it must be at least 1"),
        ({"noise": 1.0}, r"noisy-recall: noise is 1.0; it must be in \[0, 1\)"),
        ({"noise": -0.1}, r"noisy-recall: noise is -0.1; it must be in \[0, 1\)"),
        ({"noise": float("nan")}, r"noisy-recall: noise is nan; it must be in \[0, 1\)"),
    ],
)
def test_settings_outside_their_domain_are_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        NoisyRecall(**fields)
