"""Parity: the drawing in its file, and fair coins."""

from itertools import product

import pytest
import torch

from statewise.tasks import UNSCORED, Batch, Parity


def solve(task, tokens):
    tokens = torch.tensor([tokens])
    return task.solve(Batch(tokens, tokens, tokens >= 0))[0].tolist()


@pytest.mark.parametrize(
    ("tokens", "answers"), [([1, 0, 1, 1], [1, 1, 0, 1]), ([0, 0, 0], [0, 0, 0]), ([1], [1]), ([0, 1, 1], [0, 1, 0])]
)
def test_examples_worked_by_hand(tokens, answers):
    assert solve(Parity(), tokens) == answers
    assert solve(Parity(every_prefix=False), tokens) == [UNSCORED] * (len(tokens) - 1) + answers[-1:]


def test_every_string_of_bits_is_equally_likely():
    tokens = Parity().examples("train", seed=0, start=0, count=32_000, size=5).tokens
    counts = torch.bincount(tokens @ 2 ** torch.arange(5), minlength=32).double()
    assert len(counts) == 32
    assert ((counts - 1000).abs() < 5 * 1000**0.5).all()


def test_the_answer_cannot_be_guessed_from_the_last_bit():
    tokens, targets, *_ = Parity(every_prefix=False).examples("test", seed=0, start=0, count=20_000, size=2)
    agree = (tokens[:, -1] == targets[:, -1]).double().mean()
    assert abs(agree - 0.5) < 5 * 0.5 / 20_000**0.5


@pytest.mark.parametrize("size", [1, 2, 5])
def test_inputs_are_exactly_what_is_valid(size):
    every = product(range(-1, 4), repeat=size)
    valid = {tokens for tokens in every if Parity().valid(torch.tensor(tokens))}
    assert {tuple(tokens.tolist()) for tokens in Parity().inputs(size)} == valid == set(product((0, 1), repeat=size))


def test_no_bits_are_no_input():
    assert not Parity().valid(torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize(("size", "many"), [(16, False), (17, True)])
def test_inputs_are_listed_up_to_two_to_the_sixteen(size, many):
    assert (Parity().inputs(size) is None) == many
