"""Cycle navigation: the drawing in its file, and the exact chance."""

from itertools import product

import numpy as np
import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.cycle_navigation import CycleNavigation
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task


@pytest.mark.parametrize("cycle", [2, 3, 5, 7])
def test_every_law_holds(cycle):
    check_task(CycleNavigation(cycle=cycle))
    check_task(CycleNavigation(cycle=cycle), (48,))


@pytest.mark.parametrize(("tokens", "answer"), [([2, 1, 0, 2, 2], 2), ([0], 4), ([2] * 6, 1), ([0, 2, 1], 0)])
def test_examples_worked_by_hand(tokens, answer):
    tokens = torch.tensor([tokens])
    silent = [UNSCORED] * (tokens.shape[1] - 1)
    assert CycleNavigation().solve(Batch(tokens, tokens, tokens >= 0)).tolist() == [[*silent, answer]]


@pytest.mark.parametrize("cycle", [2, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_chance_is_exact(size, cycle):
    places = [sum(steps) % cycle for steps in product((-1, 0, 1), repeat=size)]
    best = max(np.bincount(places)) / len(places)
    assert CycleNavigation(cycle=cycle).chance(size) == pytest.approx(best, rel=1e-12)


def test_steps_are_uniform():
    tokens = CycleNavigation().examples("train", seed=0, start=0, count=27_000, size=3).tokens
    _, counts = tokens.unique(dim=0, return_counts=True)
    assert len(counts) == 27
    assert ((counts - 1000).abs() < 5 * 1000**0.5).all()


def test_no_steps_and_other_tokens_are_no_input():
    assert not CycleNavigation().valid(torch.zeros(0, dtype=torch.int64))
    assert not CycleNavigation().valid(torch.tensor([0, 3]))


@pytest.mark.parametrize("cycle", [1, 0, -5])
def test_cycles_of_fewer_than_two_places_are_refused(cycle):
    with pytest.raises(UsageError, match=f"cycle-navigation: cycle is {cycle}; it must be at least 2"):
        CycleNavigation(cycle=cycle)
