"""Counting: the drawing in its file, thresholds beside the count, and answers that are as frequent as said."""

from collections import Counter

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.counting import Counting
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task

CONFIGURATIONS = [(2, None), (4, None), (9, None), (2, 0), (3, 2), (4, 1), (3, 40)]


def tokens_of(text, alphabet):
    """Digits are symbols, the last number is the threshold: "20212 2 2"."""
    string, symbol, threshold = text.split()
    return [*map(int, string), int(symbol), alphabet + 2 + int(threshold)]


def solve(task, tokens):
    tokens = torch.tensor([tokens])
    return task.solve(Batch(tokens, tokens, tokens >= 0))[0].tolist()


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("20212 2 2", True),
        ("20212 2 3", False),
        ("20212 0 0", True),
        ("20212 0 1", False),
        ("22222 2 4", True),
        ("22222 0 0", False),
        ("1 1 0", True),
        ("1 0 0", False),
    ],
)
def test_examples_worked_by_hand(text, more):
    tokens = tokens_of(text, 3)
    assert solve(Counting(alphabet=3), tokens) == [UNSCORED] * (len(tokens) - 1) + [3 + more]


@pytest.mark.parametrize(("alphabet", "threshold"), CONFIGURATIONS)
def test_the_laws_hold(alphabet, threshold):
    check_task(Counting(alphabet=alphabet, threshold=threshold))
    check_task(Counting(alphabet=alphabet, threshold=threshold), sizes=(5, 6))


@pytest.mark.parametrize(("alphabet", "threshold", "size"), [(2, None, 3), (3, None, 2), (2, 1, 4), (2, 9, 2)])
def test_every_answer_is_the_count_of_a_plain_loop(alphabet, threshold, size):
    task = Counting(alphabet=alphabet, threshold=threshold)
    inputs = [row.tolist() for row in task.inputs(size)]
    thresholds = size if threshold is None else 1
    assert len(inputs) == alphabet ** (size + 1) * thresholds
    for *string, symbol, last in inputs:
        more = string.count(symbol) > last - alphabet - 2
        assert solve(task, [*string, symbol, last])[-1] == alphabet + more


def test_thresholds_are_the_count_or_one_below_with_equal_chance():
    tokens, targets, *_ = Counting(alphabet=3).examples("train", seed=0, start=0, count=20_000, size=9)
    counts = (tokens[:, :9] == tokens[:, 9:10]).sum(1)
    gaps = Counter((counts - (tokens[:, 10] - 5))[(counts > 0) & (counts < 9)].tolist())
    assert set(gaps) == {0, 1}
    assert abs(gaps[1] / gaps.total() - 0.5) < 5 * 0.5 / gaps.total() ** 0.5
    assert set(tokens[counts == 0, 10].tolist()) == {5}
    assert set(targets[counts == 0, 10].tolist()) == {3}


def test_symbols_and_what_is_asked_are_uniform_and_independent():
    tokens = Counting(alphabet=3).examples("capacity", seed=0, start=0, count=18_000, size=3).tokens
    counts = torch.bincount(tokens[:, :4] @ 3 ** torch.arange(4), minlength=81).double()
    assert ((counts - 18_000 / 81).abs() < 5 * (18_000 / 81) ** 0.5).all()


@pytest.mark.parametrize(
    ("alphabet", "threshold", "size", "chance"),
    [
        (2, None, 1, 1 / 2),
        (2, None, 2, 1 / 2),
        (3, None, 1, 2 / 3),
        (3, None, 2, (1 + 4 / 9 - 1 / 9) / 2),
        (2, 0, 3, 7 / 8),
        (2, 1, 3, 1 / 2),
        (4, 7, 5, 1.0),
    ],
)
def test_chance_is_the_more_frequent_answer(alphabet, threshold, size, chance):
    assert Counting(alphabet=alphabet, threshold=threshold).chance(size) == pytest.approx(chance, rel=1e-12)


@pytest.mark.parametrize(
    "tokens", [[], [6], [0, 6], [0, 0], [0, 0, 7], [0, 0, 5], [0, 4, 6], [4, 0, 6], [-1, 0, 6], [0, 6, 6]]
)
def test_what_is_no_question_is_not_valid(tokens):
    assert Counting(alphabet=4).valid(torch.tensor([0, 0, 6]))
    assert not Counting(alphabet=4).valid(torch.tensor(tokens, dtype=torch.int64))


def test_a_fixed_threshold_is_the_only_valid_one():
    task = Counting(alphabet=4, threshold=3)
    assert task.valid(torch.tensor([0, 0, 9]))
    assert not task.valid(torch.tensor([0, 0, 8]))
    assert not task.valid(torch.tensor([0, 9]))
    assert (task.vocabulary(2), Counting(alphabet=4).vocabulary(2)) == (10, 8)


@pytest.mark.parametrize(("size", "many"), [(11, False), (12, True)])
def test_inputs_are_listed_up_to_two_to_the_sixteen(size, many):
    assert (Counting(alphabet=2).inputs(size) is None) == many
    assert (2 ** (size + 1) * size > 2**16) == many


@pytest.mark.parametrize(("alphabet", "threshold"), [(1, None), (0, 3), (4, -1)])
def test_settings_outside_the_domain_are_refused(alphabet, threshold):
    message = f"counting: alphabet is {alphabet} and threshold is {threshold}; they must be at least 2, and None or"
    with pytest.raises(UsageError, match=message):
        Counting(alphabet=alphabet, threshold=threshold)
