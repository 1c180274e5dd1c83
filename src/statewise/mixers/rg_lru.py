"""RG-LRU: a real diagonal linear recurrence with a gate on the decay and one on the input, in Hawk's recurrent block.

    z_t = GELU(W_z x_t + b_z)      u_t = conv(W_u x + b_u)_t
    r_t = σ(W_r u_t + b_r)         i_t = σ(W_i u_t + b_i)         a_t = exp(−8 r_t ⊙ softplus(Λ))
    h_t = a_t ⊙ h_{t−1} + √(1 − a_t²) ⊙ i_t ⊙ u_t                 y_t = W_o (h_t ⊙ z_t) + b_o

with W_r and W_i block-diagonal: E units in H heads of e units.

B batch, T time, D width, K taps.
Source: De et al., arXiv 2402.19427, §2.3 and §2.4; the block and its start as in Google's released `recurrentgemma`.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.mixers.causal_conv import causal_conv, causal_conv_step
from statewise.mixers.heads import head_size_of
from statewise.mixers.mixer import Mixer
from statewise.mixers.units import units_of
from statewise.ops.linear_scan import linear_scan

PUBLISHED_HEAD_SIZE = 256
SHARPNESS = 8.0
LEAST_DECAY, LARGEST_DECAY = 0.9, 0.999
CONV_VARIANCE = 0.01


class RGLRUState(NamedTuple):
    """hidden (B, E), in at least float32; window (B, K−1, E), the convolution's last inputs, oldest first.

    begun, bool, whether the sequence has had a token: (B, 1) where `scale_first` is false, (B, 0) where nothing depends
    on it.
    """

    hidden: Tensor
    window: Tensor
    begun: Tensor


class RGLRU(Mixer):
    """The real-gated linear recurrent unit in its block, (B, T, width) → (B, T, width).

    width        D, at least 1
    expansion    units per channel, E = expansion · width
    units        E itself, in place of the expansion; the paper has about 4/3 D, the released models D
    head_size    e, a divisor of E; None is the largest not above 256, which the released models have
    conv         K, taps of the convolution, at least 1
    scale_first  √(1 − a²) multiplies a sequence's first input too, as in the paper's equation; False leaves it out
                 there, since nothing decays yet, as the released models do

    O(T·E·(D + e)) work, K·E values of state.

    Starts as published: the decay at r = 1/8 between 0.9 and 0.999, its square uniform; W_r and W_i with variance 1/e,
    W_z and W_u 1/D, W_o 1/E, taps 0.01/K; biases 0.

    >>> layer = RGLRU(8, units=12)
    >>> y, state = layer(torch.zeros(2, 5, 8))
    >>> y.shape, state.hidden.shape, state.window.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 12]), torch.Size([2, 3, 12]))
    """

    recurrent = True
    non_negative_decay = False

    def __init__(
        self,
        width: int,
        *,
        expansion: int = 1,
        units: int | None = None,
        head_size: int | None = None,
        conv: int = 4,
        scale_first: bool = True,
    ) -> None:
        super().__init__(width)
        if conv < 1:
            raise UsageError(f"RGLRU: conv is {conv}; it must be at least 1")
        self.units = units = units_of("RGLRU", width, expansion, units)
        self.head_size = size = head_size_of("RGLRU", units, head_size, PUBLISHED_HEAD_SIZE)
        self.taps, self.scale_first = conv, scale_first
        self.gate, self.input = lecun_linear(width, units), lecun_linear(width, units)
        self.conv_weight = nn.Parameter(torch.randn(conv, units) * (CONV_VARIANCE / conv) ** 0.5)
        self.conv_bias = nn.Parameter(torch.zeros(units))
        # Both gates side by side: (H, e, 2e).
        self.gates_weight = nn.Parameter(torch.randn(units // size, size, 2 * size) / size**0.5)
        self.gates_bias = nn.Parameter(torch.zeros(units // size, 2 * size))
        self.rate = initial_rate(units)
        self.output = lecun_linear(units, width)

    def forward(
        self, x: Tensor, state: RGLRUState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, RGLRUState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        u, window = causal_conv(self.input(x), state.window, self.conv_weight, self.conv_bias, reset)
        first = None if self.scale_first else first_tokens(state.begun, x.shape[1], reset)
        decay, drive = self.decay_and_drive(u, first)
        states, final = linear_scan(decay, drive, state.hidden.to(decay.dtype), reset=reset)
        begun = state.begun | True if x.shape[1] else state.begun
        return self.read_out(states, x), RGLRUState(final, window, begun)

    def step(self, x: Tensor, state: RGLRUState) -> tuple[Tensor, RGLRUState]:
        """One token (B, D); see `Mixer.step`."""
        u, window = causal_conv_step(self.input(x), state.window, self.conv_weight, self.conv_bias)
        decay, drive = self.decay_and_drive(u, None if self.scale_first else ~state.begun[:, 0])
        hidden = decay * state.hidden + drive
        return self.read_out(hidden, x), RGLRUState(hidden, window, state.begun | True)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> RGLRUState:
        """h_0 = 0, and no inputs yet."""
        dtype = dtype or self.rate.dtype
        hidden = self.empty(batch_size, self.units, device=device, dtype=accumulation_dtype(dtype))
        window = self.empty(batch_size, self.taps - 1, self.units, device=device, dtype=dtype)
        counted = 0 if self.scale_first else 1
        return RGLRUState(hidden, window, self.empty(batch_size, counted, device=device, dtype=torch.bool))

    def decay_and_drive(self, u: Tensor, first: Tensor | None) -> tuple[Tensor, Tensor]:
        """a and √(1 − a²) ⊙ i ⊙ u (…, E) in at least float32, from u (…, E); no root where `first` (…,) is true."""
        wide = accumulation_dtype(u.dtype)
        heads = u.unflatten(-1, (-1, self.head_size))
        gates = torch.einsum("...hi,hij->...hj", heads, self.gates_weight) + self.gates_bias
        recurrence, entrance = (gate.flatten(-2).to(wide).sigmoid() for gate in gates.chunk(2, -1))
        log_decay = -SHARPNESS * recurrence * F.softplus(self.rate.to(wide))
        # The root has no derivative at 0, where a gate that underflows gets.
        root = (-torch.expm1(2 * log_decay)).clamp(min=torch.finfo(wide).tiny).sqrt()
        if first is not None:
            root = root.masked_fill(first.unsqueeze(-1), 1)
        return log_decay.exp(), root * entrance * u.to(wide)

    def read_out(self, hidden: Tensor, x: Tensor) -> Tensor:
        """Outputs (…, D) from states (…, E) and the inputs (…, D)."""
        y: Tensor = self.output(hidden.to(x.dtype) * F.gelu(self.gate(x), approximate="tanh"))
        return y


def first_tokens(begun: Tensor, length: int, reset: Tensor | None) -> Tensor:
    """Which of T tokens are the first of their sequence, (B, T) bool; begun (B, 1) before them.

    >>> first_tokens(torch.tensor([[False], [True]]), 2, None).tolist()
    [[True, False], [False, False]]
    """
    first = F.pad(~begun, (0, max(0, length - 1)))[:, :length]
    return first if reset is None else first | reset


def initial_rate(units: int) -> nn.Parameter:
    """Λ (E,): exp(−softplus(Λ)) lies between 0.9 and 0.999, its square uniform."""
    low, high = LEAST_DECAY**2, LARGEST_DECAY**2
    log_decay = 0.5 * (torch.rand(units) * (high - low) + low).log()
    return nn.Parameter(torch.expm1(-log_decay).log())


def lecun_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear map whose weights have variance 1/inputs, and no bias yet."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=inputs**-0.5)
    nn.init.zeros_(layer.bias)
    return layer
