"""Permutations: the drawing in its file, groups by their own laws, and elements that are drawn uniformly."""

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.permutations import Permutations
from statewise.tasks.task import Batch
from statewise.testing.tasks import check_task

ORDERS = {"S2": 2, "S3": 6, "S5": 120, "A3": 3, "A4": 12, "A5": 60, "A6": 360, "Z2": 2, "Z7": 7, "Z60": 60}


def solve(group, tokens):
    tokens = torch.tensor([tokens])
    return Permutations(group=group).solve(Batch(tokens, tokens, tokens >= 0))[0].tolist()


def products(group):
    """The table of all pairs, from the solver."""
    task = Permutations(group=group)
    pairs = torch.cartesian_prod(torch.arange(task.order), torch.arange(task.order))
    return task.solve(Batch(pairs, pairs, pairs >= 0))[:, 1].view(task.order, task.order)


@pytest.mark.parametrize(
    ("group", "tokens", "answers"),
    [
        ("S3", [2, 1, 3, 1], [2, 4, 0, 1]),
        ("S3", [1, 2], [1, 3]),
        ("S3", [3, 3, 3], [3, 4, 0]),
        ("A3", [1, 1, 1], [1, 2, 0]),
        ("Z5", [3, 4, 0, 4], [3, 2, 2, 1]),
    ],
)
def test_examples_worked_by_hand(group, tokens, answers):
    assert solve(group, tokens) == answers


@pytest.mark.parametrize("group", ["S2", "S3", "S5", "A4", "A5", "Z7"])
def test_the_products_form_a_group(group):
    table, order = products(group), ORDERS[group]
    elements = torch.arange(order)
    assert torch.equal(table[0], elements)
    assert torch.equal(table[:, 0], elements)
    assert torch.equal(table.sort(1).values, elements.expand(order, order))
    few = torch.randperm(order, generator=torch.Generator().manual_seed(0))[:12]
    for a in few:
        assert torch.equal(table[table[a]][:, few], table[a][table[:, few]])


@pytest.mark.parametrize(("group", "commutes"), [("S3", False), ("A5", False), ("A3", True), ("Z60", True)])
def test_cyclic_groups_alone_commute(group, commutes):
    table = products(group)
    assert torch.equal(table, table.T) == commutes


def test_the_even_permutations_are_a_subgroup_of_the_symmetric_group():
    """A5 has elements of order 1, 2, 3 and 5 alone, and 24 of order 5."""
    table = products("A5")
    elements, orders = torch.arange(60), torch.zeros(60, dtype=torch.int64)
    powers = elements.clone()
    for exponent in range(1, 6):
        orders[(powers == 0) & (orders == 0)] = exponent
        powers = table[powers, elements]
    assert torch.bincount(orders).tolist() == [0, 1, 15, 20, 0, 24]


@pytest.mark.parametrize("group", ["S2", "S3", "A3", "Z2", "Z7"])
def test_the_laws_hold(group):
    check_task(Permutations(group=group), sizes=(1, 2, 6))


@pytest.mark.parametrize("group", ["S5", "A5", "S6", "Z60"])
def test_the_laws_hold_in_large_groups(group):
    check_task(Permutations(group=group), sizes=(3, 17))


@pytest.mark.parametrize("group", ORDERS)
def test_one_token_and_one_answer_for_each_element(group):
    task = Permutations(group=group)
    assert (task.order, task.vocabulary(9), task.length(9)) == (ORDERS[group], ORDERS[group], 9)
    assert task.chance(9) == 1 / ORDERS[group]
    assert bool(task.examples("test", seed=0, start=0, count=5, size=9).scored.all())


def test_elements_are_uniform_and_so_are_the_products():
    batch = Permutations(group="S3").examples("train", seed=0, start=0, count=12_000, size=4)
    for numbers in (*batch.tokens.T, *batch.targets.T):
        counts = torch.bincount(numbers, minlength=6).double()
        assert ((counts - 2000).abs() < 5 * (12_000 * 5 / 36) ** 0.5).all()


@pytest.mark.parametrize("tokens", [[], [-1], [6], [0, 6]])
def test_what_is_no_sequence_of_elements_is_not_valid(tokens):
    assert not Permutations(group="S3").valid(torch.tensor(tokens, dtype=torch.int64))


@pytest.mark.parametrize("group", ["S1", "S7", "A2", "Z1", "Z1025", "Z05", "D4", "s3", "S", "", "S3 ", "A4xZ5"])
def test_other_groups_are_refused(group):
    with pytest.raises(UsageError, match=f"permutations: group is '{group}'; it must be one of S2 … S6, A3 … A6, Z2"):
        Permutations(group=group)
