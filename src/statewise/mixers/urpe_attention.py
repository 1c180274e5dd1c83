"""URPE attention: softmax attention whose weights are multiplied by a learned number for each distance.

    y_t = W_o · concat over heads of Σ_{s ≤ t} c_{t−s} softmax_s(q_t · k_s / √d) v_s + b_o

A softmax sums to one whatever its logits, so that with relative positions inside it tokens that are all alike give
outputs that are all alike; the numbers c outside it tell places apart.

B batch, T time, D width, H heads, d = D/H, C tokens in the cache, M distances with a number of their own.
Source: Luo et al., "Your Transformer May Not be as Powerful as You Expect", arXiv 2205.13401, §4.
"""

import torch
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.mixers.kv_cache import KVCacheMixer


class URPEAttention(KVCacheMixer):
    """URPE attention, (B, T, width) → (B, T, width). O(T·D² + T²·D) work, 2·T·D values of state and a counter.

    width         D
    head_size     d, a divisor of the width; None is the largest divisor not above 64
    positions     none, or rope
    max_distance  M: each head has numbers c_0 … c_{M−1}, and distances beyond share the last. The paper has a number
                  for every distance up to its longest sequence; sharing is ours, so that any length can be read

    All c start at one, as in the paper: the layer starts as `Attention`. Memory is O(T²) for each head.

    >>> y, state = URPEAttention(8)(torch.zeros(2, 5, 8))
    >>> y.shape, state.keys.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 5, 1, 8]))
    """

    def __init__(
        self, width: int, *, head_size: int | None = None, positions: str = "none", max_distance: int = 1024
    ) -> None:
        super().__init__(width, head_size=head_size, positions=positions)
        if max_distance < 1:
            raise UsageError(f"URPEAttention: max_distance is {max_distance}; it must be at least 1")
        self.coefficients = nn.Parameter(torch.ones(width // self.head_size, max_distance))

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Softmax attention with its weights multiplied; see `KVCacheMixer.attend`."""
        length, seen = query.shape[1], keys.shape[1]
        if mask is None:
            mask = torch.ones(1, length, seen, dtype=torch.bool, device=query.device).tril(seen - length)
        # What is exponentiated is at least float32.
        wide = accumulation_dtype(query.dtype)
        logits = query.to(wide).transpose(1, 2) @ keys.to(wide).permute(0, 2, 3, 1) / self.head_size**0.5
        weights = logits.masked_fill(~mask[:, None], -torch.inf).softmax(-1)
        scaled: Tensor = weights * toeplitz(self.coefficients, length, seen)
        return (scaled.to(values.dtype) @ values.transpose(1, 2)).transpose(1, 2)


def toeplitz(coefficients: Tensor, length: int, seen: int) -> Tensor:
    """The coefficient of each of the last T of S tokens for each of the S, (H, T, S), from those of M distances (H, M).

    Distances beyond the last one take its coefficient; what lies ahead takes that of distance 0.

    >>> toeplitz(torch.tensor([[1.0, 2.0, 3.0]]), 2, 5).tolist()
    [[[3.0, 3.0, 2.0, 1.0, 1.0], [3.0, 3.0, 3.0, 2.0, 1.0]]]
    """
    # Row t is row 0 moved t places to the right, and what leaves at the end comes in at the front. Row 0 again and
    # again, read in rows that are one number shorter, is that: no index of T·S places, and no sum over one backwards.
    cycle, heads = seen + length + 1, coefficients.shape[0]
    places = torch.arange(cycle, device=coefficients.device)
    distances = torch.where(places < seen, seen - length - places, seen - length + cycle - places)
    row = coefficients[:, distances.clamp(0, coefficients.shape[1] - 1)]
    rows = row[:, None].expand(-1, length, -1).flatten(1)[:, : length * (cycle - 1)]
    return rows.reshape(heads, length, cycle - 1)[:, :, :seen]
