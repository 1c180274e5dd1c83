"""Attention: causal softmax attention, whose state is the cache of all keys and values, or of a window's.

    y_t = W_o · concat over heads of Σ_{s ≤ t} softmax_s(q_t · k_s / √d) v_s + b_o,    s > t − W with a window W

B batch, T time, D width, H heads of queries, H_k of keys and values, d = D/H, C tokens in the cache.
Source: Vaswani et al., arXiv 1706.03762; rotary positions: Su et al., arXiv 2104.09864; sliding window: Beltagy et al.,
arXiv 2004.05150, §3.1, the causal half of it; shared keys and values: Shazeer, arXiv 1911.02150 (one head), and Ainslie
et al., arXiv 2305.13245 (several).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.mixers.kv_cache import KVCache, KVCacheMixer, first_of_sequence
from statewise.mixers.sliding_window import windowed_attention


class Attention(KVCacheMixer):
    """Causal softmax attention, (B, T, width) → (B, T, width).

    width      D
    head_size  d, a divisor of the width; None is the largest divisor not above 64
    positions  none, or rope: queries and keys rotated by their place, so that logits depend on distances;
               an odd head size leaves its last channel unrotated
    window     W, how many tokens each sees, its own included; None is all
    kv_heads   H_k, a divisor of H: each head of keys and values is read by H / H_k heads of queries; None is H
    rotary     how many channels of a head rope turns, its first ones; None is all

    O(T·D² + T²·D) work, 2·T·H_k·d values of state, and a counter. With a window O(T·D² + T·W·D) work and
    2·(W − 1)·H_k·d values of state, and a counter: the mixer is `recurrent` then, and its cache has room for W − 1
    tokens from the start. Under a window the cache holds keys that are not rotated yet, oldest first, zeros where there
    are none.

    >>> y, state = Attention(8)(torch.zeros(2, 5, 8))
    >>> y.shape, state.keys.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 5, 1, 8]))
    >>> Attention(8, window=4)(torch.zeros(2, 5, 8))[1].keys.shape
    torch.Size([2, 3, 1, 8])
    """

    def __init__(
        self,
        width: int,
        *,
        head_size: int | None = None,
        positions: str = "none",
        window: int | None = None,
        kv_heads: int | None = None,
        rotary: int | None = None,
    ) -> None:
        super().__init__(width, head_size=head_size, positions=positions, kv_heads=kv_heads, rotary=rotary)
        if window is not None and window < 1:
            raise UsageError(f"Attention: window is {window}; it must be at least 1, or None")
        self.window = window
        # The class states the fact for its defaults; what was asked for decides here.
        vars(self)["recurrent"] = window is not None

    def forward(
        self, x: Tensor, state: KVCache | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, KVCache]:
        """Outputs (B, T, D) and the cache after the last token; see `Mixer.forward`."""
        if self.window is None:
            return super().forward(x, state, reset=reset)
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        cached, length = self.window - 1, x.shape[1]
        query, key, value = self.project(x)
        keys, values = torch.cat([state.keys, key], 1), torch.cat([state.values, value], 1)
        first = first_of_sequence(state.start, cached, length, reset)
        turned, read = self._rotated(query, keys)
        y = windowed_attention(turned, self.for_each_query(read), self.for_each_query(values), first)
        return self.output(y.flatten(2)), rolled(keys, values, first[:, -1] if length else state.start, length)

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Softmax attention; see `KVCacheMixer.attend`."""
        return F.scaled_dot_product_attention(
            query.transpose(1, 2),
            keys.transpose(1, 2),
            values.transpose(1, 2),
            attn_mask=None if mask is None else mask[:, None],
            is_causal=mask is None,
        ).transpose(1, 2)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> KVCache:
        """An empty cache; under a window with room for W − 1 tokens."""
        size = 0 if self.window is None else self.window - 1
        return self.empty_cache(batch_size, size, device=device, dtype=dtype)

    def _rotated(self, query: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and all keys, rotated by their places among these tokens: no place need be carried."""
        if self.positions == "none":
            return query, keys
        places = torch.arange(keys.shape[1], device=keys.device)
        return self.turned(query, places[keys.shape[1] - query.shape[1] :]), self.turned(keys, places)


def rolled(keys: Tensor, values: Tensor, start: Tensor, length: int) -> KVCache:
    """The cache of the last C of C + T tokens; what came before the present sequence, from `start` (B,) on, is zero."""
    start = (start - length).clamp(min=0)
    gone = (torch.arange(keys.shape[1] - length, device=keys.device) < start[:, None])[..., None, None]
    return KVCache(keys[:, length:].masked_fill(gone, 0), values[:, length:].masked_fill(gone, 0), start)
