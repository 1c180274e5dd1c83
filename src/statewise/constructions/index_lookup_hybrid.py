"""Index lookup by a recurrent layer that counts places and an attention layer that looks for one.

    symbol s at place t       [ code(s) | 0          | t + 1 | (t + 1)²  ]
    query for place p at t    [ 0       | p + 1      | t + 1 | (t + 1)²  ]
                                symbol    looked for   place   square

PLACE of `hybrid` writes the last two. The logit of place t is β (2 (p + 1)(t + 1) − (t + 1)²), which is β (p + 1)² less
β (t − p)², and the value is `symbol`: no learned positions, and a width that does not grow with the size. N the largest
size, k the alphabet, L = N + queries tokens.

Proof. With β = 4 places other than p weigh at most 2 Σ_d e^(−4 d²) < 0.04 of p's: what is read has the sign of code(s)
in each digit, and code(s) is the code that agrees best. The head size is a power of 4, so that logits, their scale
included, are powers of two times integers of size L² at most: exact in float32 up to L = 4096, beyond in float64.
"""

import torch

from statewise.constructions.construction import Construction
from statewise.constructions.directions import Directions, code_bits, codes, write_table
from statewise.constructions.heads import columns, layer, rows, write_head
from statewise.constructions.hybrid import SOURCE, claimed, hybrid_model
from statewise.constructions.index_lookup import CERTAINTY
from statewise.core.errors import UsageError
from statewise.tasks import IndexLookup

NAME = "index-lookup/hybrid"

SHARPNESS = 4.0
"""β, a power of two."""

EXACT_LENGTH = 2**12
"""Largest place whose square is an exact float32 integer."""


def hybrid(size: int, *, alphabet: int = 16, queries: int = 1) -> Construction:
    """One gated LRU of one unit, one attention layer, ⌈log2 k⌉ + 3 channels, exact for every size up to this one.

    size      N, at least 1
    alphabet  k, at least 2

    The width is rounded up to a multiple of the head size, the least power of 4 from ⌈log2 k⌉ on.

    >>> hybrid(64).verify(16).exact
    True
    """
    if size < 1:
        raise UsageError(f"{NAME}: size is {size}; it must be at least 1")
    task = IndexLookup(alphabet=alphabet, queries=queries)
    symbol, digits = codes(alphabet), code_bits(alphabet)
    head_size = power_of_four(digits)
    at = Directions(symbol=digits, looked_for=1, place=1, square=1, rest=-(digits + 3) % head_size)
    precision = torch.float32 if task.length(size) <= EXACT_LENGTH else torch.float64
    model = hybrid_model(
        task.vocabulary(size), at, back={}, places=["place", "square"], head_size=head_size, precision=precision
    )
    write_table(model.embedding, slice(alphabet), at["symbol"], symbol)
    write_table(model.embedding, slice(alphabet, None), at["looked_for"], torch.arange(1, size + 1)[:, None])
    mixer = layer(model, 1).mixer
    write_head(
        mixer,
        0,
        query=torch.cat([2 * SHARPNESS * rows(at.width, at["looked_for"]), torch.zeros(1, at.width)]),
        key=rows(at.width, at["place"], at["square"]),
        value=rows(at.width, at["symbol"]),
        # A query has no symbol of its own, so what is read stands alone in that piece.
        output=columns(at.width, at["symbol"]),
    )
    with torch.no_grad():
        mixer.query_key_value.bias[1] = -SHARPNESS * head_size**0.5
    write_table(model.head, slice(alphabet), at["symbol"], CERTAINTY * symbol)
    return Construction(
        name=NAME,
        model=model.eval(),
        task=task,
        sizes=(1, size),
        precision=precision,
        claim=claimed(model, "O(log k)"),
        source=f"{SOURCE}; the place as a sum of ones, its square as a product: ours",
    )


def power_of_four(least: int) -> int:
    """The least power of 4 from 4 on that is not below `least`.

    >>> [power_of_four(least) for least in (1, 4, 5, 16, 17)]
    [4, 4, 16, 16, 64]
    """
    power = 4
    while power < least:
        power *= 4
    return power
