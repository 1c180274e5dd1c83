"""sLSTM: an LSTM with exponential gates, a normaliser, and a recurrent matrix within each head.

    u = SiLU(conv(x))_t                                                   a short causal convolution
    ĩ = W_i u + R_i h₋ + b_i    f̃ = W_f u + R_f h₋ + b_f                  input and forget gate
    z̃ = W_z x_t + R_z h₋ + b_z  õ = W_o x_t + R_o h₋ + b_o                cell input and output gate
    m = max(ĩ, log σ(f̃) + m₋)   i = e^{ĩ − m}   f = e^{log σ(f̃) + m₋ − m}
    c = f c₋ + i tanh(z̃)        n = f n₋ + i    h = σ(õ) c / n            y_t = γ ⊙ norm over each head(h)

with W and R block-diagonal, a block for each head. The gates see the previous hidden state, so time cannot be run in
parallel; in exchange heads track states that input-gated recurrences do not.

B batch, T time, D width, H heads, d = D/H, K taps.
Source: Beck et al., "xLSTM: Extended Long Short-Term Memory", arXiv 2405.04517, equations 8 to 17 and the sLSTM block
of appendix A.4; what the paper leaves open is as in the authors' package `xlstm`.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError, pick
from statewise.mixers.causal_conv import causal_conv, causal_conv_step, initial_weight
from statewise.mixers.heads import largest_divisor
from statewise.mixers.mixer import Mixer
from statewise.ops.slstm_scan import CellState, slstm_scan, slstm_step

PUBLISHED_HEADS = 4
LEAST_HEAD_SIZE = 8
NORM_EPSILON = 1e-5


class SLSTMState(NamedTuple):
    """hidden h, cell c, normaliser n and stabiliser m (B, D), in at least float32; window (B, K−1, D) of inputs.

    Before any token all are zero but the stabiliser, which is −∞.
    """

    hidden: Tensor
    cell: Tensor
    normaliser: Tensor
    stabiliser: Tensor
    window: Tensor


class SLSTM(Mixer):
    """sLSTM, (B, T, width) → (B, T, width). O(T·D·(d + K)) work in T dependent steps, (4 + K − 1)·D values of state.

    width           D
    heads           H, a divisor of the width; None is the largest divisor not above 4, nor above D/8: the norm of a
                    head of very few channels leaves little of them
    conv            K, taps of the convolution before input and forget gate; 0 leaves it and its SiLU out
    norm            normalise each head's hidden channels; where a head has one, that gives 0
    recurrent_init  of R: zeros, the package's default, or uniform, in ±1/√D
    height          where in a stack of blocks this one stands, from 0, the lowest, to 1, the topmost: the forget
                    biases of a head fall from 5 to −7 as 5 − 12 (k/(d−1))^(0.3 + 1.3·height), k the channel

    The rest of the initialisation is that of the package's blocks, too: W normal with variance 2/(5D), biases of the
    other gates zero, γ one, convolution as torch's. As in its blocks no linear map follows the norm.

    >>> layer = SLSTM(8)
    >>> y, state = layer(torch.zeros(2, 5, 8))
    >>> y.shape, state.cell.shape, state.window.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]), torch.Size([2, 3, 8]))
    """

    recurrent = True
    non_negative_decay = False

    def __init__(
        self,
        width: int,
        *,
        heads: int | None = None,
        conv: int = 4,
        norm: bool = True,
        recurrent_init: str = "zeros",
        height: float = 0.0,
    ) -> None:
        super().__init__(width)
        self.heads = _heads(width, heads)
        if conv < 0:
            raise UsageError(f"SLSTM: conv is {conv}; it must be at least 0")
        if not 0 <= height <= 1:
            raise UsageError(f"SLSTM: height is {height}; it must be between 0 and 1")
        spread = pick("recurrent_init", recurrent_init, {"zeros": 0.0, "uniform": width**-0.5})
        head_size = width // self.heads
        self.conv = conv
        if conv:
            self.conv_weight = initial_weight(conv, width)
            self.conv_bias = nn.Parameter(torch.empty(width).uniform_(-1, 1) / conv**0.5)
        self.input_forget, self.cell_output = (
            nn.Parameter(torch.empty(self.heads, head_size, 2 * head_size).normal_(0, (2 / (5 * width)) ** 0.5))
            for _ in range(2)
        )
        self.recurrence = nn.Parameter(torch.empty(self.heads, head_size, 4 * head_size).uniform_(-spread, spread))
        self.bias = nn.Parameter(_initial_bias(self.heads, head_size, height))
        self.norm_weight = nn.Parameter(torch.ones(width)) if norm else None

    def forward(
        self, x: Tensor, state: SLSTMState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, SLSTMState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        wide = x.to(state.hidden.dtype)
        seen, window = wide, state.window
        if self.conv:
            seen, window = causal_conv(wide, window, self.conv_weight, self.conv_bias, reset)
            seen = F.silu(seen)
        gates, recurrence = self._gates(seen, wide), self.recurrence.to(wide.dtype)
        hidden, final = slstm_scan(gates, recurrence, self._by_head(state), reset=reset)
        return self._outputs(hidden, x.dtype), self._state(final, window.to(x.dtype))

    def step(self, x: Tensor, state: SLSTMState) -> tuple[Tensor, SLSTMState]:
        """One token (B, D); see `Mixer.step`."""
        wide = x.to(state.hidden.dtype)
        seen, window = wide, state.window
        if self.conv:
            seen, window = causal_conv_step(wide, window, self.conv_weight, self.conv_bias, silu=True)
        gates, recurrence = self._gates(seen, wide), self.recurrence.to(wide.dtype)
        final = slstm_step(gates, recurrence, self._by_head(state))
        return self._outputs(final.hidden, x.dtype), self._state(final, window.to(x.dtype))

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> SLSTMState:
        """h = c = n = 0 and m = −∞, and no inputs yet."""
        window = self.empty(batch_size, max(self.conv - 1, 0), self.width, device=device, dtype=dtype)
        wide = accumulation_dtype(window.dtype)
        hidden, cell, normaliser = (window.new_zeros(batch_size, self.width, dtype=wide) for _ in range(3))
        return SLSTMState(hidden, cell, normaliser, torch.full_like(hidden, -torch.inf), window)

    def _gates(self, seen: Tensor, x: Tensor) -> Tensor:
        """The input's part of all pre-activations (…, H, 4·d), from (…, D) behind the convolution and before it.

        All that is exponentiated is at least float32.
        """
        pairs = (
            torch.einsum("...hi,hio->...ho", inputs.unflatten(-1, (self.heads, -1)), weight.to(x.dtype))
            for inputs, weight in ((seen, self.input_forget), (x, self.cell_output))
        )
        return (torch.cat(list(pairs), -1) + self.bias).to(x.dtype)

    def _outputs(self, hidden: Tensor, dtype: torch.dtype) -> Tensor:
        """Outputs (…, D) from hidden states (…, H, d)."""
        if self.norm_weight is None:
            return hidden.flatten(-2).to(dtype)
        normed = F.layer_norm(hidden, hidden.shape[-1:], eps=NORM_EPSILON)
        return (normed.flatten(-2) * self.norm_weight).to(dtype)

    def _by_head(self, state: SLSTMState) -> CellState:
        return CellState(*(part.unflatten(1, (self.heads, -1)) for part in state[:4]))

    def _state(self, final: CellState, window: Tensor) -> SLSTMState:
        hidden, cell, normaliser, stabiliser = (part.flatten(1) for part in final)
        return SLSTMState(hidden, cell, normaliser, stabiliser, window)


def _heads(width: int, asked: int | None) -> int:
    heads = largest_divisor(width, min(PUBLISHED_HEADS, max(1, width // LEAST_HEAD_SIZE))) if asked is None else asked
    if heads < 1 or width % heads:
        raise UsageError(f"SLSTM: heads is {asked}; it must divide the width, {width}")
    return heads


def _initial_bias(heads: int, head_size: int, height: float) -> Tensor:
    """(H, 4·d): zeros, and in each head's forget gate the powers between 5 and −7."""
    bias = torch.zeros(heads, 4, head_size)
    share = torch.arange(head_size) / max(head_size - 1, 1)
    bias[:, 1] = 5 - 12 * share ** (0.3 + 1.3 * height)
    return bias.flatten(1)
