from itertools import product

import pytest
import torch

from statewise.constructions.associative_recall_attention import attention
from statewise.constructions.construction import solved
from statewise.constructions.gadgets import place_digits
from statewise.core import UsageError


@pytest.mark.parametrize(("size", "settings"), [(3, {"keys": 4, "values": 3}), (2, {"keys": 3, "values": 5}), (1, {})])
def test_every_input_of_every_size_is_answered(size, settings):
    construction = attention(size, **settings)
    for smaller in range(1, size + 1):
        verification = construction.verify(smaller)
        assert verification.exhaustive
        assert verification.exact, verification.first


@pytest.mark.parametrize("size", [500, 1000])
def test_many_pairs_are_recalled(size):
    verification = attention(1000, keys=1000).verify(size, examples=8)
    assert verification.exact, verification.first


def test_of_a_key_shown_more_than_once_the_first_value_is_the_answer():
    construction = attention(3, keys=3, values=3)
    pairs = product(*([range(3), range(3, 6)] * 3))
    tokens = torch.tensor([[*row, asked] for row in pairs for asked in sorted({*row[::2]})])
    batch = solved(construction.task, tokens)
    assert len(tokens) > 1000
    assert torch.equal(construction.answers(tokens)[batch.scored], batch.targets[batch.scored])


def test_the_width_is_logarithmic():
    widths = [attention(size, keys=size, values=size).model.config.width for size in (2, 16, 128, 512)]
    assert widths == [2 * bits + 2 * places for bits, places in ((2, 3), (5, 6), (8, 9), (10, 11))]


def test_without_the_longest_period_two_places_are_one_and_it_fails():
    construction = attention(7)
    place, periods = 2 * 7, 4
    assert place_digits(15) == 2 * periods - 1
    with torch.no_grad():
        construction.model.places.weight[:, [place + periods - 1, place + 2 * periods - 2]] = 0
    assert construction.verify().mistakes > 0


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (0, {}, r"associative-recall/attention: size is 0; it must be in \[1, 64\]: keys are distinct"),
        (5, {"keys": 4}, r"associative-recall/attention: size is 5; it must be in \[1, 4\]: keys are distinct"),
        (1, {"values": 1}, "associative-recall: keys is 64 and values is 1"),
    ],
)
def test_what_cannot_be_built_is_refused(size, settings, message):
    with pytest.raises(UsageError, match=message):
        attention(size, **settings)
