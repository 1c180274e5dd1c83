"""minGRU: a GRU whose gate and candidate see the input alone, so that it trains as a scan.

    z_t = σ(W_z x_t + b_z)    c_t = g(W_h x_t + b_h)    h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ c_t    y_t = W_o h_t + b_o

with g(u) = u + 1/2 for u ≥ 0 and σ(u) below, which keeps h positive; W_o brings the sign back.

Source: Feng et al., arXiv 2410.01201, §3.1 and appendix B (log-space form). The recurrence is computed
directly: the same function, exact to rounding at any length, where the log-space form in float32 is not.
"""

import torch
from torch import Tensor

from statewise.mixers.scan_mixer import ScanMixer
from statewise.ops import min_gru_scan_packed
from statewise.ops.gated_scan.gates import MinGru, activate, require_activation


class MinGRU(ScanMixer):
    """minGRU, (B, T, width) → (B, T, width). O(T·D·E) work, E values of state.

    width       D, at least 1
    expansion   units per channel, E = expansion · width
    activation  of the candidate: g (the paper's), tanh, or identity (its "vanilla" form)

    >>> layer = MinGRU(8)
    >>> y, state = layer(torch.zeros(2, 5, 8))
    >>> y.shape, state.hidden.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    non_negative_decay = True
    projections = 2

    def __init__(self, width: int, *, expansion: int = 1, activation: str = "g") -> None:
        super().__init__(width, expansion=expansion)
        self.gates = MinGru(require_activation("MinGRU", activation))

    def decay_and_drive(self, *projected: Tensor) -> tuple[Tensor, Tensor]:
        """1 − z and z ⊙ c from the gate's and the candidate's pre-activations."""
        return self.gates.decay_and_drive(*projected)

    def scan(self, projected: Tensor, initial: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Tensor]:
        """Gates and scan in one kernel."""
        return min_gru_scan_packed(projected, initial, reset=reset, activation=self.gates.activation)

    def advance(self, projected: Tensor, hidden: Tensor) -> Tensor:
        """One step as an interpolation: half the operators, which is what a single token pays for."""
        gate, candidate = projected.chunk(2, dim=-1)
        # Under autocast the projections are narrower than the state that decoding starts from.
        return torch.lerp(hidden.to(projected.dtype), activate(candidate, self.gates.activation), torch.sigmoid(gate))
