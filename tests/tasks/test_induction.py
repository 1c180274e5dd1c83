"""Induction: the drawing in its file worked by hand, and where the trigger stands."""

from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.induction import Induction
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task

MANY = 20_000


@pytest.mark.parametrize("alphabet", [2, 15])
def test_every_law_holds(alphabet):
    check_task(Induction(alphabet=alphabet))


@pytest.mark.parametrize(
    ("tokens", "answer"), [([2, 0, 4, 3, 1, 2, 4], 3), ([4, 1, 2, 4], 1), ([1, 4, 2, 4], 2), ([4, 0, 4], 0)]
)
def test_examples_worked_by_hand(tokens, answer):
    tokens = torch.tensor([tokens])
    answers = Induction(alphabet=4).solve(Batch(tokens, tokens, tokens >= 0))
    assert answers.tolist() == [[UNSCORED] * (tokens.numel() - 1) + [answer]]


def test_the_string_and_the_place_of_the_trigger_are_uniform():
    tokens = Induction(alphabet=2).examples("train", seed=0, start=0, count=MANY, size=3).tokens
    found, counts = tokens.unique(dim=0, return_counts=True)
    assert len(found) == 24
    assert ((counts.double() - MANY / 24).abs() < 5 * (MANY / 24) ** 0.5).all()


@pytest.mark.parametrize(("alphabet", "size"), [(2, 1), (2, 4), (3, 2)])
def test_inputs_are_exactly_what_is_valid(alphabet, size):
    task = Induction(alphabet=alphabet)
    every = product(range(-1, alphabet + 2), repeat=task.length(size))
    valid = {tokens for tokens in every if task.valid(torch.tensor(tokens))}
    listed = [tuple(tokens.tolist()) for tokens in task.inputs(size)]
    assert len(listed) == len(set(listed)) == alphabet**size * size
    assert set(listed) == valid


@pytest.mark.parametrize("tokens", [[], [2], [2, 2], [0, 2], [0, 2, 2], [2, 0, 2, 0], [2, 0, 2, 0, 2]])
def test_what_is_no_input_is_not_valid(tokens):
    assert not Induction(alphabet=2).valid(torch.tensor(tokens, dtype=torch.int64))


def test_inputs_are_listed_up_to_two_to_the_sixteen():
    assert Induction(alphabet=2).inputs(12) is not None
    assert Induction(alphabet=2).inputs(13) is None


def test_one_symbol_is_refused():
    with pytest.raises(UsageError, match="induction: alphabet is 1; it must be at least 2"):
        Induction(alphabet=1)
