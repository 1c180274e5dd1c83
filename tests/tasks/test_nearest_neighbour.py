"""Nearest neighbour: the drawing in its file worked by hand, and ties by a plain loop over every input."""

from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.nearest_neighbour import NearestNeighbour
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task

MANY = 20_000


def solve(task, tokens):
    return task.solve(Batch(tokens, tokens, tokens >= 0))


@pytest.mark.parametrize("fields", [{}, {"bits": 1}, {"bits": 2, "labels": 3}, {"bits": 4, "queries": 3}, {"bits": 32}])
def test_every_law_holds(fields):
    check_task(NearestNeighbour(**fields))


@pytest.mark.parametrize(
    ("shown", "query", "label"),
    [
        ("110A 001B 111B", "010", "A"),
        ("001B 110A 111B", "000", "B"),
        ("110A 110B", "111", "A"),
        ("100A 001B", "000", "B"),
        ("001B 100A", "000", "B"),
        ("011A", "100", "A"),
    ],
)
def test_examples_worked_by_hand(shown, query, label):
    tokens = torch.tensor([["01AB".index(letter) for letter in shown.replace(" ", "") + query]])
    answers = solve(NearestNeighbour(bits=3), tokens)
    assert answers.tolist() == [[UNSCORED] * (tokens.numel() - 1) + ["01AB".index(label)]]


@pytest.mark.parametrize(("bits", "labels", "queries", "size"), [(2, 2, 1, 3), (1, 3, 2, 3), (3, 2, 1, 2)])
def test_the_rule_is_a_search_on_every_input(bits, labels, queries, size):
    task = NearestNeighbour(bits=bits, labels=labels, queries=queries)
    tokens = torch.stack(list(task.inputs(size)))
    answers = solve(task, tokens)
    for row, wanted in zip(tokens.tolist(), answers.tolist(), strict=True):
        table = {}
        for start in range(0, size * (bits + 1), bits + 1):
            table.setdefault(tuple(row[start : start + bits]), row[start + bits])
        expected = [UNSCORED] * len(row)
        for start in range(size * (bits + 1), len(row), bits):
            query = row[start : start + bits]
            point = min(table, key=lambda p: (sum(a != b for a, b in zip(p, query, strict=True)), p))
            expected[start + bits - 1] = table[point]
        assert wanted == expected


def test_points_labels_and_queries_are_uniform_and_independent():
    tokens = NearestNeighbour(bits=2).examples("train", seed=0, start=0, count=MANY, size=1).tokens
    counts = torch.bincount((tokens - torch.tensor([0, 0, 2, 0, 0])) @ 2 ** torch.arange(5), minlength=32).double()
    assert ((counts - MANY / 32).abs() < 5 * (MANY / 32) ** 0.5).all()


@pytest.mark.parametrize(("bits", "labels", "queries", "size"), [(1, 2, 1, 2), (2, 2, 1, 1), (1, 3, 2, 1)])
def test_inputs_are_exactly_what_is_valid(bits, labels, queries, size):
    task = NearestNeighbour(bits=bits, labels=labels, queries=queries)
    every = product(range(task.vocabulary(size) + 1), repeat=task.length(size))
    valid = {tokens for tokens in every if task.valid(torch.tensor(tokens))}
    listed = [tuple(tokens.tolist()) for tokens in task.inputs(size)]
    assert len(listed) == len(set(listed)) == 2 ** (bits * (size + queries)) * labels**size
    assert set(listed) == valid
    assert NearestNeighbour().inputs(1) is None


@pytest.mark.parametrize("tokens", [[], [0], [0, 2], [2, 0, 0], [0, 2, 2], [0, 5, 0], [0, -1, 0]])
def test_what_is_no_input_is_not_valid(tokens):
    assert not NearestNeighbour(bits=1, labels=3).valid(torch.tensor(tokens, dtype=torch.int64))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bits": 0}, r"nearest-neighbour: bits is 0; it must be in \[1, 32\]"),
        ({"bits": 33}, r"nearest-neighbour: bits is 33; it must be in \[1, 32\]"),
        ({"labels": 1}, "labels is 1 and queries is 1; they must be at least 2 and 1"),
        ({"queries": 0}, "labels is 2 and queries is 0; they must be at least 2 and 1"),
    ],
)
def test_settings_outside_their_domain_are_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        NearestNeighbour(**fields)
