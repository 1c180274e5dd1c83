"""minLSTM: an LSTM whose gates see the input alone, with forget and input shares that add up to one.

    f = σ(W_f x_t + b_f)    i = σ(W_i x_t + b_i)    c_t = g(W_h x_t + b_h)
    h_t = f/(f+i) ⊙ h_{t−1} + i/(f+i) ⊙ c_t         y_t = W_o h_t + b_o

B batch, T time, D width, E = expansion · D units; g as in `min_gru`.
Source: Feng et al., arXiv 2410.01201, §3.2 and its appendix, algorithms 3 and 4 (normalised).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.mixers.min_gru import ACTIVATIONS, check_units
from statewise.mixers.mixer import Mixer
from statewise.ops import linear_scan


class MinLSTMState(NamedTuple):
    """hidden (B, E)."""

    hidden: Tensor


class MinLSTM(Mixer):
    """minLSTM, (B, T, width) → (B, T, width). O(T·D·E) work, E values of state.

    width        D, at least 1
    expansion    units per channel, E = expansion · width
    activation   of the candidate: g (the paper's), tanh or identity
    normalise    divide both gates by their sum; False keeps f and i as they are
    forget_bias  added to the forget gate's initial bias; larger trains faster (the paper's figure 5), 3 is the
                 authors' released default

    >>> layer = MinLSTM(8, expansion=2)
    >>> y, state = layer(torch.zeros(2, 5, 8))
    >>> y.shape, state.hidden.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 16]))
    """

    recurrent = True
    non_negative_decay = True

    def __init__(
        self,
        width: int,
        *,
        expansion: int = 1,
        activation: str = "g",
        normalise: bool = True,
        forget_bias: float = 3.0,
    ) -> None:
        super().__init__(width)
        check_units("MinLSTM", expansion, activation)
        self.units = expansion * width
        self.activation = activation
        self.normalise = normalise
        self.gates_and_candidate = nn.Linear(width, 3 * self.units)
        self.output = nn.Linear(self.units, width)
        with torch.no_grad():
            self.gates_and_candidate.bias[: self.units] += forget_bias

    def forward(
        self, x: Tensor, state: MinLSTMState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, MinLSTMState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        decay, drive = self._decay_and_drive(x)
        states, final = linear_scan(decay, drive, None if state is None else state.hidden, reset=reset)
        return self.output(states), MinLSTMState(final)

    def step(self, x: Tensor, state: MinLSTMState) -> tuple[Tensor, MinLSTMState]:
        """One token (B, D); see `Mixer.step`."""
        decay, drive = self._decay_and_drive(x)
        hidden = decay * state.hidden + drive
        return self.output(hidden), MinLSTMState(hidden)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> MinLSTMState:
        """h_0 = 0."""
        return MinLSTMState(self.empty(batch_size, self.units, device=device, dtype=dtype))

    def _decay_and_drive(self, x: Tensor) -> tuple[Tensor, Tensor]:
        forget, write, candidate = self.gates_and_candidate(x).chunk(3, dim=-1)
        content = ACTIVATIONS[self.activation](candidate)
        if not self.normalise:
            return torch.sigmoid(forget), torch.sigmoid(write) * content
        # f/(f+i) = σ(log f − log i) and log σ(u) = −softplus(−u): no quotient that can be 0/0.
        odds = F.softplus(-write) - F.softplus(-forget)
        return torch.sigmoid(odds), torch.sigmoid(-odds) * content
