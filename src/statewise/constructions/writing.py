"""Writing weights as sums of named directions: the rows of maps, ReLUs one by one, and products of a gated LRU.

D width.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from statewise.constructions.directions import Directions
from statewise.mixers.gated_lru import GatedLRU


class Relu(NamedTuple):
    """One hidden channel: max(0, row · x + bias) is added along `to`; row and to are (D,)."""

    row: Tensor
    bias: float
    to: Tensor


class Integrator(NamedTuple):
    """One unit that never forgets: h ← h + (row · x)(gate · x); row and gate are (D,)."""

    row: Tensor
    gate: Tensor


class Product(NamedTuple):
    """One output of a gated LRU: (row · h)(gate · x or h) is added along `to`, (D,); row is (N,), gate (D,) or (N,)."""

    row: Tensor
    gate: Tensor
    to: Tensor


def combination(at: Directions, **weights: float | Tensor) -> Tensor:
    """The row (D,) that weighs some pieces of the width, with a number or a vector each, and nothing else.

    >>> combination(Directions(symbol=1, place=2), symbol=3.0, place=torch.tensor([1.0, 2.0])).tolist()
    [3.0, 1.0, 2.0]
    """
    row = torch.zeros(at.width)
    for name, weight in weights.items():
        row[at[name]] = weight
    return row


def one_hot(index: int, size: int, value: float = 1.0) -> Tensor:
    """A vector (size,) of zeros but for one entry.

    >>> one_hot(1, 3).tolist()
    [0.0, 1.0, 0.0]
    """
    vector = torch.zeros(size)
    vector[index] = value
    return vector


def write_relus(feed_forward: Any, relus: Sequence[Relu]) -> None:
    """Write the first hidden channels of a `relu` feed-forward; the rest stay as they are."""
    if not relus:
        return
    into, _, out = feed_forward
    with torch.no_grad():
        into.weight[: len(relus)] = torch.stack([relu.row for relu in relus])
        into.bias[: len(relus)] = torch.tensor([relu.bias for relu in relus])
        out.weight[:, : len(relus)] = torch.stack([relu.to for relu in relus], 1)


def write_integrators(mixer: GatedLRU, integrators: Sequence[Integrator]) -> None:
    """Write the first units of a gated LRU, with a decay of exactly 1."""
    number = len(integrators)
    with torch.no_grad():
        mixer.decay[:number] = 1
        mixer.write.weight[:number] = torch.stack([unit.row for unit in integrators])
        mixer.write_gate.weight[:number] = torch.stack([unit.gate for unit in integrators])


def write_products(mixer: GatedLRU, products: Sequence[Product]) -> None:
    """Write the first outputs of a gated LRU."""
    number = len(products)
    with torch.no_grad():
        mixer.read.weight[:number] = torch.stack([product.row for product in products])
        mixer.read_gate.weight[:number] = torch.stack([product.gate for product in products])
        mixer.output.weight[:, :number] = torch.stack([product.to for product in products], 1)


def multiple(needed: int, width: int) -> int:
    """The feed-forward's inner width as a multiple of the width, at least 1, for so many hidden channels.

    >>> multiple(5, 4), multiple(0, 4)
    (2, 1)
    """
    return max(1, -(-needed // width))
