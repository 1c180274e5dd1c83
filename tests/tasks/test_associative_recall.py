"""Associative recall: the drawing in its file worked by hand, and what pairs and queries are drawn."""

from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.associative_recall import AssociativeRecall
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task

MANY = 20_000


@pytest.mark.parametrize(("keys", "values"), [(64, 16), (6, 2)])
def test_every_law_holds(keys, values):
    check_task(AssociativeRecall(keys=keys, values=values))


@pytest.mark.parametrize(("query", "value"), [(1, 4), (3, 6), (0, 6)])
def test_examples_worked_by_hand(query, value):
    tokens = torch.tensor([[1, 4, 3, 6, 0, 6, query]])
    answers = AssociativeRecall(keys=4, values=3).solve(Batch(tokens, tokens, tokens >= 0))
    assert answers.tolist() == [[UNSCORED] * 6 + [value]]


def test_keys_values_and_queries_are_uniform():
    tokens = AssociativeRecall(keys=4, values=3).examples("train", seed=0, start=0, count=MANY, size=3).tokens
    keys, values, asked = tokens[:, 0:6:2], tokens[:, 1:6:2], tokens[:, 6:]
    assert all(len(set(row)) == 3 for row in keys[:200].tolist())
    places = (keys == asked).long()
    assert bool((places.sum(1) == 1).all())
    for column, kinds in ((keys[:, 0], 4), (keys[:, 2], 4), (values[:, 1] - 4, 3), (places.argmax(1), 3)):
        counts = torch.bincount(column, minlength=kinds).double()
        assert len(counts) == kinds
        assert ((counts - MANY / kinds).abs() < 5 * (MANY / kinds) ** 0.5).all()


@pytest.mark.parametrize(("keys", "values", "size"), [(2, 2, 1), (3, 2, 2), (2, 2, 2)])
def test_inputs_are_exactly_what_is_valid(keys, values, size):
    task = AssociativeRecall(keys=keys, values=values)
    every = product(range(task.vocabulary(size) + 1), repeat=task.length(size))
    valid = {tokens for tokens in every if task.valid(torch.tensor(tokens))}
    listed = [tuple(tokens.tolist()) for tokens in task.inputs(size)]
    assert len(listed) == len(set(listed))
    assert set(listed) == valid
    assert AssociativeRecall().inputs(3) is None


@pytest.mark.parametrize("tokens", [[], [0], [0, 4], [0, 4, 1], [0, 4, 0, 4, 0], [4, 0, 4], [0, 1, 0], [-1, 4, -1]])
def test_what_is_no_input_is_not_valid(tokens):
    assert not AssociativeRecall(keys=4, values=2).valid(torch.tensor(tokens, dtype=torch.int64))


def test_settings_and_sizes_outside_their_domain_are_refused():
    with pytest.raises(UsageError, match="associative-recall: keys is 0 and values is 2; they must be at least 1 and"):
        AssociativeRecall(keys=0, values=2)
    with pytest.raises(UsageError, match="keys is 4 and values is 1; they must be at least 1 and 2"):
        AssociativeRecall(keys=4, values=1)
    with pytest.raises(UsageError, match="associative-recall: size is 5; it must be at most keys, which is 4"):
        AssociativeRecall(keys=4).inputs(5)


def test_a_key_tells_nothing_of_its_value():
    tokens = AssociativeRecall(keys=4, values=4).examples("train", seed=0, start=0, count=MANY, size=2).tokens
    for place in (0, 2):
        counts = torch.bincount(4 * tokens[:, place] + tokens[:, place + 1] - 4, minlength=16).double()
        assert ((counts - MANY / 16).abs() < 5 * (MANY / 16) ** 0.5).all()
