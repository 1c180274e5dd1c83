"""Disjointness: the drawings in its file worked by hand, and what sets are drawn."""

from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.disjointness import Disjointness
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task

MANY = 20_000


@pytest.mark.parametrize("interleaved", [False, True])
def test_every_law_holds(interleaved):
    check_task(Disjointness(interleaved=interleaved))


@pytest.mark.parametrize(
    ("interleaved", "bits", "intersect"),
    [
        (False, "10010101", True),
        (False, "10010110", False),
        (False, "00", False),
        (False, "11", True),
        (True, "10010011", True),
        (True, "10010010", False),
        (True, "0110", False),
        (True, "1100", True),
    ],
)
def test_examples_worked_by_hand(interleaved, bits, intersect):
    tokens = torch.tensor([list(map(int, bits))])
    answers = Disjointness(interleaved=interleaved).solve(Batch(tokens, tokens, tokens >= 0))
    assert answers[0].tolist() == [UNSCORED] * (len(bits) - 1) + [2 + intersect]


@pytest.mark.parametrize("interleaved", [False, True])
def test_sets_share_at_most_one_element_and_each_is_as_likely(interleaved):
    task = Disjointness(interleaved=interleaved)
    tokens, targets, *_ = task.examples("train", seed=0, start=0, count=MANY, size=4)
    first, second = (tokens[:, 0::2], tokens[:, 1::2]) if interleaved else (tokens[:, :4], tokens[:, 4:])
    common = first * second
    assert torch.equal(common.sum(1), targets[:, -1] - 2)
    for place in range(4):
        share = common[:, place].double().mean()
        assert abs(share - 1 / 8) < 5 * (1 / 8 * 7 / 8 / MANY) ** 0.5
    disjoint = common.sum(1) == 0
    for bits in (first, second):
        share = bits[disjoint].double().mean()
        assert abs(share - 1 / 3) < 5 * (2 / 9 / (4 * int(disjoint.sum()))) ** 0.5


@pytest.mark.parametrize("size", [1, 2])
def test_inputs_are_exactly_what_is_valid(size):
    every = product(range(-1, 4), repeat=2 * size)
    valid = {tokens for tokens in every if Disjointness().valid(torch.tensor(tokens))}
    assert {tuple(tokens.tolist()) for tokens in Disjointness().inputs(size)} == valid
    assert len(valid) == 4**size


@pytest.mark.parametrize("tokens", [[], [0], [0, 1, 1], [2, 0]])
def test_what_is_no_input_is_not_valid(tokens):
    assert not Disjointness().valid(torch.tensor(tokens, dtype=torch.int64))


def test_inputs_are_listed_up_to_two_to_the_sixteen():
    assert Disjointness().inputs(8) is not None
    assert Disjointness().inputs(9) is None
    with pytest.raises(UsageError, match="disjointness: size is 0; it must be a positive integer"):
        Disjointness().inputs(0)
