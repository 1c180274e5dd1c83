"""Mamba: a selective state space between a short convolution and a gate.

    (v_t, z_t) = W_i x_t                 u_t = SiLU(conv(v)_t)
    (r_t, B_t, C_t) = W_s u_t            δ_t = softplus(W_δ r_t + b_δ)
    h_t = exp(δ_t A) h_{t−1} + δ_t B_t u_t    A = −exp(a)
    y_t = W_o ((C_t h_t + d ⊙ u_t) ⊙ SiLU(z_t))

B batch, T time, D width, E = expansion · D channels, N states of each channel, R rank of the step sizes, K taps.
Source: Gu and Dao, arXiv 2312.00752, §3.2 to §3.6, and the authors' `mamba_ssm` for what starts how.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.mixers.causal_conv import causal_conv, causal_conv_step, initial_weight
from statewise.mixers.mixer import Mixer
from statewise.ops import one_token
from statewise.ops.selective_scan import selective_scan
from statewise.ops.selective_scan.reference import advance

CHANNELS_PER_RANK = 16
SHORTEST_STEP, LONGEST_STEP = 1e-3, 0.1


class MambaState(NamedTuple):
    """hidden (B, E, N), in at least float32; window (B, K−1, E), the convolution's last inputs, oldest first."""

    hidden: Tensor
    window: Tensor


class Mamba(Mixer):
    """Mamba's block without its norm, (B, T, width) → (B, T, width). O(T·(D·E + E·N)) work, E·(N + K − 1) of state.

    width       D, at least 1
    expansion   channels per channel of the width, E = expansion · width
    state_size  N, states of each channel
    rank        R, of the map to the step sizes; None is ⌈D/16⌉
    conv        K, taps of the convolution, at least 1

    Starts as published: A = −(1, …, N) in every channel, d = 1, W_δ uniform in ±1/√R, and b_δ so that step sizes are
    log-uniform in [0.001, 0.1]; the rest as torch's Linear and Conv1d do.

    >>> layer = Mamba(8)
    >>> y, state = layer(torch.zeros(2, 5, 8))
    >>> y.shape, state.hidden.shape, state.window.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 16, 16]), torch.Size([2, 3, 16]))
    """

    recurrent = True
    non_negative_decay = False

    def __init__(
        self, width: int, *, expansion: int = 2, state_size: int = 16, rank: int | None = None, conv: int = 4
    ) -> None:
        super().__init__(width)
        rank = -(-width // CHANNELS_PER_RANK) if rank is None else rank
        for name, value in {"expansion": expansion, "state_size": state_size, "rank": rank, "conv": conv}.items():
            if value < 1:
                raise UsageError(f"Mamba: {name} is {value}; it must be at least 1")
        self.channels, self.state_size, self.rank, self.taps = expansion * width, state_size, rank, conv
        self.input = nn.Linear(width, 2 * self.channels, bias=False)
        self.conv_weight = initial_weight(conv, self.channels)
        self.conv_bias = nn.Parameter(torch.empty(self.channels).uniform_(-1, 1) / conv**0.5)
        self.select = nn.Linear(self.channels, rank + 2 * state_size, bias=False)
        self.step_size = nn.Linear(rank, self.channels)
        nn.init.uniform_(self.step_size.weight, -(rank**-0.5), rank**-0.5)
        self.step_size.bias = initial_step_bias(self.channels)
        self.log_rates = nn.Parameter(torch.arange(1.0, state_size + 1).log().repeat(self.channels, 1))
        self.skip = nn.Parameter(torch.ones(self.channels))
        self.output = nn.Linear(self.channels, width, bias=False)

    def forward(
        self, x: Tensor, state: MambaState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, MambaState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        v, z = self.input(x).chunk(2, -1)
        v, window = causal_conv(v, state.window, self.conv_weight, self.conv_bias, reset)
        u = F.silu(v)
        delta, A, B, C = self.selected(u)
        y, hidden = selective_scan(u, delta, A, B, C, state.hidden.to(A.dtype), reset=reset)
        return self.read_out(y, u, z), MambaState(hidden, window)

    def step(self, x: Tensor, state: MambaState) -> tuple[Tensor, MambaState]:
        """One token (B, D); see `Mixer.step`."""
        mixed = self.input(x)
        convolution = self.conv_weight, self.conv_bias
        selection = self.step_size.weight, self.step_size.bias, self.log_rates, self.skip
        if one_token.infers(mixed, state.window, *convolution, *selection) and one_token.takes(
            state.hidden, accumulation_dtype(mixed.dtype)
        ):
            u, window = one_token.causal_conv_step(mixed, state.window, *convolution, silu=True)
            y, hidden = one_token.selective_state_update(u, self.select(u), *selection, mixed, state.hidden)
            return self.output(y), MambaState(hidden, window)
        v, z = mixed.chunk(2, -1)
        u, window = causal_conv_step(v, state.window, *convolution, silu=True)
        y, hidden = advance(u, *self.selected(u), state.hidden)
        return self.read_out(y, u, z), MambaState(hidden, window)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> MambaState:
        """h_0 = 0, and no inputs yet."""
        dtype = dtype or self.log_rates.dtype
        hidden = self.empty(batch_size, self.channels, self.state_size, device=device, dtype=accumulation_dtype(dtype))
        return MambaState(hidden, self.empty(batch_size, self.taps - 1, self.channels, device=device, dtype=dtype))

    def selected(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """δ (…, E) and A (E, N) in at least float32, B and C (…, N), from u (…, E)."""
        low, B, C = self.select(u).split([self.rank, self.state_size, self.state_size], -1)
        wide = accumulation_dtype(u.dtype)
        raised = F.linear(low, self.step_size.weight).to(wide) + self.step_size.bias.to(wide)
        return F.softplus(raised), -self.log_rates.to(wide).exp(), B.to(u.dtype), C.to(u.dtype)

    def read_out(self, y: Tensor, u: Tensor, z: Tensor) -> Tensor:
        """Outputs (…, D) from what the state space gives, its inputs and the gate, (…, E) each."""
        read: Tensor = self.output((y + self.skip * u) * F.silu(z))
        return read


def initial_step_bias(channels: int) -> nn.Parameter:
    """b (E,) whose softplus is log-uniform in [0.001, 0.1].

    >>> bool((F.softplus(initial_step_bias(100)) < 0.11).all())
    True
    """
    low, high = math.log(SHORTEST_STEP), math.log(LONGEST_STEP)
    steps = (torch.rand(channels) * (high - low) + low).exp()
    # softplus inverted: log(e^δ − 1), which is δ + log(1 − e^{−δ}).
    return nn.Parameter(steps + (-torch.expm1(-steps)).log())
