"""What is inside a trained gated layer: its decays, what is lost without some units, what its states hold.

B batch, T time, N units, F features, K targets.
"""

import copy
from typing import cast

import torch
from torch import Tensor

from statewise.mixers import GatedLRU
from statewise.mixers.gated_lru import reflected
from statewise.models import Backbone
from statewise.ops import linear_scan


def layer_of(model: Backbone) -> GatedLRU:
    """The only mixer of a model."""
    (block,) = model.blocks
    return cast(GatedLRU, block.mixer)


def decays(model: Backbone) -> Tensor:
    """λ (N,), between 0 and 1."""
    return reflected(layer_of(model).decay.detach())


def without_units(model: Backbone, dropped: Tensor) -> Backbone:
    """A copy whose output gate does not read the units (N,) bool that are dropped."""
    pruned = copy.deepcopy(model)
    layer = layer_of(pruned)
    with torch.no_grad():
        for gate in (layer.read, layer.read_gate):
            gate.weight[:, dropped] = 0
    return pruned


@torch.no_grad()
def states_of(model: Backbone, tokens: Tensor) -> Tensor:
    """h after every token, (B, T, N), from tokens (B, T, C)."""
    layer = layer_of(model)
    decay, drive = layer.decay_and_drive(layer.with_constant(model.embedding(tokens)))
    states, _ = linear_scan(decay.expand_as(drive), drive)
    return states


def unexplained(features: Tensor, targets: Tensor) -> float:
    """Share of the variance of targets (…, K) that no affine map of features (…, F) explains: 1 − R² over all K.

    >>> x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    >>> unexplained(x, 2 * x[:, :1] + 1) < 1e-9
    True
    """
    features, targets = (part.double().flatten(0, -2) for part in (features, targets))
    features, targets = features - features.mean(0), targets - targets.mean(0)
    # A spectrum that ends far below its start: the driver that lstsq takes by default asks for full rank.
    solution = torch.linalg.lstsq(features, targets, driver="gelsd").solution
    return float((targets - features @ solution).square().sum() / targets.square().sum())
