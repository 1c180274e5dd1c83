"""Nearest neighbour: bits that a recurrent reader needs, and bits that are enough.

n the size (labelled points before the first query), d the bits of a point, v the labels.
"""

import math

from statewise.bounds.bound import Bound, whole


def required_bits(size: int, bits: int, labels: int) -> Bound:
    """Bits of state before the first query that any recurrent reader needs: min(n, 2^d) · log2 v.

    Proof: show the same distinct points in the same order; two lists of labels differ at a point, which may be
    asked itself.

    size    n, at least 1 (UsageError otherwise)
    bits    d, at least 1 (UsageError otherwise)
    labels  v, at least 2 (UsageError otherwise)

    What is enough is `enough_bits`; between the two nothing is claimed.

    Source: counting; for n = N/2 points and two labels Bhattamishra, Hahn, Blunsom, Kanade 2024,
    arXiv 2406.09347, Theorem 8.

    >>> required_bits(size=20, bits=28, labels=2).value
    20.0
    """
    size, bits, labels = _checked("required_bits", size, bits, labels)
    return Bound(
        value=_most_points(size, bits) * math.log2(labels),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any deterministic recurrent reader",
        assumes="any points and labels may be shown, any point asked; before the first query",
        source="counting labels of fixed points; Bhattamishra et al. 2024, arXiv 2406.09347, Theorem 8",
    )


def enough_bits(size: int, bits: int, labels: int) -> Bound:
    """Bits that are enough before the first query: log2 Σ C(2^d, j) · v^j over 1 ≤ j ≤ min(n, 2^d).

    Proof: keep the set of labelled points, j of them distinct: of equal points the first label counts, of
    points at one distance the smallest, so that order does not matter.

    size    n, at least 1 (UsageError otherwise)
    bits    d, at least 1 (UsageError otherwise)
    labels  v, at least 2 (UsageError otherwise)

    At the cut before the first query; within a point its bits read so far come on top.

    Source: a reader written down.

    >>> round(2 ** enough_bits(size=2, bits=1, labels=2).value, 6)
    8.0
    """
    size, bits, labels = _checked("enough_bits", size, bits, labels)
    points = 2**bits
    sets, term = 0, 1
    for j in range(_most_points(size, bits)):
        term = term * (points - j) * labels // (j + 1)
        sets += term
    return Bound(
        value=math.log2(sets),
        unit="bits",
        direction="construction",
        error="zero",
        holds_for="the reader that keeps the set of labelled points",
        assumes="ties are broken by the points alone; before the first query",
        source="a reader written down",
    )


def _most_points(size: int, bits: int) -> int:
    """Distinct points that can be shown, without building 2^d where it is far larger."""
    return size if bits > size.bit_length() else min(size, 2**bits)


def _checked(function: str, size: int, bits: int, labels: int) -> tuple[int, int, int]:
    where = f"nearest_neighbour.{function}"
    return (
        whole(where, "size", size, least=1),
        whole(where, "bits", bits, least=1),
        whole(where, "labels", labels, least=2),
    )
