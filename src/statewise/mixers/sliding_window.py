"""Softmax attention in which each token sees itself and the W − 1 tokens before it.

    y_t = Σ_{t−W < s ≤ t} softmax_s(q_t · k_s / √d) v_s

Computed in blocks of queries, each beside the keys that the block can see: O(T·W·d) work and memory for each head,
where a mask over all pairs would take O(T²·d).

B batch, T time, H heads, d channels of a head, W window, C = W − 1 tokens before the first.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_BLOCK = 64
"""Queries of a block, at least: smaller matrix products cost more in calls than they save in work."""


def windowed_attention(query: Tensor, keys: Tensor, values: Tensor, first: Tensor) -> Tensor:
    """What each query reads, (B, T, H, d).

    query         (B, T, H, d)
    keys, values  (B, C + T, H, d), of C tokens before the first query's and of the T themselves; the window is C + 1
    first         (B, T) int64, the first of these C + T tokens that the query may see, its own at most

    >>> query, keys = torch.zeros(1, 3, 1, 1), torch.tensor([0.0, 2.0, 4.0, 6.0]).reshape(1, 4, 1, 1)
    >>> windowed_attention(query, keys, keys, torch.tensor([[0, 0, 3]])).flatten().tolist()
    [1.0, 3.0, 6.0]
    """
    length = query.shape[1]
    before = keys.shape[1] - length
    block = max(before, LEAST_BLOCK)
    if length <= block:
        return _attend(query, keys, values, _mask(first[:, None], before, length))
    blocks = -(-length // block)
    missing = blocks * block - length
    queries = F.pad(query, (0, 0, 0, 0, 0, missing)).unflatten(1, (blocks, block)).flatten(0, 1)
    mask = _mask(F.pad(first, (0, missing)).unflatten(1, (blocks, block)), before, block)
    keys, values = (_beside(tokens, before, block, missing) for tokens in (keys, values))
    y: Tensor = _attend(queries, keys, values, mask).unflatten(0, (-1, blocks)).flatten(1, 2)
    return y[:, :length]


def _attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    query, keys, values = (each.transpose(1, 2) for each in (query, keys, values))
    return F.scaled_dot_product_attention(query, keys, values, attn_mask=mask[:, None]).transpose(1, 2)


def _beside(tokens: Tensor, before: int, block: int, missing: int) -> Tensor:
    """What each block of queries can see of tokens (B, C + T, H, d): (B · blocks, C + block, H, d)."""
    padded = F.pad(tokens, (0, 0, 0, 0, 0, missing))
    return padded.unfold(1, before + block, block).movedim(-1, 2).flatten(0, 1)


def _mask(first: Tensor, before: int, block: int) -> Tensor:
    """Where each query of a block may look, (B · blocks, block, C + block) bool, from `first` (B, blocks, block)."""
    starts = block * torch.arange(first.shape[1], device=first.device)
    place = torch.arange(block, device=first.device)[:, None]
    seen = torch.arange(before + block, device=first.device)
    in_window = (seen >= place) & (seen <= place + before)
    return (in_window & (seen >= (first - starts[:, None])[..., None])).flatten(0, 1)
