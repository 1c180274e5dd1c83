"""Even pairs, cycle navigation and modular arithmetic: bits of a reader that knows size and position.

Only the last position is scored and every continuation is allowed after every prefix, so prefixes are told
apart exactly when some continuation wants different answers, and the number of classes at the worst cut is
exact (Myhill-Nerode). The answer may use the last token itself besides the state before it.
"""

import math

from statewise.bounds.bound import Bound, whole


def even_pairs_bits(size: int) -> Bound:
    """Bits that even pairs requires: 1, and 0 for a single bit.

    Proof: the answer is whether first and last bit differ, so between them exactly the first one counts.

    size  n, at least 1 (UsageError otherwise)

    Source: Myhill-Nerode, two classes.

    >>> even_pairs_bits(size=5).value
    1.0
    """
    size = whole("automata.even_pairs_bits", "size", size, least=1)
    return _exact(2 if size > 1 else 1, "the first bit reaches it", "two classes of prefixes")


def even_pairs_bits_all_lengths() -> Bound:
    """Bits of one automaton that answers from its state alone after every prefix, at every length: log2 5.

    Proof: the prefixes 0, 1, 01 and 10 differ in their answer or after one more bit, and the empty prefix is
    none of them, since after it either bit alone is answered 0; first and last bit are all that counts.

    Source: Myhill-Nerode; the language is regular: Delétang et al. 2023, arXiv 2207.02098.

    >>> round(2 ** even_pairs_bits_all_lengths().value, 9)
    5.0
    """
    return Bound(
        value=math.log2(5),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any one automaton for every length; nothing yet, or the first and the last bit, reaches it",
        assumes="transitions that do not depend on size or position, answers read from the state alone",
        source="Myhill-Nerode, five classes of prefixes",
    )


def cycle_navigation_bits(size: int, cycle: int) -> Bound:
    """Bits that cycle navigation requires: log2 min(c, 2n − 1).

    Proof: different places stay different under the same steps, and after t steps 2t + 1 places are in
    reach, or all c; the last cut that a state must bridge is t = n − 1.

    size   n, at least 1 (UsageError otherwise)
    cycle  c, at least 2 (UsageError otherwise)

    Source: Myhill-Nerode; the word problem of the cyclic group.

    >>> 2 ** cycle_navigation_bits(size=2, cycle=5).value
    3.0
    """
    where = "automata.cycle_navigation_bits"
    size, cycle = whole(where, "size", size, least=1), whole(where, "cycle", cycle, least=2)
    return _exact(min(cycle, 2 * size - 1), "the place reaches it", "word problem of the cyclic group")


def modular_arithmetic_bits(size: int, modulus: int, *, times: bool) -> Bound:
    """Bits that modular arithmetic requires at its worst cut, after an operator.

    Without ×, log2(2m) for m ≥ 3: value and sign; modulo 2 the signs are the same, and 1 bit is enough.
    With ×, log2(m²) from three numbers on, and log2 of 3m − 2 for two (3 modulo 2). For one number 0.

    Proof: what follows acts on the next number d as d ↦ s + p·d (mod m) with the closed sum s and the open
    product p, sign included; d = 0 and d = 1 tell all pairs (s, p) apart, for any m. Without × p is ±1 and every s
    occurs; "a + b ×" reaches every pair (a, b); "a ±" and "a ×" reach (a, ±1) and (0, a). Nothing but s
    and p counts later, so no cut asks for more.

    size     n, how many numbers, at least 1 (UsageError otherwise)
    modulus  m, at least 2 (UsageError otherwise)
    times    whether × is among the operators

    Source: Myhill-Nerode, the argument above.

    >>> round(2 ** modular_arithmetic_bits(size=8, modulus=5, times=False).value)
    10
    >>> round(2 ** modular_arithmetic_bits(size=8, modulus=5, times=True).value)
    25
    """
    where = "automata.modular_arithmetic_bits"
    size, modulus = whole(where, "size", size, least=1), whole(where, "modulus", modulus, least=2)
    signs = min(2, modulus - 1)
    if size == 1:
        states = 1
    elif not times:
        states = signs * modulus
    else:
        states = modulus**2 if size > 2 else signs * modulus + modulus - signs
    return _exact(states, "the closed sum and the open product reach it", "classes of maps d ↦ s + p·d (mod m)")


def _exact(states: int, reached: str, argument: str) -> Bound:
    return Bound(
        value=math.log2(states),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for=f"any deterministic recurrent reader of this size; {reached}",
        assumes="size and position are known to the reader",
        source=f"Myhill-Nerode, {argument}",
    )
