"""Even pairs: the drawing in its file, and fair answers."""

import pytest
import torch

from statewise.tasks.even_pairs import EvenPairs
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task


def test_every_law_holds():
    check_task(EvenPairs())
    check_task(EvenPairs(), (3, 48))


@pytest.mark.parametrize(
    ("tokens", "answer"), [([0, 0, 1, 0, 1], 1), ([1, 0, 0, 1], 0), ([1], 0), ([0, 1], 1), ([1, 1], 0)]
)
def test_examples_worked_by_hand(tokens, answer):
    tokens = torch.tensor([tokens])
    silent = [UNSCORED] * (tokens.shape[1] - 1)
    assert EvenPairs().solve(Batch(tokens, tokens, tokens >= 0)).tolist() == [[*silent, answer]]


def test_every_string_of_bits_is_equally_likely():
    tokens = EvenPairs().examples("train", seed=0, start=0, count=32_000, size=5).tokens
    counts = torch.bincount(tokens @ 2 ** torch.arange(5), minlength=32).double()
    assert len(counts) == 32
    assert ((counts - 1000).abs() < 5 * 1000**0.5).all()


def test_no_bits_and_other_tokens_are_no_input():
    assert not EvenPairs().valid(torch.zeros(0, dtype=torch.int64))
    assert not EvenPairs().valid(torch.tensor([0, 2]))
