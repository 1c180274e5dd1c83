"""Index lookup by integrators of digits: n symbols in n/g numbers of a gated LRU, one digit of one number unpacked.

    symbol s at place t = u·g + j     [ symbol s | one | k^j at u       |                |                ]
    query for place p = u·g + j       [          | one | (of its own t) | asked: 1 at u  | digit: 1 at j  ]
    written                                                                number | answer

Unit u sums up symbol · place_u with a decay of exactly 1, and so holds the digits of its places; a query writes the
digit 0. The read-out, gated by the token, adds number = Σ_u h_u · asked_u, and the feed-forward turns digit j of it
into the answer (see `digits`). n the size, k the alphabet, g digits a unit.

Proof. h_u = Σ_j s_(u·g+j) k^j < k^g by then, since every place is written once at most and after the last symbol only
with zeros; the rest is exact integer arithmetic.
"""

from typing import Any

import torch

from statewise.bounds import index_lookup
from statewise.constructions import storage
from statewise.constructions.construction import Construction
from statewise.constructions.digits import UNPACKED, USUAL_CORNERS, checked_digits, unpacking, write_symbols
from statewise.constructions.directions import Directions, blank, write_table
from statewise.constructions.heads import layer
from statewise.constructions.writing import (
    Integrator,
    Product,
    combination,
    multiple,
    one_hot,
    write_integrators,
    write_products,
    write_relus,
)
from statewise.core.errors import UsageError
from statewise.models import LanguageModel
from statewise.tasks import IndexLookup

NAME = "index-lookup/recurrent"


def recurrent(size: int, *, alphabet: int = 16, queries: int = 1, digits: int | None = None) -> Construction:
    """One gated LRU layer of ⌈n/g⌉ units and about 4 k^(g−1) ReLUs, exact for every size up to this one.

    size      n, at least 1
    alphabet  k, in [2, 4096]
    digits    g, with k^g at most 8192; None is the most with k^(g−1) at most 256

    >>> recurrent(64).verify(16).exact
    True
    """
    if size < 1:
        raise UsageError(f"{NAME}: size is {size}; it must be at least 1")
    task = IndexLookup(alphabet=alphabet, queries=queries)
    digits = checked_digits(NAME, alphabet, digits, usual=USUAL_CORNERS * alphabet, most=UNPACKED)
    units = -(-size // digits)
    at = Directions(symbol=1, one=1, place=units, asked=units, digit=digits, number=1, answer=1)
    relus = unpacking(at, alphabet, digits)
    model = LanguageModel(
        vocabulary=task.vocabulary(size),
        width=at.width,
        stack="gated-lru",
        positions="learned",
        max_length=task.length(size),
        feed_forward=multiple(len(relus), at.width),
        feed_forward_kind="relu",
        norm="none",
        mixer_settings=(f"units={units}", "side_gate=True"),
    )
    blank(model)
    write_symbols(model, at, range(alphabet))
    places = torch.arange(size)
    unit, digit = torch.eye(units)[places // digits], torch.eye(digits)[places % digits]
    write_table(model.places, slice(size), at["place"], unit * float(alphabet) ** (places % digits)[:, None])
    write_table(model.embedding, slice(alphabet, None), at["asked"], unit)
    write_table(model.embedding, slice(alphabet, None), at["digit"], digit)
    write_store(layer(model, 0), at, units)
    write_relus(layer(model, 0).feed_forward, relus)
    required = index_lookup.required_bits(size, alphabet)
    return Construction(
        name=NAME,
        model=model.eval(),
        task=task,
        sizes=(1, size),
        precision=torch.float32,
        claim=f"one gated LRU layer, ⌈n/{digits}⌉ = {storage.units(units)} of {digits} digits: "
        f"{storage.compared(model, required)}; {len(relus):,} ReLUs unpack them",
        source="ours; that n·log2 k bits are enough is counting",
    )


def write_store(block: Any, at: Directions, units: int) -> None:
    """Unit u adds symbol · place_u; the number of the unit that is asked is read."""
    hot = [one_hot(unit, units) for unit in range(units)]
    write_integrators(
        block.mixer,
        [Integrator(combination(at, symbol=1.0), combination(at, place=unit)) for unit in hot],
    )
    write_products(
        block.mixer,
        [Product(unit, combination(at, asked=unit), combination(at, number=1.0)) for unit in hot],
    )
