"""Gated linear attention: every key channel of the memory forgets at a rate that the token chooses.

    S_t = diag(α_t) S_{t−1} + k_t v_tᵀ        α_t = σ(W_2 W_1 x_t + b)^{1/16}
    y_t = W_o · (norm(S_tᵀ q_t / √d) ⊙ swish(W_r x_t))

Source: Yang et al., arXiv 2312.06635, §4.1 (recurrence) and 4.4 (the layer).
"""

from math import gcd

import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.mixers.heads import largest_divisor
from statewise.mixers.matrix_mixer import MatrixMixer, Projected

PUBLISHED_HEADS, GATE_RANK, TEMPERATURE = 4, 16, 16


class GLA(MatrixMixer):
    """Gated linear attention, (B, T, width) → (B, T, width). O(T·D²/H) work, D²/(2·H) values of state.

    width  D; keys have half of it, values all
    heads  H, a divisor of the width and of its half; None is the largest not above 4

    Weights start uniform as Glorot's with a gain of 2^−2.5 (the authors' code, from memory).

    >>> import torch
    >>> y, state = GLA(8)(torch.zeros(2, 5, 8))
    >>> y.shape, state.memory.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 4, 1, 2]))
    """

    non_negative_decay = True

    def __init__(self, width: int, *, heads: int | None = None) -> None:
        super().__init__(width)
        keys = max(width // 2, 1)
        self.heads = largest_divisor(gcd(keys, width), PUBLISHED_HEADS) if heads is None else heads
        if self.heads < 1 or keys % self.heads or width % self.heads:
            raise UsageError(
                f"GLA: heads is {heads}; it must divide the width, {width}, and the width of the keys, {keys}"
            )
        self.memory_shape = (self.heads, keys // self.heads, width // self.heads)
        self.query_key = nn.Linear(width, 2 * keys, bias=False)
        self.value_gate = nn.Linear(width, 2 * width, bias=False)
        self.forget = nn.Sequential(nn.Linear(width, GATE_RANK, bias=False), nn.Linear(GATE_RANK, keys))
        self.norm = nn.RMSNorm(width // self.heads, eps=1e-6)
        self.output = nn.Linear(width, width, bias=False)
        for layer in (self.query_key, self.value_gate, *self.forget, self.output):
            nn.init.xavier_uniform_(layer.weight, gain=2**-2.5)

    def project(self, x: Tensor) -> Projected:
        """q/√d, k, v, log α and the gate."""
        query, key = self.query_key(x).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        value, gate = self.value_gate(x).chunk(2, -1)
        forget = self.forget(x)
        log_decay = F.logsigmoid(forget.to(accumulation_dtype(forget.dtype))) / TEMPERATURE
        value, log_decay = (each.unflatten(-1, (self.heads, -1)) for each in (value, log_decay))
        return Projected(query * query.shape[-1] ** -0.5, key, value, log_decay, gate)

    def read(self, answers: Tensor, gate: Tensor | None) -> Tensor:
        """Each head normalised, times the gate."""
        assert gate is not None
        weight = self.norm.weight.to(answers.dtype)
        normed = F.rms_norm(answers, weight.shape, weight, self.norm.eps)
        y: Tensor = self.output(normed.flatten(-2) * F.silu(gate))
        return y
