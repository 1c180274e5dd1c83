"""Equality by subtraction: what the first string adds to integrators of a gated LRU, an equal second one takes away.

    symbol at place t of the first string      [ symbol s | one | +k^j at u ]        t = u·g + j
    separator                                  [          | one |           ]
    symbol at place t of the second string     [ symbol s | one | −k^j at u ]        t counted from the separator
    written                                    [ store: h | differs = Σ |h_u| ]

Unit u sums up symbol · place_u with a decay of exactly 1. Yes where 1/2 − differs > 0. m the size, k the alphabet, g
digits a unit. Places are learned, so that a model is for one size, as the bound is.

Proof. A number has one representation by g digits, so h_u = 0 at the end exactly where the two strings agree in all
places of u. On the way |h_u| < k^g ≤ 2^24: float32 is exact there, so that all 25 bits of consecutive signed integers
are used. A sum of absolute values that are integers is at least 1 unless all are 0, rounded or not.

Where strings differ in one place at most one unit and the weights ±1 are enough: h = Σ s − Σ s' is the difference
there, and stays within m (k − 1) ≤ 2^24.
"""

from typing import Any

import torch
from torch import Tensor

from statewise.bounds import equality
from statewise.constructions import storage
from statewise.constructions.construction import Construction, require_size
from statewise.constructions.digits import EXACT, checked_digits
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
from statewise.tasks import Equality

NAME = "equality/recurrent"


def recurrent(size: int, *, form: str = "random", alphabet: int = 2, digits: int | None = None) -> Construction:
    """One gated LRU layer of ⌈m/g⌉ units, or of one where strings differ in one place at most: exact at this size.

    size      m, at least 1, with m·(k − 1) at most 2^24
    form      random or one-difference
    alphabet  k, in [2, 4096]
    digits    g, with k^g at most 2^24; None is the most. One-difference has none

    >>> recurrent(8).verify().exact
    True
    """
    task = Equality(form=form, alphabet=alphabet)
    require_size(NAME, size, EXACT // (alphabet - 1), "sums of symbols are exact in float32 up to 2^24")
    if form == "next-character":
        raise UsageError(f"{NAME}: form is {form!r}; it must be random or one-difference")
    weights = digit_weights(size, alphabet, digits) if form == "random" else checksum_weights(size, digits)
    units = weights.shape[1]
    at = Directions(symbol=1, one=1, place=units, store=units, differs=1)
    model = LanguageModel(
        vocabulary=task.vocabulary(size),
        width=at.width,
        stack="gated-lru",
        positions="learned",
        max_length=task.length(size),
        feed_forward=multiple(2 * units, at.width),
        feed_forward_kind="relu",
        norm="none",
        mixer_settings=(f"units={units}", "side_gate=True"),
    )
    blank(model)
    no, yes = alphabet + 1, alphabet + 2
    write_table(model.embedding, slice(None), at["one"], torch.ones(yes + 1, 1))
    write_table(model.embedding, slice(alphabet), at["symbol"], torch.arange(float(alphabet))[:, None])
    write_table(model.places, slice(size), at["place"], weights)
    write_table(model.places, slice(size + 1, None), at["place"], -weights)
    _write_difference(layer(model, 0), at, units)
    write_table(model.head, slice(no), at["one"], -torch.ones(no, 1))
    write_table(model.head, slice(yes, None), slice(None), combination(at, one=0.5, differs=-1.0)[None])
    required = equality.required_bits(size, alphabet, form)
    return Construction(
        name=NAME,
        model=model.eval(),
        task=task,
        sizes=(size, size),
        precision=torch.float32,
        claim=f"one gated LRU layer of {storage.units(units)}, {2 * units} ReLUs: {storage.compared(model, required)}",
        source="ours; that the string, or a checksum, is enough is counting",
    )


def digit_weights(size: int, alphabet: int, digits: int | None) -> Tensor:
    """k^j at unit u in row u·g + j, (m, ⌈m/g⌉).

    >>> digit_weights(3, 10, 2).tolist()
    [[1.0, 0.0], [10.0, 0.0], [0.0, 1.0]]
    """
    digits = checked_digits(NAME, alphabet, digits, usual=EXACT, most=EXACT)
    places = torch.arange(size)
    return torch.eye(-(-size // digits))[places // digits] * float(alphabet) ** (places % digits)[:, None]


def checksum_weights(size: int, digits: int | None) -> Tensor:
    """1 everywhere, (m, 1)."""
    if digits is not None:
        raise UsageError(f"{NAME}: digits is {digits}; a checksum, which one-difference needs alone, has none")
    return torch.ones(size, 1)


def _write_difference(block: Any, at: Directions, units: int) -> None:
    """Unit u adds symbol · place_u; what is left at the end is a difference."""
    hot = [one_hot(unit, units) for unit in range(units)]
    one = combination(at, one=1.0)
    write_integrators(
        block.mixer, [Integrator(combination(at, symbol=1.0), combination(at, place=unit)) for unit in hot]
    )
    write_products(block.mixer, [Product(unit, one, combination(at, store=unit)) for unit in hot])
    write_relus(
        block.feed_forward,
        [
            Relu(combination(at, store=sign * unit), 0.0, combination(at, differs=1.0))
            for unit in hot
            for sign in (1, -1)
        ],
    )
