"""Attention heads written by what they compare, what they read, and where they put it.

D width, d head size, H heads.
"""

from typing import Any

import torch
from torch import Tensor

from statewise.mixers import Attention


def write_head(mixer: Attention, head: int, *, query: Tensor, key: Tensor, value: Tensor, output: Tensor) -> None:
    """Write head number `head`: logits (query x_t) · (key x_s), undivided; added is output Σ weight · value x_s.

    query, key  (c, D) each, c at most d: what is compared
    value       (r, D), r at most d: what is read
    output      (D, r): where it goes
    """
    width, size = mixer.width, mixer.head_size
    rows = {"query": query * size**0.5, "key": key, "value": value}
    with torch.no_grad():
        for part, matrix in enumerate(rows.values()):
            first = part * width + head * size
            mixer.query_key_value.weight[first : first + len(matrix)] = matrix.to(mixer.query_key_value.weight.dtype)
        read = output.shape[1]
        mixer.output.weight[:, head * size : head * size + read] = output.to(mixer.output.weight.dtype)


def rows(width: int, *pieces: slice) -> Tensor:
    """The map (sum of their sizes, D) that picks some pieces out of a width, one below the other.

    >>> rows(4, slice(1, 3)).tolist()
    [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    """
    return torch.cat([torch.eye(width)[piece] for piece in pieces])


def columns(width: int, *pieces: slice) -> Tensor:
    """The map (D, sum of their sizes) that puts pieces into a width: the transpose of `rows`."""
    return rows(width, *pieces).mT


def layer(model: Any, index: int) -> Any:
    """The block at a place, from 0, whose parts the caller knows by the stack that it asked for."""
    return model.blocks[index]
