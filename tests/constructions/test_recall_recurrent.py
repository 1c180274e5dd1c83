import pytest
import torch

from statewise.constructions.recall_recurrent import recurrent
from statewise.core import UsageError
from statewise.core.state import state_bits


@pytest.mark.parametrize(
    ("size", "settings"),
    [
        (3, {"keys": 3, "values": 3}),
        (2, {"keys": 5, "values": 4, "digits": 3}),
        (3, {"keys": 4, "values": 3, "digits": 1}),
        (1, {}),
    ],
)
def test_every_input_of_every_size_is_answered(size, settings):
    construction = recurrent(size, **settings)
    for smaller in range(1, size + 1):
        verification = construction.verify(smaller)
        assert verification.exhaustive
        assert verification.exact, verification.first


@pytest.mark.parametrize(("size", "keys", "values"), [(64, 64, 16), (300, 400, 2), (100, 100, 1000)])
def test_large_sizes_are_answered(size, keys, values):
    verification = recurrent(size, keys=keys, values=values).verify(examples=32)
    assert verification.exact, verification.first


def test_the_state_is_linear_in_the_keys():
    bits = [state_bits(recurrent(keys, keys=keys, digits=2).model.initial_state(1)) for keys in (40, 80, 160)]
    assert bits[2] - bits[1] == 2 * (bits[1] - bits[0])
    assert "2,336 bits of state, 9.12 times the 256.0 that are required" in recurrent(64).claim


def test_without_the_token_before_no_value_meets_its_key():
    construction = recurrent(2, keys=2, values=3)
    with torch.no_grad():
        construction.model.blocks[0].conv.weight[1] = 0
    assert construction.verify().mistakes > 0


def test_one_unit_less_and_its_keys_are_lost():
    construction = recurrent(3, keys=3, values=3, digits=1)
    with torch.no_grad():
        construction.model.blocks[0].mixer.write.weight[2] = 0
    assert construction.verify().mistakes > 0


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (65, {}, r"associative-recall/recurrent: size is 65; it must be in \[1, 64\]"),
        (4, {"digits": 4}, r"associative-recall/recurrent: digits is 4; it must be in \[1, 3\]"),
        (4, {"values": 1}, "associative-recall: keys is 64 and values is 1"),
        (4, {"values": 4097}, "associative-recall/recurrent: there are 4,097 symbols"),
    ],
)
def test_what_cannot_be_built_is_refused(size, settings, message):
    with pytest.raises(UsageError, match=message):
        recurrent(size, **settings)
