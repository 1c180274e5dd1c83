"""Counting: histograms, and what one threshold can tell of them, counted over every string."""

from itertools import product

import pytest

from statewise.bounds import counting
from statewise.core.errors import UsageError


def classes_at(cut, size, alphabet, thresholds):
    """Prefixes told apart by some continuation, symbol and threshold."""
    followers = list(product(range(alphabet), repeat=size - cut))

    def answers(prefix):
        counts = [[(prefix + f).count(symbol) for symbol in range(alphabet)] for f in followers]
        return tuple(count > threshold for row in counts for count in row for threshold in thresholds)

    return len({answers(prefix) for prefix in product(range(alphabet), repeat=cut)})


@pytest.mark.parametrize(("size", "alphabet", "known"), [(1, 2, 2), (4, 2, 5), (4, 3, 15), (3, 4, 20), (6, 2, 7)])
def test_required_bits_count_the_classes_of_the_worst_cut(size, alphabet, known):
    worst = max(classes_at(cut, size, alphabet, range(size)) for cut in range(size + 1))
    assert worst == known
    assert 2 ** counting.required_bits(size, alphabet).value == pytest.approx(worst, rel=1e-12)


@pytest.mark.parametrize("threshold", [0, 1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize(("size", "alphabet"), [(1, 2), (5, 2), (8, 2), (5, 3), (6, 3), (4, 4)])
def test_one_threshold_counts_the_classes_of_the_worst_cut(size, alphabet, threshold):
    worst = max(classes_at(cut, size, alphabet, [threshold]) for cut in range(size + 1))
    value = counting.required_bits_of_threshold(size, alphabet, threshold).value
    assert 2**value == pytest.approx(worst, rel=1e-12)


def test_one_threshold_at_the_size_of_the_notes():
    assert 2 ** counting.required_bits_of_threshold(5, 3, 1).value == pytest.approx(15, rel=1e-12)
    assert classes_at(4, 5, 3, [1]) == 15
    assert classes_at(5, 5, 3, [1]) == 6


@pytest.mark.parametrize(("size", "alphabet", "threshold"), [(200, 4, 3), (200, 16, 60), (1000, 8, 2)])
def test_one_threshold_asks_for_no_more_than_all_of_them(size, alphabet, threshold):
    one = counting.required_bits_of_threshold(size, alphabet, threshold).value
    assert 0 < one < counting.required_bits(size, alphabet).value


def test_a_high_threshold_and_none_at_all():
    assert counting.required_bits_of_threshold(5, 3, 5).value == 0
    assert counting.required_bits_of_threshold(5, 3, 10**9).value == 0


def test_the_bounds_are_silent_about_averages():
    for bound in (counting.required_bits(8, 4), counting.required_bits_of_threshold(8, 4, 2)):
        assert (bound.unit, bound.direction, bound.error) == ("bits", "requirement", "zero")


def test_arguments_outside_the_domain_are_refused():
    with pytest.raises(UsageError, match=r"counting\.required_bits: size is 0; it must be an integer of at least 1"):
        counting.required_bits(0, 2)
    with pytest.raises(UsageError, match="required_bits_of_threshold: alphabet is 1; it must be an integer of at lea"):
        counting.required_bits_of_threshold(4, 1, 0)
    with pytest.raises(UsageError, match="threshold is -1; it must be an integer of at least 0"):
        counting.required_bits_of_threshold(4, 2, -1)
