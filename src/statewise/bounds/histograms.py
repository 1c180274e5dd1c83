"""Bucket sort, majority and majority count: bits of a reader that counts, size and position being known to it.

n the size (symbols in the string), k the alphabet, t a cut: t symbols were read. There are C(t + k − 1, k − 1)
histograms of t symbols. Every continuation is allowed after every prefix, so the number of classes of prefixes at
the worst cut is exact where it is known (Myhill-Nerode). Nothing here holds for an accuracy below 100 %.
"""

import math

from statewise.bounds.bound import Bound, whole


def bucket_sort_bits(size: int, alphabet: int) -> Bound:
    """Bits that bucket sort requires: log2 C(n + k − 1, k − 1).

    Proof: before the first blank, strings with one histogram have one answer and others have others; before
    that a reader holds the histogram so far, of which there are fewer. Exact.

    size      n, at least 1 (UsageError otherwise)
    alphabet  k, at least 2 (UsageError otherwise)

    Source: counting the answers.

    >>> round(2 ** bucket_sort_bits(size=4, alphabet=3).value, 9)
    15.0
    """
    size, alphabet = _checked("bucket_sort_bits", size, alphabet)
    return _required(
        _histograms(size, alphabet),
        holds_for="any deterministic recurrent reader; a histogram reaches it",
        source="counting the answers, which are the histograms",
    )


def majority_bits(size: int, alphabet: int) -> Bound:
    """Bits that majority requires, ties going to the larger symbol.

        k = 2:  log2(⌈n/2⌉ + 1), exact, and 0 for n = 1        k ≥ 3:  log2 C(⌊(n−1)/3⌋ + k − 1, k − 1)

    Proof for k = 2: the larger symbol wins if it occurs w = ⌈n/2⌉ times. After t symbols, c of them the larger
    one, what counts is how many are missing, w − c, anything up to 0 and anything above the n − t to come
    being alike. That is at most the w + 1 numbers 0 … w, and at t = w all of them where n − w + 1 ≥ w.
    Proof for k ≥ 3: at t = ⌊(n−1)/3⌋ at least 2t + 1 symbols are to come. Two histograms of t symbols differ in
    the lead of some symbol over another. Copies of these two, with a third symbol once at most where the parity
    asks for it, outnumber all others and put one of the two first after one histogram and the other after the
    other; if neither occurs in one of the histograms, a pair whose leads differ by 2 or more needs no third.

    size      n, at least 1 (UsageError otherwise)
    alphabet  k, at least 2 (UsageError otherwise)

    For k ≥ 3 a lower bound, from 1 symbol in 3: `histogram_bits` is enough, and the truth lies between.

    Source: Myhill-Nerode, the arguments above; classes counted for k = 2 up to n = 12 and for k = 3, 4 in tests.

    >>> round(2 ** majority_bits(size=8, alphabet=2).value, 9)
    5.0
    """
    size, alphabet = _checked("majority_bits", size, alphabet)
    if alphabet == 2:
        return _required(
            (size + 1) // 2 + 1 if size > 1 else 1,
            holds_for="any deterministic recurrent reader of this size; how many are missing to win reaches it",
            source="Myhill-Nerode, classes by how many of the larger symbol are missing",
        )
    return _required(
        _histograms((size - 1) // 3, alphabet),
        holds_for="any deterministic recurrent reader of this size; a lower bound, not known to be reached",
        source="Myhill-Nerode, all histograms of the first third are told apart",
    )


def majority_count_bits(size: int, alphabet: int) -> Bound:
    """Bits that majority count requires.

        k = 2:  log2 n, exact        k ≥ 3:  log2 C(⌊n/2⌋ + k − 1, k − 1)

    Proof: at t = ⌊n/2⌋, as many copies of one symbol as are to come make it the most frequent, and the answer
    tells how often it occurred before; so all histograms are told apart. For k = 2 at t = n − 1 too: if the
    first symbol occurred c times, one more of it gives max(c + 1, t − c) and the other max(c, t + 1 − c), and
    these are different pairs for the n values of c.

    size      n, at least 1 (UsageError otherwise)
    alphabet  k, at least 2 (UsageError otherwise)

    For k ≥ 3 a lower bound: `histogram_bits` is enough, and the truth lies between.

    Source: Myhill-Nerode, the arguments above; classes counted for k = 2 up to n = 12 and for k = 3, 4 in tests.

    >>> round(2 ** majority_count_bits(size=8, alphabet=2).value, 9)
    8.0
    """
    size, alphabet = _checked("majority_count_bits", size, alphabet)
    if alphabet == 2:
        return _required(
            size,
            holds_for="any deterministic recurrent reader of this size; the count of one symbol reaches it",
            source="Myhill-Nerode, all counts before the last symbol are told apart",
        )
    return _required(
        _histograms(size // 2, alphabet),
        holds_for="any deterministic recurrent reader of this size; a lower bound, not known to be reached",
        source="Myhill-Nerode, all histograms of the first half are told apart",
    )


def histogram_bits(size: int, alphabet: int) -> Bound:
    """Bits with which majority and majority count are solved: log2 C(n + k − 2, k − 1).

    Proof: the histogram of the first n − 1 symbols and the last symbol are the whole histogram, which gives the
    answer; earlier cuts have fewer histograms.

    size      n, at least 1 (UsageError otherwise)
    alphabet  k, at least 2 (UsageError otherwise)

    Source: a reader written down here.

    >>> round(2 ** histogram_bits(size=9, alphabet=3).value, 9)
    45.0
    """
    size, alphabet = _checked("histogram_bits", size, alphabet)
    return Bound(
        value=math.log2(_histograms(size - 1, alphabet)),
        unit="bits",
        direction="construction",
        error="zero",
        holds_for="the reader that holds the histogram of what it has read",
        assumes="size and position are known to the reader",
        source="a reader written down",
    )


def _histograms(symbols: int, alphabet: int) -> int:
    return math.comb(symbols + alphabet - 1, alphabet - 1)


def _required(states: int, *, holds_for: str, source: str) -> Bound:
    return Bound(
        value=math.log2(states),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for=holds_for,
        assumes="size and position are known to the reader",
        source=source,
    )


def _checked(function: str, size: int, alphabet: int) -> tuple[int, int]:
    where = f"histograms.{function}"
    return whole(where, "size", size, least=1), whole(where, "alphabet", alphabet, least=2)
