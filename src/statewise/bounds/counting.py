"""Counting: the histogram of the string, or as much of it as one threshold can tell.

n the size (symbols in the string), k the alphabet, T a threshold that is the same for every input.
"""

import math

from statewise.bounds.bound import Bound, whole


def required_bits(size: int, alphabet: int) -> Bound:
    """Bits of state that any reader needs where any threshold below n may follow: log2 C(n+k−1, n).

    Proof: histograms of the whole string that differ do so in the count of some symbol q, say c < c'; to q and the
    threshold c the answers are no and yes; so each of the C(n+k−1, n) histograms has a state of its own after the
    string. Exact: running counts have no more values at any earlier cut, and after q one count is enough.

    size      n, at least 1 (UsageError otherwise)
    alphabet  k, at least 2 (UsageError otherwise)

    At zero error only: it says nothing about a reader that is right on 99 % of the strings.

    Source: counting; that any reader needs Ω(n) bits is in Wen, Dang, Lyu 2024, arXiv 2402.18510, Theorem 4.6.

    >>> round(2 ** required_bits(size=4, alphabet=3).value)
    15
    """
    size, alphabet = _checked("required_bits", size, alphabet)
    return _requirement(
        math.comb(size + alphabet - 1, size),
        assumes="symbol and threshold come after the string; any threshold below its length",
        source="distinct histograms; Wen et al. 2024, arXiv 2402.18510, Theorem 4.6, for Ω(n)",
    )


def required_bits_of_threshold(size: int, alphabet: int, threshold: int) -> Bound:
    """Bits of state that any reader needs at its worst cut where every input has the threshold T.

        log2 max_t #{(min(max(c_a, T − r), T + 1))_a : Σ_a c_a = t},   r = n − t, all c_a ≥ 0

    Proof: with r symbols to come, a count of at most T − r is never enough and one of at least T + 1 always is, so
    prefixes of equal clipped counts are answered alike. Where the clipped counts of some symbol a differ, say c < c',
    T + 1 − c' copies of a followed by other symbols make c' enough and c not. Every continuation is allowed, so the
    number is exact. (Clipping from above alone counts too many: at t = n only the set of frequent symbols matters.)

    size       n, at least 1 (UsageError otherwise)
    alphabet   k, at least 2 (UsageError otherwise)
    threshold  T, at least 0 (UsageError otherwise); the value is 0 from T = n on

    Source: Myhill-Nerode, counted over every cut t.

    >>> round(2 ** required_bits_of_threshold(size=5, alphabet=3, threshold=1).value)
    15
    """
    size, alphabet = _checked("required_bits_of_threshold", size, alphabet)
    threshold = whole("counting.required_bits_of_threshold", "threshold", threshold, least=0)
    return _requirement(
        max(_clipped_histograms(t, alphabet, threshold, size - t) for t in range(size + 1)),
        assumes=f"symbol and threshold come after the string; the threshold is always {threshold:,}",
        source="Myhill-Nerode, counts clipped to what the rest of the string can still change",
    )


def _clipped_histograms(total: int, alphabet: int, threshold: int, rest: int) -> int:
    """How many vectors of clipped counts there are after `total` symbols, `rest` symbols before the end."""
    low, high = max(0, threshold - rest), threshold + 1
    vectors = 0
    for highs in range(alphabet + 1):
        # Counts at the lower clip stand for 0 … low; where low is 0 they are counted with those in between.
        for lows in range(alphabet - highs + 1) if low else (0,):
            between = alphabet - highs - lows
            first = low + 1 if low else 0
            most = total - highs * high
            # A count that reached the upper clip takes up whatever is left over; else the sum must be met.
            least = 0 if highs else total - lows * low
            ways = _sums_up_to(between, first, high - 1, most) - _sums_up_to(between, first, high - 1, least - 1)
            vectors += math.comb(alphabet, highs) * math.comb(alphabet - highs, lows) * ways
    return vectors


def _sums_up_to(parts: int, first: int, last: int, most: int) -> int:
    """How many lists of `parts` integers in first … last have a sum of at most `most`: inclusion and exclusion."""
    left, width = most - parts * first, last - first + 1
    if left < 0:
        return 0
    terms = range(min(parts, left // width if width else parts) + 1)
    return sum((-1) ** j * math.comb(parts, j) * math.comb(left - j * width + parts, parts) for j in terms)


def _requirement(classes: int, *, assumes: str, source: str) -> Bound:
    return Bound(
        value=math.log2(classes),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any deterministic recurrent reader; running counts reach it",
        assumes=assumes,
        source=source,
    )


def _checked(function: str, size: int, alphabet: int) -> tuple[int, int]:
    where = f"counting.{function}"
    return whole(where, "size", size, least=1), whole(where, "alphabet", alphabet, least=2)
