"""c-gram retrieval: the drawing in its file, first matches by a plain loop, and grams at uniform places."""

from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.c_gram_retrieval import CGramRetrieval
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task


def solve(task, tokens):
    tokens = torch.tensor([tokens])
    return task.solve(Batch(tokens, tokens, tokens >= 0))[0].tolist()


def first_successor(string, gram):
    """What follows the first occurrence of a tuple that anything follows; None if there is none."""
    for place in range(len(string) - len(gram)):
        if string[place : place + len(gram)] == gram:
            return string[place + len(gram)]
    return None


@pytest.mark.parametrize(
    ("string", "gram", "answer"),
    [
        ([0, 2, 1, 0, 2, 3, 1], [0, 2], 1),
        ([0, 2, 1, 0, 2, 3, 1], [2, 3], 1),
        ([0, 2, 1, 0, 2, 3, 1], [2, 1], 0),
        ([3, 3, 3, 2], [3, 3], 3),
        ([0, 1, 2, 1, 3], [1], 2),
        ([1, 0], [1], 0),
        ([0, 1, 2, 3], [0, 1, 2], 3),
    ],
)
def test_examples_worked_by_hand(string, gram, answer):
    task = CGramRetrieval(alphabet=4, gram=len(gram) + 1)
    assert solve(task, string + gram) == [UNSCORED] * (len(string + gram) - 1) + [answer]


@pytest.mark.parametrize(("alphabet", "gram"), [(16, 2), (2, 2), (3, 2), (2, 3), (4, 3), (3, 5)])
def test_the_laws_hold(alphabet, gram):
    check_task(CGramRetrieval(alphabet=alphabet, gram=gram), sizes=(gram, gram + 1, 3 * gram))


@pytest.mark.parametrize(
    ("alphabet", "gram", "size"), [(2, 2, 2), (2, 2, 5), (3, 2, 4), (2, 3, 5), (3, 3, 4), (2, 4, 4)]
)
def test_inputs_are_what_is_valid_and_answered_by_a_plain_loop(alphabet, gram, size):
    task = CGramRetrieval(alphabet=alphabet, gram=gram)
    expected = {}
    for tokens in product(range(alphabet), repeat=size + gram - 1):
        answer = first_successor(tokens[:size], tokens[size:])
        assert task.valid(torch.tensor(tokens)) == (answer is not None)
        if answer is not None:
            expected[tokens] = answer
    listed = [tuple(row.tolist()) for row in task.inputs(size)]
    assert len(listed) == len(expected)
    assert {tokens: solve(task, list(tokens))[-1] for tokens in listed} == expected


def test_strings_are_uniform_and_so_are_places():
    """In strings of four symbols, no two alike, the gram shows the place that was drawn."""
    tokens = CGramRetrieval(alphabet=5).examples("train", seed=0, start=0, count=20_000, size=4).tokens
    counts = torch.bincount(tokens[:, :4] @ 5 ** torch.arange(4), minlength=625).double()
    assert ((counts - 32).abs() < 6 * 32**0.5).all()
    unlike = tokens[[len(set(row)) == 4 for row in tokens[:, :4].tolist()]]
    places = torch.bincount((unlike[:, :4] == unlike[:, 4:]).long().argmax(1), minlength=4).double()
    assert places[3] == 0
    assert ((places[:3] - len(unlike) / 3).abs() < 5 * (len(unlike) * 2 / 9) ** 0.5).all()


@pytest.mark.parametrize("tokens", [[], [0], [0, 0], [0, 1, 1], [0, 1, 2], [4, 1, 4], [0, 1, -1], [-1, 0, -1]])
def test_what_is_no_question_is_not_valid(tokens):
    assert CGramRetrieval(alphabet=4).valid(torch.tensor([0, 1, 0]))
    assert not CGramRetrieval(alphabet=4).valid(torch.tensor(tokens, dtype=torch.int64))


def test_inputs_are_listed_up_to_two_to_the_sixteen():
    counted = sum(len(set(string[:-1])) for string in product((0, 1), repeat=15))
    assert len(list(CGramRetrieval(alphabet=2).inputs(15))) == counted <= 2**16
    assert CGramRetrieval(alphabet=2).inputs(16) is None
    assert CGramRetrieval(alphabet=2).inputs(40) is None
    assert CGramRetrieval(alphabet=40).inputs(3) is None


@pytest.mark.parametrize(("gram", "size"), [(2, 1), (3, 2), (5, 4), (2, 0)])
def test_strings_without_room_for_a_window_are_refused(gram, size):
    with pytest.raises(UsageError, match=f"c-gram-retrieval: size is {size}; it must be an integer of at least {gram}"):
        CGramRetrieval(gram=gram).examples("train", seed=0, start=0, count=1, size=size)


@pytest.mark.parametrize(("alphabet", "gram"), [(1, 2), (2, 1), (0, 0)])
def test_settings_outside_the_domain_are_refused(alphabet, gram):
    with pytest.raises(UsageError, match=f"alphabet is {alphabet} and gram is {gram}; both must be at least 2"):
        CGramRetrieval(alphabet=alphabet, gram=gram)
