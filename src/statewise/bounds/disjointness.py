"""Disjointness: bits that a recurrent reader needs, in both layouts. m the size, the elements there can be."""

import math

from statewise.bounds.attention import SEPARATIONS, one_layer_size
from statewise.bounds.bound import Bound, whole


def required_bits(size: int, *, interleaved: bool = False) -> Bound:
    """Bits of state that any recurrent reader needs at its worst cut to be right on every pair of sets.

        one set after the other  m
        interleaved              log2 3, and 1 for a single element

    Proof: an element that is in one of two first sets alone, shown as the second set, tells them apart.
    Interleaved: after the first bit of an element a prefix has intersected, or not, with that bit 0 or 1;
    what follows tells the three apart, and nothing else matters. Every continuation is allowed: exact.

    size         m, at least 1 (UsageError otherwise)
    interleaved  the layout

    About zero error alone: it is silent on a reader that is right on nearly all pairs of some distribution.

    Source: DISJ has distinct rows; Bhattamishra, Hahn, Blunsom, Kanade 2024, arXiv 2406.09347, §6 and
    Theorem 2; Myhill-Nerode (interleaved).

    >>> required_bits(size=16).value, round(required_bits(size=16, interleaved=True).value, 3)
    (16.0, 1.585)
    """
    size = whole("disjointness.required_bits", "size", size, least=1)
    classes = "Myhill-Nerode, three classes of prefixes: intersected, or not with either bit pending"
    rows = "distinct rows of DISJ; Bhattamishra et al. 2024, arXiv 2406.09347, Theorem 2"
    return Bound(
        value=math.log2(min(3, size + 1)) if interleaved else float(size),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any deterministic recurrent reader; "
        + ("an automaton reaches it" if interleaved else "keeping the first set reaches it"),
        assumes="the bits of each element side by side" if interleaved else "one set after the other",
        source=classes if interleaved else rows,
    )


def attention_layer_size(size: int, precision: int = 32) -> Bound:
    """Width times heads that a model of one attention layer needs, in either layout: m / (3·(p + log2 2m)).

    Proof: a set and its complement are a fooling set of 2^m for two parties who hold a set each. For attention any
    places will do, so that interleaving, after which a recurrent reader needs three states, helps nothing here. See
    `attention.one_layer_size`.

    size       m, at least 1 (UsageError otherwise)
    precision  p, bits of each number, at least 1 (UsageError otherwise)

    Source: Bhattamishra, Hahn, Blunsom, Kanade 2024, arXiv 2406.09347, Theorem 12 (Ω up to logarithms) through
    Theorem 4.

    >>> round(attention_layer_size(size=400).value, 1)
    3.2
    """
    size = whole("disjointness.attention_layer_size", "size", size, least=1)
    return one_layer_size(
        size,
        2 * size,
        precision,
        where="disjointness.attention_layer_size",
        source=f"{SEPARATIONS}, Theorem 12 through Theorem 4",
    )
