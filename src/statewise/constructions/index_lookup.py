"""Index lookup by one attention layer: the query's address meets the addresses of places.

    symbol s at place t       [ code(s) | 0          | T(t) ]
    query for place p at t    [ 0       | T(p)       | T(t) ]
                                symbol    looked for   place

The query is `looked for`, the key is `place`, the value `symbol`; the head weighs the codes of symbols against what was
read. N the largest size, k the alphabet, L = N + queries tokens.

Proof. Addresses have |T(t)|² = 1 and T(p)·T(t) ≤ 1 − δ for t ≠ p, so with a factor β the weight of place p is at least
1/(1 + (L−1) e^{−βδ}) > 1/2 once e^{βδ} ≥ 3 L. Codes of symbols are ±1, so what is read is w·code(s) plus numbers that
sum to less than 1 − w < w in each digit: every digit keeps its sign, and code(s) is the code that agrees best.
"""

import math

import torch
from torch import Tensor

from statewise.constructions.construction import Construction
from statewise.constructions.directions import Directions, blank, code_bits, codes, write_table
from statewise.constructions.heads import columns, layer, rows, write_head
from statewise.core.errors import UsageError, pick
from statewise.models import LanguageModel
from statewise.tasks import IndexLookup

CERTAINTY = 20.0
COHERENCE = 0.5
"""Largest product of two near-orthogonal addresses."""


def attention(size: int, *, alphabet: int = 16, queries: int = 1, addresses: str = "binary") -> Construction:
    """One layer, one head, width ⌈log2 k⌉ + 2 · (digits of an address), exact for every size up to this one.

    size       N, at least 1
    alphabet   k, at least 2
    addresses  binary: ±1 digits of the place, ⌈log2 L⌉ of them, δ = 2/digits; near-orthogonal: random signs with
               products of at most 1/2, O(log L) of them with a larger constant

    >>> attention(64).verify(16).exact
    True
    """
    if size < 1:
        raise UsageError(f"index-lookup/attention: size is {size}; it must be at least 1")
    task = IndexLookup(alphabet=alphabet, queries=queries)
    length = task.length(size)
    address, margin = pick("kind of addresses", addresses, ADDRESSES)(length)
    symbol = codes(alphabet)
    at = Directions(symbol=symbol.shape[1], looked_for=address.shape[1], place=address.shape[1])
    model = LanguageModel(
        vocabulary=task.vocabulary(size),
        width=at.width,
        stack="attention",
        positions="learned",
        max_length=length,
        feed_forward=0,
        norm="none",
        mixer_settings=(f"head_size={at.width}",),
    )
    blank(model)
    write_table(model.embedding, slice(alphabet), at["symbol"], symbol)
    write_table(model.embedding, slice(alphabet, None), at["looked_for"], address[:size])
    write_table(model.places, slice(length), at["place"], address)
    sharpness = math.log(3 * length) / margin
    write_head(
        layer(model, 0).mixer,
        0,
        query=sharpness * rows(at.width, at["looked_for"]),
        key=rows(at.width, at["place"]),
        value=rows(at.width, at["symbol"]),
        # A query has no symbol of its own, so what is read stands alone in that piece.
        output=columns(at.width, at["symbol"]),
    )
    # So sure that the softmax over symbols says all that was read, up to rounding.
    write_table(model.head, slice(alphabet), at["symbol"], CERTAINTY * symbol)
    return Construction(
        name="index-lookup/attention",
        model=model.eval(),
        task=task,
        sizes=(1, size),
        precision=torch.float32,
        claim=f"one attention layer, one head, {at.width} = ⌈log2 k⌉ + 2·{address.shape[1]} channels: O(log n)",
        source="Bhattamishra et al. 2024, arXiv 2406.09347, Theorem 1; binary addresses are ours",
    )


def binary(number: int) -> tuple[Tensor, float]:
    """Addresses (number, digits) of length 1, and by how much two of them differ at least: 2/digits."""
    bits = code_bits(number)
    return codes(number) / bits**0.5, 2 / bits


def near_orthogonal(number: int) -> tuple[Tensor, float]:
    """Random signs of length 1 with products of at most COHERENCE, in the fewest digits that 20 draws each found."""
    generator = torch.Generator().manual_seed(0)
    for bits in range(code_bits(number), 100 * code_bits(number)):
        for _ in range(20):
            signs = 2.0 * torch.randint(0, 2, (number, bits), generator=generator) - 1
            products = (signs @ signs.mT / bits).fill_diagonal_(-1)
            if float(products.max()) <= COHERENCE:
                return signs / bits**0.5, 1 - COHERENCE
    raise AssertionError("random signs are near-orthogonal long before this")


ADDRESSES = {"binary": binary, "near-orthogonal": near_orthogonal}
