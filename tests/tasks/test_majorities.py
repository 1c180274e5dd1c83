"""Majority and majority count: the drawings in their files, ties, and the exact chance."""

from collections import Counter

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.majority import Majority
from statewise.tasks.majority_count import MajorityCount
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task


def solve(task, tokens):
    tokens = torch.tensor([tokens])
    return task.solve(Batch(tokens, tokens, tokens >= 0))[0].tolist()


@pytest.mark.parametrize("kind", [Majority, MajorityCount])
@pytest.mark.parametrize("alphabet", [2, 3, 63])
def test_every_law_holds(kind, alphabet):
    check_task(kind(alphabet=alphabet))
    check_task(kind(alphabet=alphabet), (48,))


@pytest.mark.parametrize(
    ("tokens", "most_frequent", "count"),
    [([2, 0, 2, 1, 0], 2, 2), ([0, 0, 3], 0, 2), ([3, 0, 0], 0, 2), ([1], 1, 1), ([0, 1, 2], 2, 1), ([1] * 9, 1, 9)],
)
def test_examples_worked_by_hand(tokens, most_frequent, count):
    silent = [UNSCORED] * (len(tokens) - 1)
    assert solve(Majority(alphabet=4), tokens) == [*silent, most_frequent]
    assert solve(MajorityCount(alphabet=4), tokens) == [*silent, count]


@pytest.mark.parametrize("kind", [Majority, MajorityCount])
@pytest.mark.parametrize(("alphabet", "size"), [(2, 1), (2, 2), (2, 3), (2, 6), (3, 4), (3, 6), (5, 5)])
def test_chance_is_exact(kind, alphabet, size):
    task = kind(alphabet=alphabet)
    tokens = torch.stack(list(task.inputs(size)))
    answers = Counter(task.solve(Batch(tokens, tokens, tokens >= 0))[:, -1].tolist())
    assert task.chance(size) == pytest.approx(max(answers.values()) / answers.total(), rel=1e-11)


def test_counts_need_ids_of_their_own_in_long_strings():
    assert MajorityCount(alphabet=63).vocabulary(40) == 63
    assert MajorityCount(alphabet=63).vocabulary(256) == 257


@pytest.mark.parametrize("kind", [Majority, MajorityCount])
def test_every_string_is_equally_likely(kind):
    tokens = kind(alphabet=3).examples("train", seed=0, start=0, count=27_000, size=3).tokens
    _, counts = tokens.unique(dim=0, return_counts=True)
    assert len(counts) == 27
    assert ((counts - 1000).abs() < 5 * 1000**0.5).all()


@pytest.mark.parametrize("kind", [Majority, MajorityCount])
def test_what_lies_outside_the_domain_is_refused(kind):
    assert not kind(alphabet=2).valid(torch.tensor([0, 2]))
    assert not kind(alphabet=2).valid(torch.zeros(0, dtype=torch.int64))
    for alphabet in (1, 0, -2):
        with pytest.raises(UsageError, match=f"{kind.name}: alphabet is {alphabet}; it must be at least 2"):
            kind(alphabet=alphabet)
