"""Missing duplicate: the drawings in its file in both layouts, and uniform strings and places."""

from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.missing_duplicate import MissingDuplicate
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task


@pytest.mark.parametrize("layout", ["chomsky", "minrnn"])
@pytest.mark.parametrize("alphabet", [2, 3, 16])
def test_every_law_holds(layout, alphabet):
    check_task(MissingDuplicate(alphabet=alphabet, layout=layout))
    check_task(MissingDuplicate(alphabet=alphabet, layout=layout), (48,))


@pytest.mark.parametrize(
    ("layout", "tokens", "answer"),
    [
        ("chomsky", [0, 1, 1, 0, 0, 2, 1, 0], 1),
        ("chomsky", [2, 0, 1, 1, 0, 1], 1),
        ("chomsky", [0, 2], 0),
        ("minrnn", [0, 1, 1, 0, 0, 2, 2, 2], 1),
        ("minrnn", [0, 1, 1, 0, 2, 2, 2, 2], 0),
        ("minrnn", [1, 0, 1, 1, 0, 2], 1),
    ],
)
def test_examples_worked_by_hand(layout, tokens, answer):
    silent = [UNSCORED] * (len(tokens) - 1)
    tokens = torch.tensor([tokens])
    task = MissingDuplicate(layout=layout)
    assert task.solve(Batch(tokens, tokens, tokens >= 0)).tolist() == [[*silent, answer]]


@pytest.mark.parametrize(("layout", "places"), [("chomsky", 6), ("minrnn", 3)])
def test_strings_and_places_are_uniform_and_independent(layout, places):
    task = MissingDuplicate(layout=layout)
    kinds = 8 * places
    tokens = task.examples("train", seed=0, start=0, count=1000 * kinds, size=3).tokens
    _, counts = tokens.unique(dim=0, return_counts=True)
    assert len(counts) == kinds
    assert ((counts - 1000).abs() < 5 * 1000**0.5).all()


@pytest.mark.parametrize("layout", ["chomsky", "minrnn"])
def test_inputs_are_exactly_what_is_valid(layout):
    task = MissingDuplicate(layout=layout)
    for length in range(1, 7):
        every = product(range(-1, 4), repeat=length)
        valid = {tokens for tokens in every if task.valid(torch.tensor(tokens))}
        listed = () if length % 2 else task.inputs(length // 2)
        assert {tuple(tokens.tolist()) for tokens in listed} == valid
    assert not task.valid(torch.zeros(0, dtype=torch.int64))


def test_settings_outside_the_domain_are_refused():
    with pytest.raises(UsageError, match="missing-duplicate: alphabet is 1; it must be at least 2"):
        MissingDuplicate(alphabet=1)
    with pytest.raises(UsageError, match="layout is 'both'; it must be one of chomsky, minrnn"):
        MissingDuplicate(layout="both")
