"""Equality by two attention layers: one fetches the symbol at the same place before, one counts mismatches.

A threshold of features of two symbols, x_i ≠ y_i ≥ 1/2 in sum, with the answers no from there on and yes below:
argument and weights in `threshold`. Symbols are compared by digits, so that a mismatch counts once for each digit that
differs and the feed-forward needs 2·⌈log2 k⌉ units, not one for each of k·(k − 1) pairs. k the alphabet.
"""

from statewise.constructions.construction import Construction
from statewise.constructions.directions import code_bits
from statewise.constructions.threshold import constructed
from statewise.constructions.threshold_model import Feature, Terms
from statewise.core.errors import UsageError
from statewise.tasks import Equality


def attention(size: int, *, form: str = "random", alphabet: int = 2) -> Construction:
    """Two layers, one head, width 2·⌈log2 (2n + 1)⌉ + 2·⌈log2 k⌉ + 4, for this size alone.

    size      n, at least 1
    form      random or one-difference
    alphabet  k, at least 2

    >>> attention(64, form="one-difference").verify().exact
    True
    """
    name = "equality/attention"
    task = Equality(form=form, alphabet=alphabet)
    if form == "next-character":
        raise UsageError(f"{name}: form is 'next-character'; it must be random or one-difference, which ask yes or no")
    unlike = differing(code_bits(alphabet))
    return constructed(
        name,
        task,
        size,
        [Feature((place, size + 1 + place), unlike) for place in range(size)],
        symbols=alphabet,
        answers=(alphabet + 2, alphabet + 1),
        source="Bhattamishra et al. 2024, arXiv 2406.09347, Theorem 6 (EQ), which takes two heads",
    )


def differing(digits: int) -> Terms:
    """Terms of two symbols, one of which holds for each digit in which they differ.

    >>> differing(1)
    ((-1, 1), (1, -1))
    """
    return tuple(
        tuple(sign * (other == digit) for sign in (first, -first) for other in range(digits))
        for digit in range(digits)
        for first in (-1, 1)
    )
