"""Attention models without a chain of thought: the size that one layer needs, and widths that are enough.

n the size of a task, T its tokens, p the bits of each number, m the width and H the heads of a model.
"""

import math

from statewise.bounds.bound import Bound, enough_in_growth, whole

SEPARATIONS = "Bhattamishra et al. 2024, arXiv 2406.09347"
RNNS_ARE_NOT = "Wen, Dang, Lyu 2024, arXiv 2402.18510"
NUMBERS = "numbers of O(log n) bits; symbols as (i, i²) in place of i, our repair of the published head"
"""A head tied to embeddings that are linear in the symbol's number i answers the least or the greatest number only.
Read out as (2v, −1), the features (i, i²) decode every one."""


def one_layer_size(bits: float, tokens: int, precision: int, *, where: str, source: str) -> Bound:
    """Width times heads that a model of one attention layer needs: m·H ≥ bits / (3·(p + log2 T)).

    Proof: two parties who hold some places each can run the layer by exchanging the last token, and for every head the
    largest logit, the denominator and the numerators: 3·m·(p + log2 T)·H bits. They need `bits` bits for the task.

    bits       communication that the task needs, both ways, for some partition of the places
    precision  p, at least 1 (UsageError otherwise, naming `where`)

    At practical sizes this is far below any width in use, so it gives no verdict there; nothing of the kind is known
    for two layers.

    Source: Bhattamishra, Hahn, Blunsom, Kanade 2024, arXiv 2406.09347, Theorem 4, whose constant 3 it is.

    >>> bound = one_layer_size(399, 400, 32, where="here", source="Lemma 1")
    >>> round(bound.value, 1), bound.unit
    (3.3, 'width x heads')
    """
    precision = whole(where, "precision", precision, least=1)
    return Bound(
        value=bits / (3 * (precision + math.log2(tokens))),
        unit="width x heads",
        direction="requirement",
        error="zero",
        holds_for="models of one attention layer, whatever their positions; no verdict at practical sizes",
        assumes=f"numbers of {precision} bits, the protocol's constant 3 as published (Theorem 4)",
        source=source,
    )


def two_layer_width(theorem: str, *, assumes: str) -> Bound:
    """Width that two layers of two heads are proved to get by with: O(log n) channels.

    theorem  where, in Bhattamishra, Hahn, Blunsom, Kanade 2024, arXiv 2406.09347
    assumes  what belongs to the task; that numbers have O(log n) bits is added

    >>> two_layer_width("Theorem 6", assumes="one size at a time").claim
    'channels: O(log n) is enough, constant not given'
    """
    return enough_in_growth(
        "O(log n)",
        "channels",
        holds_for="two attention layers of two heads",
        assumes=f"numbers of O(log n) bits; {assumes}",
        source=f"{SEPARATIONS}, {theorem}",
    )


def constant_width() -> Bound:
    """Width of a Transformer for index lookup, associative recall, c-gram retrieval and counting: O(1) channels.

    Proof: heads whose logits are squares of differences, scaled by a power of n, attend to the place s tokens back, to
    the first match, or count matches; a constant number of them is enough. So is a constant number of layers.

    Source: Wen, Dang, Lyu 2024, arXiv 2402.18510, Theorem 4.6, its head repaired: see `NUMBERS`.

    >>> constant_width().claim
    'channels: O(1) is enough, constant not given'
    """
    return enough_in_growth(
        "O(1)",
        "channels",
        holds_for="attention of a constant number of layers and heads, without a chain of thought",
        assumes=NUMBERS,
        source=f"{RNNS_ARE_NOT}, Theorem 4.6",
    )


def two_layers_of_dyck() -> Bound:
    """Size of two layers for bounded Dyck: sublinear, by a construction that the paper cites.

    Source: Bhattamishra, Hahn, Blunsom, Kanade 2024, arXiv 2406.09347, §5, which cites Yao et al. 2021.

    >>> two_layers_of_dyck().claim
    'width x heads: o(n) is enough, constant not given'
    """
    return enough_in_growth(
        "o(n)",
        "width x heads",
        holds_for="two attention layers",
        assumes="types and depth that do not grow; numbers of O(log n) bits",
        source=f"{SEPARATIONS}, §5, citing Yao et al. 2021",
    )
