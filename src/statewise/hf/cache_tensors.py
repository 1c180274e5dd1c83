"""The tensors of transformers' caches, taken out and put into another cache.

B batch. Every tensor has the batch as its first axis.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer, LinearAttentionLayer

from statewise.hf.cache import StatewiseCache
from statewise.models import ModelState

Tensors = Any
"""Dicts and lists of tensors, or a ModelState."""

KNOWN = (DynamicLayer, DynamicSlidingWindowLayer, LinearAttentionLayer)


def can_be_taken_out(cache: object) -> bool:
    """Whether all that a cache carries is known: its tensors, and beside them only how many tokens it has read.

    >>> can_be_taken_out(StatewiseCache()), can_be_taken_out(object())
    (True, False)
    """
    return isinstance(cache, StatewiseCache) or (
        type(cache) is DynamicCache and bool(cache.layers) and all(type(layer) in KNOWN for layer in cache.layers)
    )


def taken_out(cache: Cache) -> Tensors:
    """The tensors of a cache that `can_be_taken_out`."""
    if isinstance(cache, StatewiseCache):
        return cache.state
    return [_of_layer(layer) for layer in cache.layers]


def put_in(tensors: Tensors, seen: int, config: PreTrainedConfig) -> Cache:
    """A fresh cache with these tensors, which has read `seen` tokens."""
    if isinstance(tensors, ModelState):
        ours = StatewiseCache()
        ours.put(tensors, seen)
        ours.begun = True
        return ours
    cache = DynamicCache(config=config)
    for layer, its_tensors in zip(cache.layers, tensors, strict=True):
        _fill(layer, its_tensors, seen)
    return cache


def _of_layer(layer: Any) -> dict[str, Tensor]:
    if isinstance(layer, LinearAttentionLayer):
        pairs = {f"conv {i}": state for i, state in layer.conv_states.items()}
        pairs |= {f"recurrent {i}": state for i, state in layer.recurrent_states.items()}
        return {name: state for name, state in pairs.items() if state is not None}
    return {"keys": layer.keys, "values": layer.values}


def _fill(layer: Any, tensors: dict[str, Tensor], seen: int) -> None:
    if not isinstance(layer, LinearAttentionLayer):
        layer.update(tensors["keys"], tensors["values"])
        if isinstance(layer, DynamicSlidingWindowLayer):
            layer.cumulative_length = seen
        return
    for name, tensor in tensors.items():
        kind, place = name.split()
        if kind == "conv":
            layer.lazy_initialization(conv_states=tensor, state_idx=int(place))
            layer.conv_states[int(place)] = tensor.clone()
            layer.has_previous_state[int(place)] = True
        else:
            layer.update_recurrent_state(tensor, state_idx=int(place))


def counter(seen: int, batch_size: int) -> Tensor:
    """How many tokens were read, for each sequence, (B,) int64."""
    return torch.full((batch_size,), seen, dtype=torch.int64)
