"""The delta rule with decay as matrix products over chunks of time; only the state between chunks is a loop.

Within a chunk that starts from S, with E(i, j) = exp(g_{j+1} + … + g_i) per key channel and u_i what token i recalls:

    u_i + Σ_{j<i} (c_iᵀ E(i−1, j) r_j) u_j = c_iᵀ E(i−1, 0) S + Σ_{j<i} (c_iᵀ E(i−1, j) k_j) v_j
    y_i = q_iᵀ E(i, 0) S + Σ_{j≤i} (q_iᵀ E(i, j) k_j) v_j − (q_iᵀ E(i, j) r_j) u_j
    S'  = E(C, 0) S + Σ_j E(C, j) (k_j v_jᵀ − r_j u_jᵀ)

The first line is a unit lower triangular system (the WY or UT transform of Yang et al., arXiv 2406.06484, §3, with
decay as in arXiv 2412.06464). Its solution is Y + W S, where Y and W do not depend on S: all chunks are solved at once.

Every E is the exponential of a sum of log decays, never a quotient and never a difference of sums: nothing overflows
where log decays are not positive, −∞ among them, and a large one takes no precision from its neighbours.

N chunks, B batch, H heads, C tokens of a chunk, K key channels, V value channels.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from statewise.core.dtypes import accumulation_dtype
from statewise.ops.delta_scan.reference import empty_state

CHUNK = 64


class Chunks(NamedTuple):
    """What a chunk's tokens are to each other and to the states at its ends, decays and resets included.

    recall_remove, recall_key, query_remove, query_key  (N, B, H, C, C), lower triangular
    recall_in, query_in                                 (N, B, H, C, K), on the state that enters
    remove_out, key_out                                 (N, B, H, C, K), in the state that leaves
    kept                                                (N, B, H, K or 1, 1), of the entering state in the leaving one
    """

    recall_remove: Tensor
    recall_key: Tensor
    query_remove: Tensor
    query_key: Tensor
    recall_in: Tensor
    query_in: Tensor
    remove_out: Tensor
    key_out: Tensor
    kept: Tensor


def delta_scan(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    recall: Tensor,
    remove: Tensor,
    log_decay: Tensor | None = None,
    initial: Tensor | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As `reference.delta_scan`, in T / 64 sequential steps; plain autograd differentiates it.

    What key and remove share is made once where they are the same object.

    >>> one = torch.ones(1, 3, 1, 1)
    >>> delta_scan(one, one, 5 * one, one, one)[0].flatten().tolist()
    [5.0, 5.0, 5.0]
    """
    length, wide = value.shape[1], accumulation_dtype(value.dtype)
    state = empty_state(key, value) if initial is None else initial
    if not length:
        return value.new_empty(value.shape), state.clone()
    size = chunk_size(length)
    q, k, v, c = (split(each.to(wide), size) for each in (query, key, value, recall))
    r = k if remove is key else split(remove.to(wide), size)
    chunks = reset_between(related(q, k, c, r, split_decay(log_decay, key, size)), reset, size)
    outputs, final = run(chunks, v, state)
    return joined(outputs, length).to(value.dtype), final


def chunk_size(length: int) -> int:
    """Tokens in a chunk: CHUNK, or the power of two that covers a shorter sequence."""
    return next(size for size in (4, 8, 16, 32, CHUNK) if size >= min(length, CHUNK))


def split(tokens: Tensor, size: int) -> Tensor:
    """(B, T, H, ·) → (N, B, H, C, ·), contiguous, the last chunk filled up with zeros."""
    missing = -tokens.shape[1] % size
    whole = pad(tokens, (0, 0, 0, 0, 0, missing)) if missing else tokens
    chunks: Tensor = whole.unflatten(1, (-1, size))
    return chunks.permute(1, 0, 3, 2, 4).contiguous()


def joined(chunks: Tensor, length: int) -> Tensor:
    """(N, B, H, C, ·) → (B, T, H, ·)."""
    return chunks.permute(1, 0, 3, 2, 4).flatten(1, 2)[:, :length].contiguous()


def split_decay(log_decay: Tensor | None, key: Tensor, size: int) -> Tensor:
    """(N, B, H, C, K), with 1 in place of K where a head shares its decay, of B and H where nothing decays."""
    wide = accumulation_dtype(key.dtype)
    if log_decay is None:
        return split(key.new_zeros((1, key.shape[1], 1, 1), dtype=wide), size)
    return split((log_decay if log_decay.ndim == 4 else log_decay.unsqueeze(-1)).to(wide), size)


def related(query: Tensor, key: Tensor, recall: Tensor, remove: Tensor, log_decay: Tensor) -> Chunks:
    """How tokens relate in each chunk, from tokens (N, B, H, C, K) and log decays (N, B, H, C, K or 1)."""
    pairs = pairs_by_head if log_decay.shape[-1] == 1 else pairs_by_channel
    after = log_decay.cumsum(-2).exp()
    before, rest = shifted(after), until_end(log_decay)
    remove_out = remove * rest
    return Chunks(
        *pairs(query, key, recall, remove, log_decay),
        recall_in=recall * before,
        query_in=query * after,
        remove_out=remove_out,
        key_out=remove_out if remove is key else key * rest,
        kept=after[..., -1, :].unsqueeze(-1),
    )


def shifted(factors: Tensor) -> Tensor:
    """Factors (…, C, ·) moved one token later, 1 for the first."""
    return pad(factors[..., :-1, :], (0, 0, 1, 0), value=1.0)


def until_end(log_decay: Tensor) -> Tensor:
    """exp(g_{j+1} + … + g_C) for every token j of (…, C, ·)."""
    return shifted(log_decay.flip(-2).cumsum(-2).exp()).flip(-2)


def pairs_by_head(
    query: Tensor, key: Tensor, recall: Tensor, remove: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The four products of pairs, (N, B, H, C, C), where a head has one decay, (N, B, H, C, 1)."""
    size = log_decay.shape[-2]
    steps = log_decay.expand(*log_decay.shape[:-1], size).tril(-1)
    after = steps.cumsum(-2).exp().tril()
    before = pad(after[..., :-1, :], (0, 0, 1, 0))
    recall_remove, query_remove = recall @ remove.mT * before, query @ remove.mT * after
    if remove is key:
        return recall_remove, recall_remove, query_remove, query_remove
    return recall_remove, recall @ key.mT * before, query_remove, query @ key.mT * after


def pairs_by_channel(
    query: Tensor, key: Tensor, recall: Tensor, remove: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same where every key channel has its own decay, (N, B, H, C, K).

    Blocks of 1, 2, 4, … tokens are joined two by two. A pair in different halves meets at the boundary between them:
    what the later token reads has decayed since the boundary, what the earlier one wrote decays up to it.
    """
    itself = torch.stack([(query * remove).sum(-1), (query * key).sum(-1)], -1)
    pairs = torch.stack([torch.zeros_like(itself), itself], -2)[..., None, :, None]
    while pairs.shape[-1] < log_decay.shape[-2]:
        across = pairs_across(query, key, recall, remove, log_decay, pairs.shape[-1])
        pairs = joined_blocks(pairs, across)
    pairs = pairs.squeeze(-5)
    return pairs[..., 0, :, 0, :], pairs[..., 0, :, 1, :], pairs[..., 1, :, 0, :], pairs[..., 1, :, 1, :]


def pairs_across(query: Tensor, key: Tensor, recall: Tensor, remove: Tensor, log_decay: Tensor, size: int) -> Tensor:
    """Pairs (…, C/2s, 2, s, 2, s) of the later half of each block of 2s tokens with the earlier half.

    The kinds of rows are recall and query, those of columns remove and key.
    """
    halves = (each.unflatten(-2, (-1, 2, size)).unbind(-3) for each in (query, key, recall, remove, log_decay))
    (_, q), (k, _), (_, c), (r, _), (earlier, later) = halves
    after, rest = later.cumsum(-2).exp(), until_end(earlier)
    rows = torch.cat([c * shifted(after), q * after], -2)
    columns = torch.cat([r * rest, k * rest], -2)
    across: Tensor = (rows @ columns.mT).unflatten(-1, (2, size)).unflatten(-3, (2, size))
    return across


def joined_blocks(pairs: Tensor, across: Tensor) -> Tensor:
    """Pairs (…, C/s, 2, s, 2, s) within blocks of s tokens and across two of them → (…, C/2s, 2, 2s, 2, 2s)."""
    size = pairs.shape[-1]
    first, second = pairs.unflatten(-5, (-1, 2)).unbind(-5)
    return torch.cat([pad(first, (0, size)), torch.cat([across, second], -1)], -3)


def reset_between(chunks: Chunks, reset: Tensor | None, size: int) -> Chunks:
    """The same relations with none across a reset (B, T)."""
    if reset is None:
        return chunks
    started = split(reset[..., None, None], size).squeeze(-1).cumsum(-1)
    strangers = started.unsqueeze(-1) != started.unsqueeze(-2)
    not_first = (started > 0).unsqueeze(-1)
    not_last = (started != started[..., -1:]).unsqueeze(-1)
    recall_remove, recall_key, query_remove, query_key = (each.masked_fill(strangers, 0) for each in chunks[:4])
    return Chunks(
        recall_remove,
        recall_key,
        query_remove,
        query_key,
        recall_in=chunks.recall_in.masked_fill(not_first, 0),
        query_in=chunks.query_in.masked_fill(not_first, 0),
        remove_out=chunks.remove_out.masked_fill(not_last, 0),
        key_out=chunks.key_out.masked_fill(not_last, 0),
        kept=chunks.kept.masked_fill(not_first[..., -1:, :], 0),
    )


def run(chunks: Chunks, value: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs (N, B, H, C, V) and the final state (B, H, K, V) from values (N, B, H, C, V) and the initial state."""
    right = torch.cat([chunks.recall_in, chunks.recall_key @ value], -1)
    solved = torch.linalg.solve_triangular(chunks.recall_remove, right, upper=False, unitriangular=True)
    of_state, of_values = solved.split([chunks.recall_in.shape[-1], value.shape[-1]], -1)
    written = chunks.key_out.mT @ value
    entering, recalled = [], []
    for kept, weight, own, out, drive in zip(
        chunks.kept, of_state, of_values, chunks.remove_out.mT, written, strict=True
    ):
        entering.append(state)
        recalled.append(own + weight @ state)
        state = kept * state + drive - out @ recalled[-1]
    outputs = chunks.query_in @ torch.stack(entering) + chunks.query_key @ value
    return outputs - chunks.query_remove @ torch.stack(recalled), state
