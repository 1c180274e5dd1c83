import pytest
import torch

from statewise.constructions.digits import EXACT, UNPACKED, checked_digits, digit_values, digits_within, unpacking
from statewise.constructions.directions import Directions
from statewise.core import UsageError


def read(alphabet, digits, place, numbers):
    """The answer that the ReLUs give for numbers (N,), and the sum of absolute values that it is made of."""
    at = Directions(number=1, digit=digits, answer=1)
    relus = unpacking(at, alphabet, digits)
    tokens = torch.zeros(len(numbers), at.width)
    tokens[:, at["number"]] = numbers[:, None].float()
    if place is not None:
        tokens[:, at["digit"]][:, place] = 1
    rows, out = torch.stack([relu.row for relu in relus]), torch.stack([relu.to for relu in relus])[:, at["answer"]]
    hidden = (tokens @ rows.mT + torch.tensor([relu.bias for relu in relus])).relu()
    return (hidden @ out)[:, 0], (hidden @ out.abs())[:, 0]


@pytest.mark.parametrize(("alphabet", "digits"), [(2, 1), (2, 6), (3, 4), (7, 2), (16, 2), (16, 3), (500, 1)])
def test_every_digit_of_every_number_is_read(alphabet, digits):
    numbers = torch.arange(alphabet**digits)
    for place in range(digits):
        answer, _ = read(alphabet, digits, place, numbers)
        assert torch.equal(answer.double(), digit_values(alphabet, digits, place))


def test_no_digit_is_read_where_none_is_asked():
    answer, _ = read(3, 3, None, torch.arange(27))
    assert torch.equal(answer, torch.zeros(27))


@pytest.mark.parametrize("alphabet", [2, 3, 6, 9, 20, 90])
def test_no_order_of_adding_can_round(alphabet):
    digits = digits_within(alphabet, UNPACKED)
    ends = torch.tensor([0, alphabet**digits - 1])
    for place in range(digits):
        answer, absolute = read(alphabet, digits, place, ends)
        assert absolute.max() <= EXACT
        assert answer.tolist() == [0, alphabet - 1]


def test_the_number_of_corners_is_four_to_the_digits_but_one():
    at = Directions(number=1, digit=3, answer=1)
    assert len(unpacking(at, 16, 3)) <= 4.5 * 16**2


@pytest.mark.parametrize(
    ("alphabet", "digits", "message"),
    [
        (16, 4, r"here: digits is 4; it must be in \[1, 3\]: for 16 symbols float32 ends there"),
        (16, 0, r"here: digits is 0; it must be in \[1, 3\]"),
        (5000, None, "here: there are 5,000 symbols; it is exact up to 4,096"),
    ],
)
def test_digits_that_cannot_be_read_are_refused(alphabet, digits, message):
    with pytest.raises(UsageError, match=message):
        checked_digits("here", alphabet, digits, usual=UNPACKED, most=UNPACKED)
