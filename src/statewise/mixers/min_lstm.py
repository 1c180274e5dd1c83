"""minLSTM: an LSTM whose gates see the input alone, with forget and input shares that add up to one.

    f = σ(W_f x_t + b_f)    i = σ(W_i x_t + b_i)    c_t = g(W_h x_t + b_h)
    h_t = f/(f+i) ⊙ h_{t−1} + i/(f+i) ⊙ c_t         y_t = W_o h_t + b_o

with g as in `min_gru`.

Source: Feng et al., arXiv 2410.01201, §3.2 and its appendix, algorithms 3 and 4 (normalised).
"""

import torch
from torch import Tensor

from statewise.mixers.scan_mixer import ScanMixer
from statewise.ops import min_lstm_scan_packed
from statewise.ops.gated_scan.gates import MinLstm, require_activation


class MinLSTM(ScanMixer):
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

    non_negative_decay = True
    projections = 3

    def __init__(
        self,
        width: int,
        *,
        expansion: int = 1,
        activation: str = "g",
        normalise: bool = True,
        forget_bias: float = 3.0,
    ) -> None:
        super().__init__(width, expansion=expansion)
        self.gates = MinLstm(require_activation("MinLSTM", activation), normalise=normalise)
        with torch.no_grad():
            self.projection.bias[: self.units] += forget_bias

    def decay_and_drive(self, *projected: Tensor) -> tuple[Tensor, Tensor]:
        """The forget share, and the input share times the candidate, from their pre-activations."""
        return self.gates.decay_and_drive(*projected)

    def scan(self, projected: Tensor, initial: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Tensor]:
        """Gates and scan in one kernel."""
        gates = self.gates
        return min_lstm_scan_packed(
            projected, initial, reset=reset, activation=gates.activation, normalise=gates.normalise
        )
