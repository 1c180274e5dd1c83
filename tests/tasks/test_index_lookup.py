"""Index lookup: the drawing in its file worked by hand, and the distribution that the meter relies on."""

from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks import UNSCORED, Batch, IndexLookup

MANY = 20_000


def examples(task, size, count=MANY):
    return task.examples("capacity", seed=0, start=0, count=count, size=size)


def solve(task, tokens):
    tokens = torch.tensor([tokens])
    return task.solve(Batch(tokens, tokens, tokens >= 0))[0].tolist()


def assert_uniform(values, kinds):
    """Every value in [0, kinds) about equally often: each count within 5 standard errors."""
    counts = torch.bincount(values.flatten(), minlength=kinds).double()
    assert len(counts) == kinds
    total, share = values.numel(), 1 / kinds
    assert ((counts - total * share).abs() < 5 * (total * share * (1 - share)) ** 0.5).all(), counts.tolist()


@pytest.mark.parametrize(
    ("tokens", "answers"),
    [
        ([2, 0, 3, 0, 1, 4 + 1, 4 + 4], [0, 1]),
        ([2, 0, 3, 0, 1, 4 + 4, 4 + 1], [1, 0]),
        ([2, 0, 3, 0, 1, 4 + 2, 4 + 2], [3, 3]),
        ([3, 4 + 0, 4 + 0], [3, 3]),
    ],
)
def test_examples_worked_by_hand(tokens, answers):
    silent = len(tokens) - 2
    assert solve(IndexLookup(alphabet=4, queries=2), tokens) == [UNSCORED] * silent + answers


def test_symbols_come_first_and_queries_last():
    task = IndexLookup(alphabet=3, queries=4)
    tokens, _, scored, _ = examples(task, 7, 50)
    assert (task.length(7), task.vocabulary(7), task.cut(7)) == (11, 10, 7)
    assert bool((tokens[:, :7] < 3).all())
    assert bool((tokens[:, 7:] >= 3).all())
    assert scored.sum(0).tolist() == [0] * 7 + [50] * 4


@pytest.mark.parametrize("alphabet", [2, 5, 64])
def test_symbols_are_uniform_at_every_place(alphabet):
    tokens = examples(IndexLookup(alphabet=alphabet), 6).tokens
    for place in range(6):
        assert_uniform(tokens[:, place], alphabet)


def test_symbols_and_places_are_independent_of_one_another():
    """Four symbols and four places, so that none of the six numbers could hide behind another's remainder."""
    tokens = examples(IndexLookup(alphabet=4, queries=2), 4).tokens % 4
    for one in range(6):
        for other in range(one):
            assert_uniform(4 * tokens[:, one] + tokens[:, other], 16)


def test_every_place_is_asked_equally_often():
    assert_uniform(examples(IndexLookup(), 13).tokens[:, 13:] - 16, 13)


@pytest.mark.parametrize(("alphabet", "queries", "size"), [(2, 1, 3), (3, 1, 2), (2, 2, 2), (16, 1, 1)])
def test_inputs_are_exactly_what_is_valid(alphabet, queries, size):
    task = IndexLookup(alphabet=alphabet, queries=queries)
    every = product(range(task.vocabulary(size)), repeat=task.length(size))
    valid = {tokens for tokens in every if task.valid(torch.tensor(tokens))}
    listed = [tuple(tokens.tolist()) for tokens in task.inputs(size)]
    assert len(listed) == alphabet**size * size**queries
    assert set(listed) == valid


@pytest.mark.parametrize("tokens", [[], [4], [0, 0], [0, 1, 4 + 2], [4, 4 + 0], [0, 4, 4 + 0], [-1, 4 + 0], [0, 4 - 1]])
def test_what_is_no_input_is_not_valid(tokens):
    assert not IndexLookup(alphabet=4).valid(torch.tensor(tokens, dtype=torch.int64))


@pytest.mark.parametrize(("size", "many"), [(13, True), (12, False)])
def test_inputs_are_listed_up_to_two_to_the_sixteen(size, many):
    assert (IndexLookup(alphabet=2).inputs(size) is None) == many
    assert (2**size * size > 2**16) == many


@pytest.mark.parametrize(("alphabet", "queries"), [(1, 1), (0, 1), (-3, 1), (2, 0)])
def test_settings_without_a_question_are_refused(alphabet, queries):
    with pytest.raises(UsageError, match=f"alphabet is {alphabet} and queries is {queries}; they must be at least 2"):
        IndexLookup(alphabet=alphabet, queries=queries)
