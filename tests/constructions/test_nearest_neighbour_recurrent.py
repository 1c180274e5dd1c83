import pytest
import torch

from statewise.constructions.nearest_neighbour_recurrent import recurrent
from statewise.core import UsageError
from statewise.core.state import state_bits


@pytest.mark.parametrize(("size", "bits", "labels"), [(1, 3, 3), (2, 1, 3), (2, 3, 3), (3, 2, 2), (4, 1, 2), (4, 2, 2)])
def test_every_input_is_answered(size, bits, labels):
    verification = recurrent(size, bits=bits, labels=labels).verify()
    assert verification.exhaustive
    assert verification.exact, verification.first


@pytest.mark.parametrize(("size", "bits", "labels"), [(24, 8, 2), (20, 3, 100), (12, 12, 3), (15, 16, 2), (5, 4, 4095)])
def test_many_points_are_told_apart(size, bits, labels):
    verification = recurrent(size, bits=bits, labels=labels).verify(examples=64)
    assert verification.exact, verification.first


def test_the_state_is_linear_in_the_points():
    for size in (3, 6, 12):
        assert state_bits(recurrent(size).model.initial_state(1)) == 2 * 32 * (9 * size + 9) + 64
    assert (
        "4,096 bits of state, 682.67 times the 6.0 that are required; 44.4 are known to be enough" in recurrent(6).claim
    )


def test_without_their_numbers_points_at_one_distance_are_confused():
    construction = recurrent(3, bits=2)
    with torch.no_grad():
        construction.model.blocks[0].mixer.read.weight[2::4] = 0
    verification = construction.verify()
    assert 0 < verification.mistakes < verification.inputs


def test_without_their_places_equal_points_are_added_up():
    construction = recurrent(3, bits=2)
    with torch.no_grad():
        construction.model.blocks[0].feed_forward[0].bias.zero_()
    assert construction.verify().mistakes > 0


def test_one_unit_less_and_a_bit_is_lost():
    construction = recurrent(3, bits=2)
    with torch.no_grad():
        construction.model.blocks[0].mixer.write.weight[0] = 0
    assert construction.verify().mistakes > 0


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (0, {}, r"nearest-neighbour/recurrent: size is 0; it must be in \[1, 7278\]"),
        (16, {"bits": 16}, r"size is 16; it must be in \[1, 15\]: scores of 16 bits end there in float32"),
        (1, {"bits": 20}, r"nearest-neighbour/recurrent: bits is 20; it must be in \[1, 19\]"),
        (3, {"bits": 0}, "nearest-neighbour: bits is 0"),
        (3, {"labels": 4096}, "nearest-neighbour/recurrent: labels is 4,096; it is exact up to 4,095"),
    ],
)
def test_what_cannot_be_built_is_refused(size, settings, message):
    with pytest.raises(UsageError, match=message):
        recurrent(size, **settings)
