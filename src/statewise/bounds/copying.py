"""Copy and selective copying: bits that a recurrent reader needs, and the accuracy that fewer bits leave.

m how many symbols are copied, k how many kinds of them, S bits of state before the first marker. Where the
data of selective copying stand, and in which of its layouts, changes nothing.
"""

import math
from dataclasses import replace

from statewise.bounds import index_lookup
from statewise.bounds.bound import Bound, whole


def required_bits(copied: int, alphabet: int) -> Bound:
    """Bits of state that any recurrent reader needs to copy without error: m · log2 k.

    Proof: the markers are the same for all data, so strings of data that lead to one state are answered alike,
    and all but one of them wrongly; hence each of the k^m strings has a state of its own. Exact: a register of
    m symbols into which each new one is shifted reaches it. It need not count the data: prefixes that hold
    different numbers of them have no continuation in common.

    copied    m, at least 1 (UsageError otherwise)
    alphabet  k, at least 2 (UsageError otherwise)

    Source: counting; Jelassi, Brandfonbrener, Kakade, Malach 2024, arXiv 2402.01032, §2 (for copy).

    >>> round(required_bits(copied=16, alphabet=14).value, 1)
    60.9
    """
    copied, alphabet = _checked("required_bits", copied, alphabet)
    return Bound(
        value=copied * math.log2(alphabet),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any deterministic recurrent reader, however it computes; a shift register reaches it",
        assumes="the answers come after the data; for fewer bits see the bound on average accuracy",
        source="counting the strings of data, which are the answers",
    )


def best_accuracy(copied: int, alphabet: int, state_bits: int) -> Bound:
    """The token accuracy that no reader with S state bits exceeds, on uniform data.

    Proof: a state fixes all m answers, because the markers say nothing; from here on it is the sphere covering
    of `index_lookup.best_accuracy` at n = m. Places of the data that vary are independent of the data, and
    what holds for each choice of places holds on average.

    copied      m, at least 1 (UsageError otherwise)
    alphabet    k, at least 2 (UsageError otherwise)
    state_bits  S before the first marker, at least 0 (UsageError otherwise)

    Source: as `index_lookup.best_accuracy`.

    >>> best_accuracy(copied=16, alphabet=14, state_bits=61).value
    1.0
    >>> round(best_accuracy(copied=16, alphabet=16, state_bits=18).value, 3)
    0.471
    """
    copied, alphabet = _checked("best_accuracy", copied, alphabet)
    state_bits = whole("copying.best_accuracy", "state_bits", state_bits, least=0)
    return replace(
        index_lookup.best_accuracy(copied, alphabet, state_bits),
        holds_for=f"any recurrent reader with at most {state_bits:,} state bits before the first marker",
        assumes="uniform independent data, every copied symbol scored alike, weights independent of the data",
        source="sphere covering of all strings of data by the answers of the states",
    )


def _checked(function: str, copied: int, alphabet: int) -> tuple[int, int]:
    where = f"copying.{function}"
    return whole(where, "copied", copied, least=1), whole(where, "alphabet", alphabet, least=2)
