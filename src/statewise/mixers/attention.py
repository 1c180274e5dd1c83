"""Attention: causal softmax attention, whose state is the cache of all keys and values.

    y_t = W_o · concat over heads of Σ_{s ≤ t} softmax_s(q_t · k_s / √d) v_s

B batch, T time, D width, H heads, d = D/H, C tokens in the cache.
Source: Vaswani et al., arXiv 1706.03762; rotary positions: Su et al., arXiv 2104.09864.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.mixers.mixer import Mixer

PUBLISHED_HEAD_SIZE = 64
ROPE_BASE = 10_000.0


class AttentionState(NamedTuple):
    """keys and values (B, C, H, d); start (B,) int64, the first cached token of the present sequence."""

    keys: Tensor
    values: Tensor
    start: Tensor


class Attention(Mixer):
    """Causal softmax attention, (B, T, width) → (B, T, width). O(T²·D) work, 2·T·D values of state.

    width      D
    head_size  d, a divisor of the width; None is the largest divisor not above 64
    positions  none, or rope: queries and keys rotated by their place, so that logits depend on distances;
               an odd head size leaves its last channel unrotated

    >>> y, state = Attention(8)(torch.zeros(2, 5, 8))
    >>> y.shape, state.keys.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 5, 1, 8]))
    """

    recurrent = False
    non_negative_decay = False

    def __init__(self, width: int, *, head_size: int | None = None, positions: str = "none") -> None:
        super().__init__(width)
        self.head_size = largest_divisor(width, PUBLISHED_HEAD_SIZE) if head_size is None else head_size
        if self.head_size < 1 or width % self.head_size:
            raise UsageError(f"Attention: head_size is {head_size}; it must divide the width, {width}")
        if positions not in ("none", "rope"):
            raise UsageError(f"Attention: positions is {positions!r}; it must be none or rope")
        self.positions = positions
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(
        self, x: Tensor, state: AttentionState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, AttentionState]:
        """Outputs (B, T, D) and the cache with T more tokens; see `Mixer.forward`."""
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        cached = state.keys.shape[1]
        query, key, value = self.query_key_value(x).unflatten(-1, (3, -1, self.head_size)).unbind(2)
        if self.positions == "rope":
            query, key = rotate(query, cached), rotate(key, cached)
        keys, values = torch.cat([state.keys, key], 1), torch.cat([state.values, value], 1)

        start, mask = state.start, None
        if reset is not None or cached:
            mask, start = visible(state.start, cached, x.shape[1], reset)
        y = F.scaled_dot_product_attention(
            query.transpose(1, 2),
            keys.transpose(1, 2),
            values.transpose(1, 2),
            attn_mask=None if mask is None else mask[:, None],
            is_causal=mask is None,
        )
        return self.output(y.transpose(1, 2).flatten(2)), AttentionState(keys, values, start)

    def step(self, x: Tensor, state: AttentionState) -> tuple[Tensor, AttentionState]:
        """One token (B, D); see `Mixer.step`. O(C·D) work: the cache grows by one."""
        y, state = self.forward(x[:, None], state)
        return y[:, 0], state

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> AttentionState:
        """An empty cache."""
        shape = (batch_size, 0, self.width // self.head_size, self.head_size)
        keys = self.empty(*shape, device=device, dtype=dtype)
        return AttentionState(keys, keys.clone(), self.empty(batch_size, device=device, dtype=torch.int64))


def largest_divisor(number: int, most: int) -> int:
    """The largest divisor of `number` not above `most`.

    >>> largest_divisor(192, 64), largest_divisor(6, 64)
    (64, 6)
    """
    return next(divisor for divisor in range(min(number, most), 0, -1) if number % divisor == 0)


def visible(start: Tensor, cached: int, length: int, reset: Tensor | None) -> tuple[Tensor, Tensor]:
    """Which of the C + T tokens each of T queries may see, (B, T, C + T) bool, and the start after them.

    A query sees the tokens from its own sequence's first up to itself; `start` (B,) is that first token for
    the sequence that was going on, and `reset` (B, T) moves it.
    """
    places = cached + torch.arange(length, device=start.device)
    first = start[:, None].expand(-1, length)
    if reset is not None and length:
        first = torch.maximum(first, torch.where(reset, places, 0).cummax(1).values)
    seen = torch.arange(cached + length, device=start.device)
    mask = (seen <= places[:, None]) & (seen >= first[:, :, None])
    return mask, first[:, -1] if length else start


def rotate(x: Tensor, offset: int) -> Tensor:
    """x (B, T, H, d) with channel pairs (i, i + d/2) turned by (offset + t) · base^(−2i/d)."""
    half = x.shape[-1] // 2
    rates = ROPE_BASE ** (-torch.arange(half, device=x.device, dtype=torch.float64) / max(half, 1))
    places = offset + torch.arange(x.shape[1], device=x.device, dtype=torch.float64)
    angles = places[:, None, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    left, right, rest = x.split([half, half, x.shape[-1] - 2 * half], dim=-1)
    return torch.cat([left * cos - right * sin, left * sin + right * cos, rest], dim=-1)
