import pytest
import torch

from statewise.constructions import equality_recurrent
from statewise.constructions.equality_recurrent import recurrent
from statewise.core import UsageError
from statewise.core.state import state_bits


@pytest.mark.parametrize("size", [1, 2, 5, 7])
@pytest.mark.parametrize("digits", [None, 1, 3])
def test_every_pair_of_strings_is_compared(size, digits):
    verification = recurrent(size, digits=digits).verify()
    assert verification.inputs == 4**size
    assert verification.exact, verification.first


@pytest.mark.parametrize(("size", "alphabet"), [(4, 3), (3, 5), (9, 2)])
@pytest.mark.parametrize("form", ["random", "one-difference"])
def test_other_alphabets_and_forms(size, alphabet, form):
    verification = recurrent(size, form=form, alphabet=alphabet).verify()
    assert verification.exact, verification.first


@pytest.mark.parametrize(
    ("size", "settings"),
    [(500, {}), (60, {"alphabet": 4096}), (2000, {"form": "one-difference", "alphabet": 4096})],
)
def test_long_strings_are_compared(size, settings):
    verification = recurrent(size, **settings).verify(examples=16)
    assert verification.exact, verification.first


@pytest.mark.parametrize("size", [24, 48])
def test_one_difference_anywhere_is_seen_by_full_numbers(size):
    construction = recurrent(size)
    for first in (torch.ones(size), torch.zeros(size), torch.arange(size) % 2):
        seconds = (first.repeat(size, 1) + torch.eye(size)) % 2
        rows = torch.cat([first.repeat(size, 1), torch.full((size, 1), 2), seconds], 1).long()
        assert construction.answers(rows)[:, -1].tolist() == [3] * size


def beyond(digits):
    """Strings that differ in the first symbol alone, at its largest weight below the highest: 1 0 … 0 1 | 0 … 0 1."""
    last = [0] * (digits - 2) + [1]
    return torch.tensor([[1, *last, 2, 0, *last]])


def test_more_digits_than_float32_holds_are_refused_for_a_reason(monkeypatch):
    assert recurrent(24, digits=24).answers(beyond(24))[0, -1] == 3
    with pytest.raises(UsageError, match=r"digits is 26; it must be in \[1, 24\]"):
        recurrent(26, digits=26)
    monkeypatch.setattr(equality_recurrent, "EXACT", 2**26)
    assert recurrent(26, digits=26).answers(beyond(26))[0, -1] == 4


def test_the_state_is_a_number_for_each_24_symbols_and_the_position():
    construction = recurrent(240)
    assert state_bits(construction.model.initial_state(1)) == 32 * 10 + 64
    assert "384 bits of state, 1.60 times the 240.0 that are required" in construction.claim
    assert state_bits(recurrent(1000, form="one-difference").model.initial_state(1)) == 32 + 64


def test_a_checksum_is_too_little_for_random_strings():
    construction = recurrent(4, form="one-difference")
    # 0 1 and 1 0 have one sum.
    assert construction.answers(torch.tensor([[0, 1, 0, 0, 2, 1, 0, 0, 0]]))[0, -1] == 4


def test_one_unit_less_and_its_symbols_are_not_compared():
    construction = recurrent(4, digits=2)
    with torch.no_grad():
        construction.model.blocks[0].mixer.write.weight[1] = 0
    verification = construction.verify()
    assert verification.mistakes == 4 * 12
    assert "says 4; right is 3" in verification.first


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (0, {}, r"equality/recurrent: size is 0; it must be in \[1, 16777216\]"),
        (2**23 + 1, {"alphabet": 3}, r"equality/recurrent: size is 8388609; it must be in \[1, 8388608\]"),
        (4, {"form": "next-character"}, "form is 'next-character'; it must be random or one-difference"),
        (
            4,
            {"form": "one-difference", "digits": 2},
            "digits is 2; a checksum, which one-difference needs alone, has none",
        ),
        (4, {"digits": 25}, r"equality/recurrent: digits is 25; it must be in \[1, 24\]"),
        (4, {"alphabet": 5000}, "equality/recurrent: there are 5,000 symbols"),
    ],
)
def test_what_cannot_be_built_is_refused(size, settings, message):
    with pytest.raises(UsageError, match=message):
        recurrent(size, **settings)


def test_it_is_for_one_size():
    construction = recurrent(6)
    assert construction.sizes == (6, 6)
    assert construction.verify(5).mistakes > 0
