"""minGRU as a drop-in for torch.nn.GRU.

    z_t = σ(W_z x_t + b_z)    c_t = g(W_h x_t + b_h)    h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ c_t

with g(u) = u + 1/2 for u ≥ 0 and σ(u) below.

Source: Feng et al., arXiv 2410.01201, §3.1 and appendix B.
"""

import torch
from torch import Tensor

from statewise.nn.one_token import scan_one_token
from statewise.nn.recurrent_layer import RecurrentLayer
from statewise.ops import min_gru_scan_packed
from statewise.ops.gated_scan.gates import MinGru, require_activation


class MinGRU(RecurrentLayer):
    """minGRU with torch.nn.GRU's interface: change `nn.GRU(` to `sw.nn.MinGRU(`.

    Arguments, inputs, outputs and their shapes are those of torch.nn.GRU; see `RecurrentLayer`.

    activation  of the candidate: g (the paper's), tanh or identity

    weight_ih_l0 is (2 · hidden_size, input_size), gate above candidate. Hidden states are positive under g, where
    torch's lie between −1 and 1; h_0 = 0 is the paper's.

    >>> rnn = MinGRU(10, 20, num_layers=2)
    >>> output, h_n = rnn(torch.randn(5, 3, 10), torch.zeros(2, 3, 20))
    >>> output.shape, h_n.shape
    (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    projections = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        activation: str = "g",
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        self.gates = MinGru(require_activation("MinGRU", activation))

    def scan(self, projected: Tensor, initial: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `RecurrentLayer.scan`."""
        if projected.shape[1] == 1 and reset is None:
            return scan_one_token(self.gates, projected, initial)
        return min_gru_scan_packed(projected, initial, reset=reset, activation=self.gates.activation)

    def extra_repr(self) -> str:
        """torch.nn.GRU's, and the activation."""
        activation = self.gates.activation
        return super().extra_repr() + ("" if activation == "g" else f", activation={activation}")
