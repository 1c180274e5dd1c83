from itertools import product

import pytest
import torch

from statewise.constructions import build
from statewise.core import UsageError

NAME = "dyck/gru"


def balanced(word, types, depth):
    stack = []
    for token in word:
        if token < types:
            stack.append(token)
            if len(stack) > depth:
                return False
        elif not stack or stack.pop() != token - types:
            return False
    return not stack


@pytest.mark.parametrize(("types", "depth", "longest"), [(1, 1, 10), (1, 3, 10), (2, 2, 6), (3, 1, 5), (2, 3, 5)])
def test_every_string_of_every_length_is_judged(types, depth, longest):
    construction = build(NAME, 6, types=types, depth=depth)
    for length in range(1, longest + 1):
        words = list(product(range(2 * types), repeat=length))
        answers = construction.answers(torch.tensor(words))[:, -1] - 2 * types
        assert answers.tolist() == [int(balanced(word, types, depth)) for word in words]


def test_long_strings_are_judged():
    construction = build(NAME, 4000)
    verification = construction.verify(4000, examples=16)
    assert verification.exact, verification.first


def test_one_unit_is_on_in_a_string_that_may_go_on_and_none_after_what_cannot_be_mended():
    model = build(NAME, 50).model
    hidden = {word: model(torch.tensor([word]))[1].blocks[0].mixer.hidden[0] for word in ((0, 1, 3, 1), (0, 3, 2, 0))}
    assert [(state == 1).sum().item() for state in hidden.values()] == [2, 1]
    assert {number for state in hidden.values() for number in state.tolist()} == {-1.0, 0.0, 1.0}


def test_the_size_is_that_of_the_automaton():
    assert build(NAME, 2).claim == (
        "one GRU layer of 13 units, constant at every length, runs the automaton of 7 stacks"
    )
    assert build(NAME, 2).model.config.width == build(NAME, 500).model.config.width == 17


@pytest.mark.parametrize("unit", range(13))
def test_every_unit_is_needed(unit):
    construction = build(NAME, 6)
    cell = construction.model.blocks[0].mixer.cell
    with torch.no_grad():
        cell.weight_ih_l0[2 * 17 + unit] = 0
        cell.weight_hh_l0[2 * 17 + unit] = 0
        cell.bias_ih_l0[2 * 17 + unit] = 0 if unit == 12 else -20
    assert construction.verify(6).mistakes > 0


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (3, {}, "dyck/gru: size is 3; it must be a positive multiple of 2"),
        (4, {"types": 0}, "dyck: types is 0"),
    ],
)
def test_what_cannot_be_built_is_refused(size, settings, message):
    with pytest.raises(UsageError, match=message):
        build(NAME, size, **settings)
