"""Missing duplicate: a sum is enough where one symbol is masked, the string is required where a copy breaks off.

m the size (symbols in one copy), k the alphabet.
"""

import math

from statewise.bounds.bound import Bound, whole


def masked_bits(alphabet: int) -> Bound:
    """Bits that layout "chomsky" requires, at any size: log2 k.

    Proof: k first copies that differ in one place have k answers when that place is masked in the second.

    alphabet  k, at least 2 (UsageError otherwise)

    Reached by two symbols: the sum modulo 2 of all that is shown is the masked one. For more symbols see
    `masked_sum_bits`.

    Source: a clique of k prefixes, after the first copy.

    >>> masked_bits(alphabet=2).value
    1.0
    """
    alphabet = whole("missing_duplicate.masked_bits", "alphabet", alphabet, least=2)
    reached = "a running parity reaches it" if alphabet == 2 else "one bit more is enough"
    return Bound(
        value=math.log2(alphabet),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for=f"any deterministic recurrent reader; {reached}",
        assumes="exactly one symbol of the two copies is masked",
        source="first copies that differ in one place only",
    )


def masked_sum_bits(alphabet: int) -> Bound:
    """Bits that are enough for layout "chomsky", at any size: 1 for k = 2, else log2(2k).

    Proof: the shown symbols of one copy less those of the other, modulo k, are the masked symbol; which copy
    it was masked in is one bit more, that a sum modulo 2 does without.

    alphabet  k, at least 2 (UsageError otherwise)

    Where the mask is known to stand in the second copy, log2 k is enough.

    Source: a reader written down here.

    >>> masked_sum_bits(alphabet=2).value, masked_sum_bits(alphabet=4).value
    (1.0, 3.0)
    """
    alphabet = whole("missing_duplicate.masked_sum_bits", "alphabet", alphabet, least=2)
    return Bound(
        value=math.log2(alphabet if alphabet == 2 else 2 * alphabet),
        unit="bits",
        direction="construction",
        error="zero",
        holds_for="the reader that sums modulo the alphabet and notes a mask in the first copy",
        assumes="size and position are known to the reader, exactly one symbol is masked",
        source="a reader written down",
    )


def broken_off_bits(size: int, alphabet: int) -> Bound:
    """Bits that layout "minrnn" requires: m · log2 k.

    Proof: two first copies that differ first at some place have second copies in common up to there, and then
    the answers differ; so after the first copy each of the k^m strings has a state of its own. Exact: a reader
    that drops the front symbol when the second copy shows it, and none at a blank, ends with the answer in front.

    size      m, at least 1 (UsageError otherwise)
    alphabet  k, at least 2 (UsageError otherwise)

    Source: counting the strings.

    >>> broken_off_bits(size=8, alphabet=2).value
    8.0
    """
    where = "missing_duplicate.broken_off_bits"
    size, alphabet = whole(where, "size", size, least=1), whole(where, "alphabet", alphabet, least=2)
    return Bound(
        value=size * math.log2(alphabet),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any deterministic recurrent reader; keeping what the second copy has not shown reaches it",
        assumes="the second copy may break off at any of its places",
        source="first copies that differ first at one place have answers that differ there",
    )
