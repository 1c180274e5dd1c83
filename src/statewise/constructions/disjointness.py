"""Disjointness by two attention layers: one fetches the element's other bit, one counts elements of both sets.

A threshold of features of two bits, x_i ∧ x_{n+i} ≥ 1/2 in sum: argument and weights in `threshold`. A single element
moves the share of L tokens by 1/L, against 0 exactly without it.
"""

from statewise.constructions.construction import Construction
from statewise.constructions.threshold import SOURCE, constructed, pairs_of_sets
from statewise.tasks import Disjointness


def attention(size: int, *, interleaved: bool = False) -> Construction:
    """Two layers, one head, width 2·⌈log2 2n⌉ + 6, for this size alone.

    size         n, at least 1
    interleaved  the layout of the sets: attention minds it as little as the bound for one layer does

    >>> attention(64).verify().exact
    True
    """
    return constructed(
        "disjointness/attention",
        Disjointness(interleaved=interleaved),
        size,
        pairs_of_sets(size, interleaved=interleaved),
        source=f"{SOURCE} (DISJ)",
    )
