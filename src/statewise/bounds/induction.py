"""Induction: bits that a recurrent reader needs. n the size (symbols), k the alphabet, the trigger apart."""

import math

from statewise.bounds.bound import Bound, whole


def required_bits(size: int, alphabet: int) -> Bound:
    """Bits of state that any recurrent reader needs at its worst cut: log2(k + 1), and log2 k for one symbol.

    Proof: between the triggers a prefix holds the symbol that followed the first one, or ends in it and waits;
    each two of these k + 1 are told apart by what follows. A prefix without a trigger shares no continuation
    with them and may have any of their states, so k + 1 are enough at every cut.

    size      n, at least 1 (UsageError otherwise)
    alphabet  k, at least 2 (UsageError otherwise)

    Exact, position being known to the reader; with a single symbol the trigger always comes first.

    Source: conflicting prefixes, the argument above, on the layout of Gu, Dao 2023, arXiv 2312.00752, §4.1.2.

    >>> required_bits(size=256, alphabet=15).value
    4.0
    """
    size = whole("induction.required_bits", "size", size, least=1)
    alphabet = whole("induction.required_bits", "alphabet", alphabet, least=2)
    return Bound(
        value=math.log2(alphabet + (size > 1)),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any deterministic recurrent reader; an automaton reaches it",
        assumes="one trigger before the last token; position is known to the reader",
        source="conflicting prefixes: a symbol held, or the trigger just read",
    )
