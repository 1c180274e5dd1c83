"""The matrix recurrence as matrix products over chunks of time, with one linear scan from chunk to chunk.

Within a chunk, with w_ij = e^{g_{j+1} + … + g_i} what is left at token i of what token j wrote, and S the state that
enters the chunk:

    y_i = Σ_{j ≤ i} (q_i · w_ij k_j) v_j + (w_i0 q_i) S        S' = w_C0 S + Σ_j (w_Cj k_j) v_jᵀ

Sums of log decays are sums of their terms, never differences of longer sums: such a difference loses digits, and is
NaN where a decay is zero.

B batch, N chunks, H heads, C tokens of a chunk, K key channels, V value channels; M blocks of c tokens in a chunk.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from statewise.core.dtypes import accumulation_dtype
from statewise.ops.linear_scan import linear_scan
from statewise.ops.matrix_scan.reference import empty_state

CHUNK = 64
"""Tokens of a chunk where a head has one decay: the products within chunks cost what those with the state cost
where C is K, and heads of 64 are usual."""

CHANNEL_CHUNK, BLOCK = 32, 4
"""Tokens of a chunk, and of its blocks, where every key channel has a decay of its own."""


def matrix_scan(
    query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor | None, initial: Tensor | None, reset: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As `reference.matrix_scan`, in B·T·H·(C·(K + V) + 2·K·V) work."""
    length, dtype, wide = key.shape[1], value.dtype, accumulation_dtype(value.dtype)
    before = empty_state(key, value) if initial is None else initial
    if key.shape[0] == 0 or length == 0:
        return value.new_empty(value.shape), before.clone()
    by_channel = log_decay is not None and log_decay.ndim == 4
    size = CHANNEL_CHUNK if by_channel else CHUNK
    log_decay = key.new_zeros((*key.shape[:2], 1), dtype=wide) if log_decay is None else log_decay.to(wide)
    q, k, v = (in_chunks(each.to(wide), size) for each in (query, key, value))
    if reset is not None:
        log_decay = log_decay.masked_fill(reset.view(*reset.shape, *[1] * (log_decay.ndim - 2)), -torch.inf)
    g = in_chunks(log_decay, size)

    weights = (weigh_channels if by_channel else weigh_heads)(q, k, g)
    updates = (k * weights.to_end).transpose(-1, -2) @ v
    entering, final = states_between(weights.whole, updates, before)
    outputs = weights.scores @ v + (q * weights.from_start) @ entering
    return outputs.transpose(2, 3).flatten(1, 2)[:, :length].to(dtype), final


class Weights(NamedTuple):
    """What is left of what, in each chunk; channels of size 1 are shared.

    scores      (B, N, H, C, C) q_i · w_ij k_j, zero for j > i
    from_start  (B, N, H, C, K) w_i0, of the state that enters
    to_end      (B, N, H, C, K) w_Cj, of token j at the end
    whole       (B, N, H, K, 1) w_C0
    """

    scores: Tensor
    from_start: Tensor
    to_end: Tensor
    whole: Tensor


def weigh_heads(q: Tensor, k: Tensor, g: Tensor) -> Weights:
    """One log decay for each head, g (B, N, H, C)."""
    pairs, from_start = pair_sums(g.unsqueeze(-1)).squeeze(-1).exp(), g.cumsum(-1).exp().unsqueeze(-1)
    return Weights(q @ k.mT * pairs, from_start, pairs[..., -1, :].unsqueeze(-1), from_start[..., -1:, :])


def weigh_channels(q: Tensor, k: Tensor, g: Tensor) -> Weights:
    """One log decay for each key channel, g (B, N, H, C, K): sums within blocks, and of whole blocks."""
    q, k, g = (each.unflatten(-2, (-1, BLOCK)) for each in (q, k, g))
    totals, since_start, to_end = g.sum(-2), g.cumsum(-2), sums_after(g, -2)
    scores = between_blocks(q * since_start.exp(), k * to_end.exp(), totals) + within_blocks(q, k, g)
    from_start = sums_before(totals, -2).unsqueeze(-2) + since_start
    to_end = to_end + sums_after(totals, -2).unsqueeze(-2)
    return Weights(
        scores.flatten(-4, -3).flatten(-2),
        from_start.flatten(-3, -2).exp(),
        to_end.flatten(-3, -2).exp(),
        totals.sum(-2).exp().unsqueeze(-1),
    )


def between_blocks(q: Tensor, k: Tensor, totals: Tensor) -> Tensor:
    """Scores (B, N, H, M, c, M, c) of tokens of later blocks with those of earlier ones.

    q, k    (B, N, H, M, c, K), as they are at the start and at the end of their block
    totals  (B, N, H, M, K), a block's log decay
    """
    blocks, size = k.shape[-3:-1]
    # Row a − 1 of the pairs' sums starts after block b and ends before block a.
    gaps = pad(pair_sums(totals)[..., :-1, :, :], (0, 0, 0, 0, 1, 0), value=-torch.inf)
    left = k.unsqueeze(-4) * gaps.exp().unsqueeze(-2)
    scores: Tensor = (q @ left.flatten(-3, -2).mT).unflatten(-1, (blocks, size))
    return scores


def within_blocks(q: Tensor, k: Tensor, g: Tensor) -> Tensor:
    """Scores (B, N, H, M, c, M, c) of tokens of one block, from q, k and log decays (B, N, H, M, c, K)."""
    left = k.unsqueeze(-3) * pair_sums(g).exp()
    scores = (left @ q.unsqueeze(-1)).squeeze(-1)
    return scores.unsqueeze(-2) * torch.eye(q.shape[-3], dtype=q.dtype, device=q.device)[:, None, :, None]


def pair_sums(g: Tensor) -> Tensor:
    """What is left at i of what was there at j, as a log: g_{j+1} + … + g_i, (…, C, C, K) from (…, C, K); −∞ for j > i.

    >>> pair_sums(torch.tensor([[-1.0], [-2.0]])).squeeze(-1).tolist()
    [[0.0, -inf], [-2.0, 0.0]]
    """
    size = g.shape[-2]
    order = torch.arange(size, device=g.device)
    later = (order[:, None] > order).unsqueeze(-1)
    return torch.where(later, g.unsqueeze(-2), 0).cumsum(-3).masked_fill(later.transpose(0, 1), -torch.inf)


def sums_before(x: Tensor, dim: int) -> Tensor:
    """Along a negative `dim`, the sum of everything earlier.

    >>> sums_before(torch.tensor([1.0, 2.0, 4.0]), -1).tolist()
    [0.0, 1.0, 3.0]
    """
    return pad(x.narrow(dim, 0, x.shape[dim] - 1), (0, 0) * (-dim - 1) + (1, 0)).cumsum(dim)


def sums_after(x: Tensor, dim: int) -> Tensor:
    """Along a negative `dim`, the sum of everything later.

    >>> sums_after(torch.tensor([1.0, 2.0, 4.0]), -1).tolist()
    [6.0, 4.0, 0.0]
    """
    return sums_before(x.flip(dim), dim).flip(dim)


def states_between(decay: Tensor, updates: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """The states (B, N, H, K, V) that enter each chunk, and the one after the last: a linear scan over chunks.

    decay    (B, N, H, K, 1), sizes of 1 shared; updates (B, N, H, K, V); before (B, H, K, V)
    """
    after, final = linear_scan(decay.expand(updates.shape).flatten(2), updates.flatten(2), before.flatten(1))
    entering = torch.cat([before.unsqueeze(1), after.view(updates.shape)[:, :-1]], 1)
    return entering, final.view(before.shape)


def in_chunks(x: Tensor, size: int) -> Tensor:
    """(B, T, H, …) as (B, N, H, C, …), filled up with zeros.

    >>> in_chunks(torch.ones(1, 3, 1), 2).tolist()
    [[[[1.0, 1.0]], [[1.0, 0.0]]]]
    """
    missing = -x.shape[1] % size
    filled: Tensor = pad(x, (0, 0) * (x.ndim - 2) + (0, missing)).unflatten(1, (-1, size))
    return filled.transpose(2, 3)
