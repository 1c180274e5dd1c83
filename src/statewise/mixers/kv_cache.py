"""Mixers whose state is the cache of all keys and values: softmax attention and its kin.

    q_t, k_t, v_t = W x_t + b, by heads        y_t = W_o · concat over heads of attend(q_t, k_s, v_s for s ≤ t) + b_o

B batch, T time, D width, H heads of queries, H_k of keys and values, d = D/H, C tokens in the cache.
"""

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.mixers.heads import head_size_of
from statewise.mixers.mixer import Mixer
from statewise.mixers.rotary import rotate

PUBLISHED_HEAD_SIZE = 64


class KVCache(NamedTuple):
    """keys and values (B, C, H_k, d); start (B,) int64, the first cached token of the present sequence."""

    keys: Tensor
    values: Tensor
    start: Tensor


class KVCacheMixer(Mixer):
    """Queries that read the keys and values of all tokens so far: subclasses say how.

    width      D
    head_size  d, a divisor of the width; None is the largest divisor not above 64
    positions  none, or rope: queries and keys rotated by their place, so that products depend on distances; an odd
               head size leaves its last channel unrotated
    kv_heads   H_k, a divisor of H: each head of keys and values is read by H / H_k heads of queries; None is H
    rotary     how many channels of a head rope turns, its first ones; None is all
    """

    recurrent = False
    non_negative_decay = False

    def __init__(
        self,
        width: int,
        *,
        head_size: int | None = None,
        positions: str = "none",
        kv_heads: int | None = None,
        rotary: int | None = None,
    ) -> None:
        super().__init__(width)
        name = type(self).__name__
        self.head_size = head_size_of(name, width, head_size, PUBLISHED_HEAD_SIZE)
        if positions not in ("none", "rope"):
            raise UsageError(f"{name}: positions is {positions!r}; it must be none or rope")
        self.positions = positions
        self.heads = width // self.head_size
        self.kv_heads = self.heads if kv_heads is None else kv_heads
        if self.kv_heads < 1 or self.heads % self.kv_heads:
            raise UsageError(f"{name}: kv_heads is {kv_heads}; it must divide the number of heads, {self.heads}")
        self.rotary = self.head_size if rotary is None else rotary
        if not 1 <= self.rotary <= self.head_size:
            raise UsageError(f"{name}: rotary is {rotary}; it must be from 1 to the head size, {self.head_size}")
        self.query_key_value = nn.Linear(width, (self.heads + 2 * self.kv_heads) * self.head_size)
        self.output = nn.Linear(width, width)

    @abstractmethod
    def attend(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """What the last T of C + T tokens read, (B, T, H, d).

        query         (B, T, H, d)
        keys, values  (B, C + T, H, d), each head that several share repeated
        mask          (B, T, C + T) bool, true where a query may look; None where C is 0 and each query sees all tokens
                      up to its own
        """

    def forward(
        self, x: Tensor, state: KVCache | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, KVCache]:
        """Outputs (B, T, D) and the cache with T more tokens; see `Mixer.forward`."""
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        cached, length = state.keys.shape[1], x.shape[1]
        query, key, value = self.project(x)
        if self.positions == "rope":
            # Only distances matter, so that places need not restart with a sequence.
            places = cached + torch.arange(length, device=x.device)
            query, key = self.turned(query, places), self.turned(key, places)
        keys, values = torch.cat([state.keys, key], 1), torch.cat([state.values, value], 1)
        start, mask = state.start, None
        if reset is not None or cached:
            mask, start = visible(state.start, cached, length, reset)
        y = self.attend(query, self.for_each_query(keys), self.for_each_query(values), mask)
        return self.output(y.flatten(2)), KVCache(keys, values, start)

    def step(self, x: Tensor, state: KVCache) -> tuple[Tensor, KVCache]:
        """One token (B, D); see `Mixer.step`. O(D² + C·D) work."""
        y, state = self.forward(x[:, None], state)
        return y[:, 0], state

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> KVCache:
        """An empty cache."""
        return self.empty_cache(batch_size, 0, device=device, dtype=dtype)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, T, H, d), keys and values (B, T, H_k, d) of tokens (B, T, D)."""
        by_head = self.query_key_value(x).unflatten(-1, (-1, self.head_size))
        query, key, value = by_head.split([self.heads, self.kv_heads, self.kv_heads], 2)
        return query, key, value

    def for_each_query(self, tokens: Tensor) -> Tensor:
        """Keys or values (B, S, H_k, d) as each head of queries reads them, (B, S, H, d)."""
        return tokens if self.kv_heads == self.heads else tokens.repeat_interleave(self.heads // self.kv_heads, 2)

    def turned(self, x: Tensor, places: Tensor) -> Tensor:
        """x (B, T, …, d) with its first `rotary` channels turned by the places (T,) of its tokens."""
        if self.rotary == self.head_size:
            return rotate(x, places[:, None])
        turning, rest = x.split([self.rotary, self.head_size - self.rotary], -1)
        return torch.cat([rotate(turning, places[:, None]), rest], -1)

    def empty_cache(
        self, batch_size: int, size: int, *, device: torch.device | None, dtype: torch.dtype | None
    ) -> KVCache:
        """A cache with room for `size` tokens, none of which is there."""
        shape = (batch_size, size, self.kv_heads, self.head_size)
        keys = self.empty(*shape, device=device, dtype=dtype)
        start = self.empty(batch_size, device=device, dtype=torch.int64)
        return KVCache(keys, keys.clone(), start + size)


def visible(start: Tensor, cached: int, length: int, reset: Tensor | None) -> tuple[Tensor, Tensor]:
    """Which of the C + T tokens each of T queries may see, (B, T, C + T) bool, and the start after them.

    A query sees the tokens from its own sequence's first up to itself; `start` (B,) is that first token for
    the sequence that was going on, and `reset` (B, T) moves it.
    """
    first = first_of_sequence(start, cached, length, reset)
    places = cached + torch.arange(length, device=start.device)
    seen = torch.arange(cached + length, device=start.device)
    mask = (seen <= places[:, None]) & (seen >= first[:, :, None])
    return mask, first[:, -1] if length else start


def first_of_sequence(start: Tensor, cached: int, length: int, reset: Tensor | None) -> Tensor:
    """Where among the C + T tokens the sequence of each of T tokens begins, (B, T)."""
    first = start[:, None].expand(-1, length)
    if reset is None or not length:
        return first
    places = cached + torch.arange(length, device=start.device)
    return torch.maximum(first, torch.where(reset, places, 0).cummax(1).values)
