"""Parity by one GRU unit at every length, and by a minGRU up to a length that its feed-forward was made for.

GRU, one unit, which is also the only channel. Tokens are embedded as x − 1/2.

    z = σ(40 (1 − 2x))    c = tanh(20 − 40 h₋)    h = (1 − z) c + z h₋        odd where h + x − 1/2 > 0

    x = 0: z = 1, h = h₋        x = 1: z = 0 and h₋ = −1, 0 → h = 1,  h₋ = 1 → h = −1

Proof. h is 0 before any one, then 1 after an odd number of ones and −1 after an even one. σ(40) and tanh(20) are 1 in
float32, and σ(−40) < 5e-18 vanishes beside the 1 that it is added to, so h only takes the values −1, 0, 1 exactly: what
holds for the three of them and both tokens holds at every length by induction. After a zero −1, 0 | 1 become −3/2, −1/2
| 1/2; after a one 0 does not occur, and −1 | 1 become −1/2 | 3/2. The signs are the answer.

minGRU, one unit that counts, T − 1 hinges that fold the count. Width 2, T the largest length.

    [ is zero | count ]        h ← h on a zero,  h ← h + (1 − h)/(T + 1) on a one        count = (T + 1) h − 1/2

After j ones h = 1 − (T/(T+1))^j, so the counts y_0 = −1/2, y_1 = 1/2, … rise by at least (T/(T+1))^(T−1) > 1/e. The
feed-forward bends at y_1 … y_{T−1}, so that the count becomes the zigzag that is (−1)^(j+1)/2 at y_j; its sign is the
answer. A zero changes nothing, its gate being exactly 0, so T ones pass through every state that any string reaches.
Measured over T ones, for each T up to 1024: where 0.5 is meant answers are at least 0.28 from 0 on an AMD EPYC and 0.44
on an Intel Sapphire Rapids, whose matrix products add in another order. Rounding turns the first ones around near
T = 6,300.

T − 1 hinges are all needed in this form: the answer changes sign T times along one number, and a line bent b times
crosses 0 at most b + 1 times. No other numbers help at *every* length: fed 1, 1, 1, … any stack of layers that update
each entry of their state as round(a(x) · h + b(x)) with a ≥ 0 ends up constant, being a monotone map iterated on a
finite ordered set, layer after layer, while the parity alternates (`statewise.bounds.limit_at_all_lengths`).
"""

import math
from typing import Any

import torch
from torch import Tensor

from statewise.constructions.construction import Construction, require_size
from statewise.constructions.directions import Directions, blank, write_table
from statewise.constructions.heads import layer
from statewise.core.errors import UsageError
from statewise.models import LanguageModel
from statewise.tasks import Parity

SATURATED = 40.0
"""Where σ is 1 in float32, and tanh of its half is."""

SHUT = -200.0
"""Where σ is 0 in float32 and float64."""

LONGEST = 1024
"""Largest T of the minGRU: up to here every T was tried, and rounding takes less than half of the room."""


def gru(size: int) -> Construction:
    """One GRU unit, width 1, 16 numbers: exact at every length, of which `size` is the one that is named.

    size  at least 1

    >>> gru(8).verify().exact
    True
    """
    if size < 1:
        raise UsageError(f"parity/gru: size is {size}; it must be at least 1")
    model = LanguageModel(vocabulary=2, width=1, stack="gru", feed_forward=0, norm="none")
    blank(model)
    write_table(model.embedding, slice(2), slice(1), torch.tensor([[-0.5], [0.5]]))
    cell = layer(model, 0).mixer.cell
    reset, keep, candidate = range(3)
    with torch.no_grad():
        cell.bias_ih_l0[reset] = SATURATED
        cell.weight_ih_l0[keep] = -2 * SATURATED
        cell.bias_ih_l0[candidate] = SATURATED / 2
        cell.weight_hh_l0[candidate] = -SATURATED
    write_table(model.head, slice(2), slice(1), torch.tensor([[-1.0], [1.0]]))
    return Construction(
        name="parity/gru",
        model=model.eval(),
        task=Parity(),
        sizes=(1, size),
        precision=torch.float32,
        claim="one GRU unit, width 1, no feed-forward: constant size at every length",
        source="ours: one unit of Cho et al. 2014, arXiv 1406.1078, in torch's form",
    )


def mingru(size: int) -> Construction:
    """One minGRU layer, of whose two units one counts, and T − 1 ReLUs: exact up to T and no further.

    size  T, in [1, 1024]; the string of T + 1 ones is answered wrongly, which examples drawn at a large T do not show

    The candidate's g is the paper's.

    >>> mingru(8).verify().exact, mingru(8).verify(9).first
    (True, 'at 8 of [1, 1, 1, 1, 1, 1, 1, 1, 1] it says 0; right is 1')
    """
    require_size("parity/mingru", size, LONGEST, "the feed-forward is as wide as the length, and sums it in float32")
    at = Directions(is_zero=1, count=1)
    model = LanguageModel(
        vocabulary=2,
        width=at.width,
        stack="mingru",
        feed_forward=max(1, math.ceil((size - 1) / at.width)),
        feed_forward_kind="relu",
        norm="none",
    )
    blank(model)
    write_table(model.embedding, slice(1), at["is_zero"], torch.ones(1, 1))
    block = layer(model, 0)
    _write_counter(block.mixer, at, size)
    _write_zigzag(block.feed_forward, at, counts(size))
    write_table(model.head, slice(2), at["count"], torch.tensor([[-1.0], [1.0]]))
    return Construction(
        name="parity/mingru",
        model=model.eval(),
        task=Parity(),
        sizes=(1, size),
        precision=torch.float32,
        claim=f"one minGRU unit that counts and {size - 1} ReLUs: O(T), and at all lengths no number is enough",
        source="ours; the limit is Sarrof et al. 2024, arXiv 2405.17394, Theorem 2",
        fails_at=size + 1,
    )


def counts(size: int) -> Tensor:
    """y_0 … y_T, (T + 1,) float64: the count after so many ones.

    >>> counts(2).tolist()
    [-0.5, 0.5, 1.1666666666666667]
    """
    ones = torch.arange(size + 1, dtype=torch.float64)
    return -(size + 1) * torch.expm1(ones * math.log(size / (size + 1))) - 0.5


def _write_counter(mixer: Any, at: Directions, size: int) -> None:
    """Unit 0 moves to 1 by its 1/(T + 1)-th on a one, and rests on a zero."""
    gate, candidate = 0, mixer.units
    with torch.no_grad():
        mixer.projection.bias[gate] = -math.log(size)
        mixer.projection.weight[gate, at["is_zero"]] = SHUT
        # g(1/2) = 1
        mixer.projection.bias[candidate] = 0.5
        mixer.output.weight[at["count"], 0] = size + 1
        mixer.output.bias[at["count"]] = -0.5


def _write_zigzag(feed_forward: Any, at: Directions, corners: Tensor) -> None:
    """Bend the count at each corner between the first and the last, so that it goes from ∓1/2 to ±1/2."""
    slopes = (-1.0) ** torch.arange(len(corners) - 1) / corners.diff()
    bends = len(corners) - 2
    into, _, out = feed_forward
    with torch.no_grad():
        into.weight[:bends, at["count"]] = 1
        into.bias[:bends] = -corners[1:-1]
        out.weight[at["count"], :bends] = slopes.diff()
