"""Word problems of a group: bits that a recurrent reader needs, and the accuracy that fewer bits leave.

|G| the order of the group, n the size (elements in the input), S bits of state, M = 2^S states.
"""

import math
from fractions import Fraction

from statewise.bounds.bound import Bound, whole


def required_bits(size: int, order: int) -> Bound:
    """Bits of state that any recurrent reader needs to be right about every product: log2 |G|, and 0 for one token.

    Proof: after 1 … n−1 tokens the product can be any element, two prefixes of different products g ≠ h want
    different answers gx ≠ hx to the next token x, and two of the same product never do. Exact; with one token the
    answer is that token, and no state is used.

    size   n, at least 1 (UsageError otherwise)
    order  |G|, at least 2 (UsageError otherwise)

    Holds where every element can be read as one token; S5 asks for 6.91 bits, A5 and Z60 for 5.91. Whether a model
    can compute the product is another question, on which this is silent.

    Source: Myhill-Nerode, one class of prefixes for each element.

    >>> required_bits(size=8, order=64).value
    6.0
    """
    size, order = _checked("required_bits", size, order)
    return Bound(
        value=math.log2(order) if size > 1 else 0.0,
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any deterministic recurrent reader; the running product reaches it",
        assumes="every element of the group is a token",
        source="Myhill-Nerode, one class of prefixes for each element of the group",
    )


def best_accuracy(size: int, order: int, state_bits: int) -> Bound:
    """The accuracy that no reader with S state bits exceeds, averaged over all tokens: (1 + (n−1)·min(1, M/|G|))/n.

    Proof: before token t ≥ 2 the product h is uniform over G and independent of that token x; a reader in one of M
    states answers, for each x, one element per state, so is right about hx for at most M of the |G| values of h. The
    first token needs no state. A reader that tosses coins is an average of such readers.

    size        n, at least 1 (UsageError otherwise)
    order       |G|, at least 2 (UsageError otherwise)
    state_bits  S, at least 0 (UsageError otherwise)

    The value is the exact rational, rounded up; it is 1 from S = log2 |G| on. Attained for n = 2 and, where M
    divides |G| and G has a normal subgroup of order |G|/M, for every n by a reader that keeps the coset.

    Source: counting, the argument above.

    >>> best_accuracy(size=2, order=4, state_bits=1).value
    0.75
    """
    size, order = _checked("best_accuracy", size, order)
    state_bits = whole("groups.best_accuracy", "state_bits", state_bits, least=0)
    states = min(order, 1 << min(state_bits, order.bit_length()))
    accuracy = Fraction(order + (size - 1) * states, size * order)
    value = float(accuracy)
    return Bound(
        value=value if Fraction(value) >= accuracy else math.nextafter(value, math.inf),
        unit="accuracy",
        direction="requirement",
        error="average under the task's sampler",
        holds_for=f"any recurrent reader with at most {state_bits:,} state bits between tokens",
        assumes="uniform independent elements, every prefix scored, weights independent of the input",
        source="counting: a state is right about at most one of the products that lead to it",
    )


def _checked(function: str, size: int, order: int) -> tuple[int, int]:
    where = f"groups.{function}"
    return whole(where, "size", size, least=1), whole(where, "order", order, least=2)
