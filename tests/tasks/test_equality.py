"""Equality: the drawings in its file worked by hand, and how often strings are equal in each form."""

from itertools import product

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks.equality import FORMS, Equality
from statewise.tasks.task import UNSCORED, Batch
from statewise.testing.tasks import check_task

MANY = 20_000


def examples(form, alphabet, size, count=MANY):
    return Equality(form=form, alphabet=alphabet).examples("train", seed=0, start=0, count=count, size=size)


def answers(form, tokens):
    tokens = torch.tensor([tokens])
    return Equality(form=form, alphabet=3).solve(Batch(tokens, tokens, tokens >= 0))[0].tolist()


@pytest.mark.parametrize("alphabet", [2, 5])
@pytest.mark.parametrize("form", FORMS)
def test_every_law_holds(form, alphabet):
    check_task(Equality(form=form, alphabet=alphabet))


@pytest.mark.parametrize("form", ["random", "one-difference"])
@pytest.mark.parametrize(
    ("tokens", "equal"),
    [([2, 0, 1, 3, 2, 0, 1], True), ([2, 0, 1, 3, 2, 0, 0], False), ([1, 3, 1], True), ([1, 3, 2], False)],
)
def test_examples_worked_by_hand(form, tokens, equal):
    assert answers(form, tokens) == [UNSCORED] * (len(tokens) - 1) + [4 + equal]


@pytest.mark.parametrize(
    ("tokens", "targets"), [([2, 0, 1, 3, 2, 0], [UNSCORED] * 3 + [2, 0, 1]), ([1, 3], [UNSCORED, 1])]
)
def test_the_next_character_is_that_of_the_first_string(tokens, targets):
    assert answers("next-character", tokens) == targets


@pytest.mark.parametrize(("alphabet", "size", "share"), [(2, 2, 0.625), (3, 1, 2 / 3), (16, 6, 0.5)])
def test_independent_strings_may_be_equal_too(alphabet, size, share):
    equal = (examples("random", alphabet, size).targets[:, -1] == alphabet + 2).double().mean()
    assert Equality(alphabet=alphabet).chance(size) == pytest.approx(share, abs=1e-6)
    assert abs(equal - share) < 5 * 0.5 / MANY**0.5


def test_one_difference_is_at_every_place_and_to_every_symbol():
    tokens = examples("one-difference", 4, 5).tokens
    shift = (tokens[:, 6:] - tokens[:, :5]) % 4
    differ = shift != 0
    assert set(differ.sum(1).tolist()) == {0, 1}
    assert abs(differ.any(1).double().mean() - 0.5) < 5 * 0.5 / MANY**0.5
    counts = torch.stack([(shift == s).sum(0) for s in (1, 2, 3)]).double()
    expected = MANY / 2 / 15
    assert ((counts - expected).abs() < 5 * expected**0.5).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("alphabet", "size"), [(2, 1), (2, 2), (3, 2)])
def test_inputs_are_exactly_what_is_valid(form, alphabet, size):
    task = Equality(form=form, alphabet=alphabet)
    every = product(range(alphabet + 3), repeat=task.length(size))
    valid = {tokens for tokens in every if task.valid(torch.tensor(tokens))}
    listed = [tuple(tokens.tolist()) for tokens in task.inputs(size)]
    seconds = {"random": alphabet**size, "one-difference": 1 + size * (alphabet - 1), "next-character": 1}[form]
    assert len(listed) == alphabet**size * seconds
    assert set(listed) == valid


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tokens", [[], [0], [2], [0, 0, 0], [0, 0, 2, 0, 0, 0], [0, 2, 2], [-1, 2, -1]])
def test_what_is_no_input_is_not_valid(form, tokens):
    assert not Equality(form=form).valid(torch.tensor(tokens, dtype=torch.int64))


@pytest.mark.parametrize(("form", "largest"), [("random", 8), ("one-difference", 12), ("next-character", 16)])
def test_inputs_are_listed_up_to_two_to_the_sixteen(form, largest):
    task = Equality(form=form)
    assert task.inputs(largest) is not None
    assert task.inputs(largest + 1) is None


def test_settings_outside_their_domain_are_refused():
    with pytest.raises(UsageError, match="equality: form is 'none'; it must be one of random, one-difference, next-"):
        Equality(form="none")
    with pytest.raises(UsageError, match="equality: alphabet is 1; it must be at least 2"):
        Equality(alphabet=1)
