"""Nearest neighbour by keeping every token: products of state with state are all distances at once.

    token at place t     [ symbol ±1, or 1 + label | one | place: 1 at t ]
    written              [ score (n) | label (n) ]  then  [ loss (n) ]  then  [ answer ]

Unit t of the first gated LRU layer keeps token t, one more is always 1. n points x_i of d bits, the query q.

    score_i = −n 2^d · (x_i · q) + n · Σ_b 2^(d−1−b) x_ib        the output gate multiplies units with units
    loss_i  = Σ_{j≠i} max(0, score_i + i − score_j − j)           one feed-forward
    answer  = Σ_i max(0, label_i − (v + 1) · loss_i)              the feed-forward of the second layer

Proof. A bit more of distance lowers x_i · q by 2 and adds 2 n 2^d to the score; the binary number of a point is worth
2 n a unit, at most 2 n (2^d − 1); the place less than n. So scores with places are ordered by distance, then number,
then place, as the task orders them, and no two are equal: the nearest has loss 0, every other at least 1, and its
label is shut out. Scores are sums of integers of at most n 2^d (d + 1) + n together, exact in float32 up to 2^24;
rounding keeps the sign of a difference.

The state is linear in n: n (d + 1) + d numbers, twice, since both layers have as many units.
"""

from typing import Any

import torch

from statewise.bounds import nearest_neighbour
from statewise.constructions import storage
from statewise.constructions.construction import Construction, require_size
from statewise.constructions.digits import EXACT, SYMBOLS
from statewise.constructions.directions import Directions, blank, write_table
from statewise.constructions.heads import layer
from statewise.constructions.writing import (
    Integrator,
    Product,
    Relu,
    combination,
    multiple,
    one_hot,
    write_integrators,
    write_products,
    write_relus,
)
from statewise.core.errors import UsageError
from statewise.models import LanguageModel
from statewise.tasks import NearestNeighbour

NAME = "nearest-neighbour/recurrent"

MOST_BITS = 19
"""For one point 2^d (d + 1) + 1 is at most 2^24 up to here."""


def recurrent(size: int, *, bits: int = 8, labels: int = 2) -> Construction:
    """Two gated LRU layers of n (d + 1) + d + 1 units, n (n − 1) ReLUs, one query: exact at this size.

    size    n, with n (2^d (d + 1) + 1) at most 2^24
    bits    d, in [1, 19]
    labels  v, in [2, 4095]

    >>> recurrent(8).verify().exact
    True
    """
    task = NearestNeighbour(bits=bits, labels=labels)
    if bits > MOST_BITS:
        raise UsageError(f"{NAME}: bits is {bits}; it must be in [1, {MOST_BITS}], where scores are exact in float32")
    require_size(NAME, size, EXACT // (2**bits * (bits + 1) + 1), f"scores of {bits} bits end there in float32")
    if labels >= SYMBOLS:
        raise UsageError(f"{NAME}: labels is {labels:,}; it is exact up to {SYMBOLS - 1:,}")
    tokens = task.length(size)
    at = Directions(symbol=1, one=1, place=tokens, score=size, label=size, loss=size, answer=1)
    model = LanguageModel(
        vocabulary=task.vocabulary(size),
        width=at.width,
        stack="gated-lru",
        depth=2,
        positions="learned",
        max_length=tokens,
        feed_forward=multiple(size * (size - 1), at.width),
        feed_forward_kind="relu",
        norm="none",
        mixer_settings=(f"units={tokens + 1}", f"outputs={size * (bits + 2)}"),
    )
    blank(model)
    _write_tables(model, at, labels, tokens)
    _write_scores(layer(model, 0).mixer, at, size, bits)
    write_relus(layer(model, 0).feed_forward, _losses(at, size))
    write_relus(layer(model, 1).feed_forward, _answers(at, size, labels))
    required = nearest_neighbour.required_bits(size, bits, labels)
    enough = nearest_neighbour.enough_bits(size, bits, labels)
    return Construction(
        name=NAME,
        model=model.eval(),
        task=task,
        sizes=(size, size),
        precision=torch.float32,
        claim=f"two gated LRU layers of {storage.units(tokens + 1)}, {size * (size - 1):,} ReLUs: "
        f"{storage.compared(model, required)}; {enough.value:,.1f} are known to be enough",
        source="ours; that the points with their labels are enough is counting",
    )


def _write_tables(model: LanguageModel, at: Directions, labels: int, tokens: int) -> None:
    """Bits as −1 and 1, labels as 1 … v; a label is scored 2 · label · answer − label², bits less than any."""
    value = torch.arange(1.0, labels + 1)[:, None]
    write_table(model.embedding, slice(2), at["symbol"], torch.tensor([[-1.0], [1.0]]))
    write_table(model.embedding, slice(2, None), at["symbol"], value)
    write_table(model.embedding, slice(None), at["one"], torch.ones(2 + labels, 1))
    write_table(model.places, slice(None), at["place"], torch.eye(tokens))
    write_table(model.head, slice(2), at["one"], -torch.ones(2, 1))
    write_table(model.head, slice(2, None), at["one"], -(value**2))
    write_table(model.head, slice(2, None), at["answer"], 2 * value)


def _write_scores(mixer: Any, at: Directions, size: int, bits: int) -> None:
    """Unit t keeps token t, the last is 1; bits of points meet those of the query, numbers and labels meet that 1."""
    tokens = size * (bits + 1) + bits
    units, one = torch.eye(tokens + 1), combination(at, one=1.0)
    kept = [Integrator(combination(at, symbol=1.0), combination(at, place=one_hot(t, tokens))) for t in range(tokens)]
    write_integrators(mixer, [*kept, Integrator(one, one)])
    with torch.no_grad():
        mixer.decay[tokens] = 0
    numbers = 2.0 ** torch.arange(bits - 1, -1, -1)
    products = []
    for i in range(size):
        first, point = i * (bits + 1), one_hot(i, size)
        far, near = combination(at, score=-size * 2.0**bits * point), combination(at, score=size * point)
        products += [Product(units[first + b], units[tokens - bits + b], far) for b in range(bits)]
        products += [Product(numbers @ units[first : first + bits], units[tokens], near)]
        products += [Product(units[first + bits], units[tokens], combination(at, label=point))]
    write_products(mixer, products)


def _losses(at: Directions, size: int) -> list[Relu]:
    """By how much each point is farther than each other one."""
    hot = torch.eye(size)
    return [
        Relu(combination(at, score=hot[i] - hot[j]), float(i - j), combination(at, loss=hot[i]))
        for i in range(size)
        for j in range(size)
        if i != j
    ]


def _answers(at: Directions, size: int, labels: int) -> list[Relu]:
    """The label of the point that is not farther than any."""
    return [
        Relu(combination(at, label=point, loss=-(labels + 1) * point), 0.0, combination(at, answer=1.0))
        for point in torch.eye(size)
    ]
