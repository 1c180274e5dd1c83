"""IsTree on two stars with one link, answered at once: between one bit a leaf and the partition into components.

n the size (vertices); n − 1 edges, in any order.
"""

import math

from statewise.bounds.bound import Bound, whole


def required_bits(size: int) -> Bound:
    """Bits of state that any reader needs at its worst cut: at least n − 3.

    Proof: fix two centres and the order of the leaves, and let every edge of the stars come before the link. The
    link between leaves i and j is then answered by yes exactly if they hang on different centres, so strings of
    sides that differ, and are not each other's complement, want different answers to some link: 2^(n−2)/2 states.

    size  n, at least 4 (UsageError otherwise)

    A lower bound that is not attained: 3, 15 and 55 states are needed for n = 4, 5 and 6 after the worst number of
    edges, which is half of them. `reader_bits` bounds it from above.

    Source: Wen, Dang, Lyu 2024, arXiv 2402.18510, Theorem 4.7 (o(n) bits are too few), its reduction made explicit
    with leaves on both ends of the link.

    >>> required_bits(size=16).value
    13.0
    """
    size = whole("is_tree.required_bits", "size", size, least=4)
    return Bound(
        value=float(size - 3),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any deterministic recurrent reader that answers at once, however it computes",
        assumes="the edges of the stars may come before the link; not attained",
        source="sides of the leaves up to exchange; Wen et al. 2024, arXiv 2402.18510, Theorem 4.7",
    )


def reader_bits(size: int) -> Bound:
    """Bits of state with which a reader gets by: log2(Bell(n+1) − Bell(n) + 1).

    Proof: n − 1 edges form a tree if none joins two vertices of one component. Between edges the reader keeps the
    partition of the vertices into components, or that there was a cycle: Bell(n) + 1 states. Inside an edge it also
    marks the component of the first end; partitions of n vertices with one block marked or none are partitions of
    n + 1, so there are Bell(n+1) − Bell(n) with a mark, not fewer than without.

    size  n, at least 4 (UsageError otherwise)

    For any graph of n − 1 edges, not for two stars alone. Between two edges log2(Bell(n) + 1) bits are enough.

    Source: a reader written down here.

    >>> round(2 ** reader_bits(size=4).value)
    38
    """
    size = whole("is_tree.reader_bits", "size", size, least=4)
    below, above = _bell(size)
    return Bound(
        value=math.log2(above - below + 1),
        unit="bits",
        direction="construction",
        error="zero",
        holds_for="the reader that keeps the components of the edges so far, and that of a first end",
        assumes="size and position are known to the reader",
        source="a reader written down",
    )


def _bell(size: int) -> tuple[int, int]:
    """The numbers of partitions of n and of n + 1 elements, by Peirce's triangle."""
    row = [1]
    for _ in range(size):
        following = [row[-1]]
        for number in row:
            following.append(following[-1] + number)
        row = following
    return row[0], row[-1]
