import pytest
import torch

from statewise.constructions.index_lookup_recurrent import recurrent
from statewise.core import UsageError
from statewise.core.state import state_bits


@pytest.mark.parametrize(
    ("size", "settings"),
    [
        (4, {"alphabet": 3, "digits": 2}),
        (4, {"alphabet": 3, "digits": 1}),
        (5, {"alphabet": 2, "queries": 3, "digits": 3}),
        (6, {"alphabet": 2}),
        (3, {}),
    ],
)
def test_every_input_of_every_size_is_answered(size, settings):
    construction = recurrent(size, **settings)
    for smaller in range(1, size + 1):
        verification = construction.verify(smaller)
        assert verification.exhaustive
        assert verification.exact, verification.first


@pytest.mark.parametrize(
    ("size", "settings"),
    [(512, {}), (60, {"alphabet": 2, "digits": 12}), (9, {"alphabet": 4096}), (40, {"queries": 9})],
)
def test_large_sizes_are_answered(size, settings):
    verification = recurrent(size, **settings).verify(examples=16)
    assert verification.exact, verification.first


def test_every_digit_at_its_largest_is_read():
    construction = recurrent(7, alphabet=16, digits=3)
    for symbol in (0, 15):
        inputs = torch.tensor([[symbol] * 7 + [16 + place] for place in range(7)])
        assert construction.answers(inputs)[:, -1].tolist() == [symbol] * 7


def test_the_state_is_a_number_for_each_unit_and_the_position():
    construction = recurrent(64, digits=3)
    assert state_bits(construction.model.initial_state(1)) == 32 * 22 + 64
    assert "768 bits of state, 3.00 times the 256.0 that are required" in construction.claim
    assert state_bits(recurrent(6, digits=3).model.initial_state(1)) == 32 * 2 + 64
    assert state_bits(recurrent(640, alphabet=2, digits=13).model.initial_state(1)) == 32 * 50 + 64


def test_one_unit_less_and_its_symbols_are_lost():
    construction = recurrent(7, alphabet=4, digits=2)
    with torch.no_grad():
        construction.model.blocks[0].mixer.write.weight[3] = 0
    verification = construction.verify()
    assert verification.mistakes > 0
    assert verification.first.startswith("at 7 of")


def test_a_unit_that_forgets_at_all_is_wrong():
    construction = recurrent(12, alphabet=2, digits=6)
    with torch.no_grad():
        construction.model.blocks[0].mixer.decay[0] = 0.99
    assert construction.verify().mistakes > 0


def test_eight_bits_of_precision_are_not_enough():
    construction = recurrent(3, digits=3)
    construction.model.bfloat16()
    assert construction.verify(examples=64).mistakes > 0


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (0, {}, "index-lookup/recurrent: size is 0; it must be at least 1"),
        (4, {"digits": 4}, r"index-lookup/recurrent: digits is 4; it must be in \[1, 3\]"),
        (4, {"alphabet": 1}, "index-lookup: alphabet is 1"),
    ],
)
def test_what_cannot_be_built_is_refused(size, settings, message):
    with pytest.raises(UsageError, match=message):
        recurrent(size, **settings)
