"""Attention from a decoder to what an encoder wrote: keys and values are computed once, and read at every step.

    q_t = W_q x_t + b      k_s, v_s = W e_s + b      y_t = W_o · concat over heads of Σ_s softmax_s(q_t · k_s / √d) v_s

B batch, T tokens of the decoder, S of the encoder, D width, H heads, d = D/H.
Sources: Bahdanau et al., arXiv 1409.0473, in the form of Vaswani et al., arXiv 1706.03762, §3.2.3.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from statewise.mixers.heads import head_size_of

PUBLISHED_HEAD_SIZE = 64


class Memory(NamedTuple):
    """keys, values (B, H, S, d); real (B, S) bool, false at padding."""

    keys: Tensor
    values: Tensor
    real: Tensor


class CrossAttention(nn.Module):
    """Softmax attention to a memory, (B, T, width) or (B, width) → the same shape.

    width      D
    head_size  d, a divisor of the width; None is the largest divisor not above 64

    O(S·D²) work for a memory, once; then O(T·D² + T·S·D).

    >>> import torch
    >>> cross = CrossAttention(8)
    >>> memory = cross.remember(torch.zeros(2, 5, 8), torch.ones(2, 5, dtype=torch.bool))
    >>> cross(torch.zeros(2, 3, 8), memory).shape, cross(torch.zeros(2, 8), memory).shape
    (torch.Size([2, 3, 8]), torch.Size([2, 8]))
    """

    def __init__(self, width: int, *, head_size: int | None = None) -> None:
        super().__init__()
        self.head_size = head_size_of("CrossAttention", width, head_size, PUBLISHED_HEAD_SIZE)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def remember(self, encoded: Tensor, real: Tensor) -> Memory:
        """Keys and values of encoder outputs (B, S, D), of which those at `real` (B, S) are there to be read.

        At least one of each row must be.
        """
        keys, values = self.key_value(encoded).unflatten(-1, (2, -1, self.head_size)).unbind(2)
        return Memory(keys.transpose(1, 2).contiguous(), values.transpose(1, 2).contiguous(), real)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        """What each token reads."""
        query = self.query(x if x.ndim == 3 else x[:, None]).unflatten(-1, (-1, self.head_size)).transpose(1, 2)
        mask = memory.real[:, None, None, :]
        read = F.scaled_dot_product_attention(query, memory.keys, memory.values, attn_mask=mask)
        y: Tensor = self.output(read.transpose(1, 2).flatten(2))
        return y if x.ndim == 3 else y[:, 0]
