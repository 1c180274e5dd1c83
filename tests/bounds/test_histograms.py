"""Bucket sort, majority, majority count: the classes of histograms at every cut, counted."""

import pytest

from statewise.bounds import histograms
from statewise.core.errors import UsageError


def histograms_of(symbols, alphabet):
    if alphabet == 1:
        return [(symbols,)]
    return [(a, *rest) for a in range(symbols + 1) for rest in histograms_of(symbols - a, alphabet - 1)]


def most_frequent(counts):
    return max(range(len(counts)), key=lambda symbol: (counts[symbol], symbol))


def most_classes(size, alphabet, answer):
    """Histograms with different rows of answers, at the worst cut before the last symbol."""

    def classes(cut):
        later = histograms_of(size - cut, alphabet)
        return len(
            {
                tuple(answer([a + b for a, b in zip(first, rest, strict=True)]) for rest in later)
                for first in histograms_of(cut, alphabet)
            }
        )

    return max(map(classes, range(size)))


def states(bound):
    assert (bound.unit, bound.error) == ("bits", "zero")
    return 2**bound.value


@pytest.mark.parametrize("size", range(1, 13))
@pytest.mark.parametrize(
    ("required", "answer"), [(histograms.majority_bits, most_frequent), (histograms.majority_count_bits, max)]
)
def test_two_symbols_are_exact(required, answer, size):
    assert states(required(size, 2)) == pytest.approx(most_classes(size, 2, answer), rel=1e-12)


@pytest.mark.parametrize(
    ("alphabet", "size"), [(3, n) for n in range(1, 10)] + [(4, n) for n in range(1, 8)] + [(5, 5)]
)
@pytest.mark.parametrize(
    ("required", "answer"), [(histograms.majority_bits, most_frequent), (histograms.majority_count_bits, max)]
)
def test_more_symbols_lie_between_the_bounds(required, answer, alphabet, size):
    counted = most_classes(size, alphabet, answer)
    assert states(required(size, alphabet)) <= counted * (1 + 1e-12)
    assert counted <= states(histograms.histogram_bits(size, alphabet)) * (1 + 1e-12)


def test_the_numbers_of_the_notes():
    assert [states(histograms.majority_bits(n, 2)) for n in range(8, 13)] == pytest.approx([5, 6, 6, 7, 7])
    assert [most_classes(n, 3, most_frequent) for n in range(6, 10)] == [12, 15, 18, 21]
    assert [states(histograms.majority_bits(n, 3)) for n in range(6, 10)] == pytest.approx([3, 6, 6, 6])
    assert [most_classes(n, 3, max) for n in range(6, 10)] == [12, 18, 19, 25]
    assert [states(histograms.majority_count_bits(n, 3)) for n in range(6, 10)] == pytest.approx([10, 10, 15, 15])


@pytest.mark.parametrize(("size", "alphabet"), [(1, 2), (4, 3), (5, 2), (6, 4)])
def test_bucket_sort_counts_histograms(size, alphabet):
    counted = len(histograms_of(size, alphabet))
    assert states(histograms.bucket_sort_bits(size, alphabet)) == pytest.approx(counted, rel=1e-12)


def test_what_is_enough_is_a_construction():
    assert histograms.histogram_bits(9, 3).direction == "construction"
    assert histograms.majority_bits(9, 3).direction == "requirement"


@pytest.mark.parametrize("name", ["bucket_sort_bits", "majority_bits", "majority_count_bits", "histogram_bits"])
def test_settings_outside_the_domain_are_refused(name):
    function = getattr(histograms, name)
    with pytest.raises(UsageError, match=f"histograms.{name}: size is 0; it must be an integer of at least 1"):
        function(0, 2)
    with pytest.raises(UsageError, match=f"histograms.{name}: alphabet is 1; it must be an integer of at least 2"):
        function(4, 1)
