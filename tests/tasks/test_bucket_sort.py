"""Bucket sort: the drawing in its file, and uniform strings."""

from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.bucket_sort import BucketSort
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task


@pytest.mark.parametrize("alphabet", [2, 3, 10])
def test_every_law_holds(alphabet):
    check_task(BucketSort(alphabet=alphabet))
    check_task(BucketSort(alphabet=alphabet), (48,))


def test_the_drawing_in_the_file():
    tokens = torch.tensor([[2, 0, 3, 0, 4, 4, 4, 4]])
    answers = BucketSort(alphabet=4).solve(Batch(tokens, tokens, tokens >= 0))
    assert answers.tolist() == [[UNSCORED] * 4 + [0, 0, 2, 3]]


def test_every_string_is_equally_likely():
    tokens = BucketSort(alphabet=3).examples("train", seed=0, start=0, count=27_000, size=3).tokens
    _, counts = tokens.unique(dim=0, return_counts=True)
    assert len(counts) == 27
    assert ((counts - 1000).abs() < 5 * 1000**0.5).all()


def test_inputs_are_exactly_what_is_valid():
    task = BucketSort(alphabet=2)
    for length in range(1, 6):
        every = product(range(-1, 4), repeat=length)
        valid = {tokens for tokens in every if task.valid(torch.tensor(tokens))}
        listed = () if length % 2 else task.inputs(length // 2)
        assert {tuple(tokens.tolist()) for tokens in listed} == valid
    assert not task.valid(torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize("alphabet", [1, 0, -2])
def test_fewer_than_two_symbols_are_refused(alphabet):
    with pytest.raises(UsageError, match=f"bucket-sort: alphabet is {alphabet}; it must be at least 2"):
        BucketSort(alphabet=alphabet)
