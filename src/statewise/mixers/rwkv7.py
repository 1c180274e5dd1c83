"""RWKV-7's time mixing: a matrix for each head that decays, forgets what a key recalls, and takes in a new value.

    x̄^• = x_t + μ_• ⊙ (x_{t−1} − x_t)                         for • in r, w, k, v, a, g;  x_0 = 0
    r_t = W_r x̄^r    k_t = W_k x̄^k    v_t = W_v x̄^v
    ω_t = −e^{−1/2} σ(w(x̄^w))    a_t = σ(a(x̄^a))    g_t = g(x̄^g)
    v_t ← v_t + σ(ν(x̄^v)) ⊙ (v_t of the first layer − v_t)    not in the first layer
    κ_t = k_t ⊙ ξ / ‖k_t ⊙ ξ‖    k_t ← k_t ⊙ (1 + (a_t − 1) ⊙ α)
    S_t = diag(e^{ω_t}) S_{t−1} − (κ_t ⊙ a_t) (κ_tᵀ S_{t−1}) + k_t v_tᵀ
    y_t = W_o (g_t ⊙ (norm(S_tᵀ r_t) + (r_t · (ρ ⊙ k_t)) v_t))

where w, a, ν are b + U f(V x) of low rank, f being tanh in w and the identity in the others, g(x) = U σ(V x), and norm
is that of each head. B batch, T time, D width, H heads, d = D/H.

Source: Peng et al., "RWKV-7 'Goose' with Expressive Dynamic State Evolution", arXiv 2503.14456, §4; initial values from
the authors' code, github.com/BlinkDL/RWKV-LM, RWKV-v7/train_temp/src/model.py.
"""

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.mixers.first_value import FirstValue
from statewise.mixers.heads import head_size_of
from statewise.mixers.mixer import Mixer
from statewise.mixers.rwkv4 import require_place
from statewise.mixers.token_shift import channel_shares, previous_tokens
from statewise.ops.delta_scan import delta_scan
from statewise.ops.delta_scan.reference import advance

PUBLISHED_HEAD_SIZE = 64
NORM_EPS = 64e-5
LARGEST_DECAY = math.exp(-0.5)


class RWKV7State(NamedTuple):
    """last (B, D), the input before; matrix (B, H, d, d), from keys to values, in at least float32."""

    last: Tensor
    matrix: Tensor


class Tokens(NamedTuple):
    """What tokens ask and say, (…, H, d) each, but for the gate (…, D): recall is κ, remove κ ⊙ a, log_decay ω."""

    receptance: Tensor
    key: Tensor
    value: Tensor
    recall: Tensor
    remove: Tensor
    log_decay: Tensor
    gate: Tensor


class RWKV7(Mixer):
    """RWKV-7's time mixing, (B, T, width) → (B, T, width). O(T·D·(D + d)) work, D + D·d values of state.

    width      D, at least 1
    head_size  d, a divisor of the width; None is the largest divisor not above 64
    layer      place in a stack of `layers`, from 0: the published initial decays and shifts depend on it
    layers     how many layers that stack has

    Layers above the first mix its values into theirs: `forward` and `step` take `first_value`, a `FirstValue` that all
    layers of a pass share. Without it a layer is a first layer. Every layer has the weights for it, as the authors' do.

    Starts as the authors' does but for `output`: zero there, it would make a layer that says nothing; it starts as
    nn.Linear does, and blocks scale it.

    >>> layer = RWKV7(8)
    >>> y, state = layer(torch.zeros(2, 5, 8))
    >>> y.shape, state.matrix.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 1, 8, 8]))
    """

    recurrent = True
    non_negative_decay = False
    shares_value: ClassVar[bool] = True

    def __init__(self, width: int, *, head_size: int | None = None, layer: int = 0, layers: int = 1) -> None:
        super().__init__(width)
        self.head_size = head_size_of("RWKV7", width, head_size, PUBLISHED_HEAD_SIZE)
        require_place("RWKV7", layer, layers)
        self.shift = nn.Parameter(torch.empty(6, width))
        self.receptance, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.decay = LowRank(width, published_rank(width, 2.5), torch.tanh)
        self.rate = LowRank(width, published_rank(width, 2.5))
        self.value_share = LowRank(width, published_rank(width, 1.7))
        self.gate = LowRank(width, published_rank(width, 5.0), torch.sigmoid, bias=False)
        self.recall_scale, self.key_share, self.bonus = (nn.Parameter(torch.empty(width)) for _ in range(3))
        self.norm_weight, self.norm_bias = nn.Parameter(torch.empty(width)), nn.Parameter(torch.zeros(width))
        self.output = nn.Linear(width, width, bias=False)
        self._start(layer, layers)

    @torch.no_grad()
    def _start(self, layer: int, layers: int) -> None:
        above, below = layer / max(layers - 1, 1), 1 - layer / layers
        powers = torch.tensor([0.2, 0.9, 0.7, 0.7, 0.9, 0.2]).unsqueeze(-1)
        self.shift.copy_(1 - channel_shares(self.width) ** (powers * below))
        ramp = torch.arange(self.width) / max(self.width - 1, 1)
        middle = (self.head_size - 1) / 2
        zigzag = (torch.arange(self.width) % self.head_size - middle) / max(middle, 0.5)
        zigzag = zigzag * zigzag.abs()
        self.decay.up.bias.copy_(-5.5 + 6 * ramp ** (1 + above**0.3) + 2.5 * zigzag)
        self.rate.up.bias.copy_(-0.19 + 0.3 * zigzag + 0.4 * (ramp - 0.5))
        self.value_share.up.bias.copy_(0.73 - 0.4 * (ramp - 0.5))
        self.recall_scale.copy_(0.71 - 0.1 * (ramp - 0.5))
        nn.init.constant_(self.key_share, 1.02)
        nn.init.constant_(self.bonus, -0.04)
        nn.init.constant_(self.norm_weight, ((1 + layer) / layers) ** 0.7)
        for linear, scale in ((self.receptance, 0.5), (self.key, 0.05), (self.value, 0.5)):
            bound = scale / self.width**0.5
            nn.init.uniform_(linear.weight, -bound, bound)

    def forward(
        self,
        x: Tensor,
        state: RWKV7State | None = None,
        *,
        reset: Tensor | None = None,
        first_value: FirstValue | None = None,
    ) -> tuple[Tensor, RWKV7State]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`, and `FirstValue`."""
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        previous, last = previous_tokens(x, state.last, reset)
        tokens = self._tokens(x, previous, first_value)
        read, matrix = delta_scan(*tokens[:6], state.matrix, reset=reset)
        return self._answer(read, tokens), RWKV7State(last, matrix)

    def step(self, x: Tensor, state: RWKV7State, *, first_value: FirstValue | None = None) -> tuple[Tensor, RWKV7State]:
        """One token (B, D); see `Mixer.step`, and `FirstValue`."""
        tokens = self._tokens(x, state.last.to(x.dtype), first_value)
        read, matrix = advance(*tokens[:6], state.matrix)
        return self._answer(read, tokens), RWKV7State(x, matrix)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> RWKV7State:
        """No token yet: zeros."""
        last = self.empty(batch_size, self.width, device=device, dtype=dtype)
        shape = (batch_size, self.width // self.head_size, self.head_size, self.head_size)
        return RWKV7State(last, self.empty(*shape, device=device, dtype=accumulation_dtype(last.dtype)))

    def _tokens(self, x: Tensor, previous: Tensor, first_value: FirstValue | None) -> Tokens:
        """What tokens (…, D) say, given those before them."""
        weights = self.shift.view(6, *[1] * (x.ndim - 1), self.width)
        for_r, for_w, for_k, for_v, for_a, for_g = torch.lerp(x, previous, weights).unbind(0)
        receptance, key, value = self.receptance(for_r), self.key(for_k), self.value(for_v)
        below = None if first_value is None else first_value.below(self, value)
        if below is not None:
            value = torch.lerp(value, below, self.value_share(for_v).sigmoid())

        rate = self.rate(for_a).sigmoid()
        # Under autocast, products with parameters are wider than what linear maps say; the scan takes one dtype.
        recall = F.normalize(self._heads(key * self.recall_scale), dim=-1).to(value.dtype)
        key = (key * (1 + (rate - 1) * self.key_share)).to(value.dtype)
        decay = self.decay(for_w)
        log_decay = -LARGEST_DECAY * decay.to(accumulation_dtype(decay.dtype)).sigmoid()
        receptance, key, value, rate, log_decay = map(self._heads, (receptance, key, value, rate, log_decay))
        return Tokens(receptance, key, value, recall, recall * rate, log_decay, self.gate(for_g))

    def _answer(self, read: Tensor, tokens: Tokens) -> Tensor:
        """Outputs (…, D) from what the state gave (…, H, d)."""
        normed = F.layer_norm(read, (self.head_size,), eps=NORM_EPS).flatten(-2) * self.norm_weight + self.norm_bias
        agreement = (tokens.receptance * tokens.key * self._heads(self.bonus)).sum(-1, keepdim=True)
        y: Tensor = self.output(tokens.gate * (normed + (agreement * tokens.value).flatten(-2)))
        return y

    def _heads(self, channels: Tensor) -> Tensor:
        """(…, D) → (…, H, d)."""
        return channels.reshape(*channels.shape[:-1], self.width // self.head_size, self.head_size)


class LowRank(nn.Module):
    """b + U f(V x): (…, width) → (…, width) through `rank` channels. Starts as b alone."""

    def __init__(
        self, width: int, rank: int, activation: Callable[[Tensor], Tensor] | None = None, *, bias: bool = True
    ) -> None:
        super().__init__()
        self.activation = activation
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, width, bias=bias)
        nn.init.zeros_(self.down.weight)
        nn.init.orthogonal_(self.up.weight, gain=0.1 * max(1.0, math.sqrt(rank / width)))

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) → (…, width)."""
        inner = self.down(x)
        y: Tensor = self.up(inner if self.activation is None else self.activation(inner))
        return y


def published_rank(width: int, factor: float) -> int:
    """The authors' rank for a width: factor · √width, rounded to a multiple of 32, at least 32.

    >>> published_rank(768, 2.5), published_rank(64, 5.0)
    (64, 32)
    """
    return max(32, round(factor * math.sqrt(width) / 32) * 32)
