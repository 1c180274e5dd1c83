"""minLSTM as a drop-in for torch.nn.LSTM.

    f = σ(W_f x_t + b_f)    i = σ(W_i x_t + b_i)    c_t = g(W_h x_t + b_h)
    h_t = f/(f+i) ⊙ h_{t−1} + i/(f+i) ⊙ c_t

with g as in `min_gru`.

Source: Feng et al., arXiv 2410.01201, §3.2 and its appendix, algorithms 3 and 4 (normalised).
"""

from typing import Any

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.nn.one_token import scan_one_token
from statewise.nn.recurrent_layer import RecurrentLayer
from statewise.ops import min_lstm_scan_packed
from statewise.ops.gated_scan.gates import MinLstm, require_activation


class MinLSTM(RecurrentLayer):
    """minLSTM with torch.nn.LSTM's interface: change `nn.LSTM(` to `sw.nn.MinLSTM(`.

    Arguments, inputs, outputs and their shapes are those of torch.nn.LSTM; see `RecurrentLayer`. One state is all that
    minLSTM has, so of the pair that torch.nn.LSTM carries

        returned  (h_n, c_n): the same values, in tensors of their own
        passed    hx = (h_0, c_0): the state is h_0; of c_0 only the shape is looked at, and it gets no gradient

    and a pair that was returned can be passed again.

    proj_size    0: a hidden state is not projected
    activation   of the candidate: g (the paper's), tanh or identity
    normalise    divide both gates by their sum; False keeps f and i as they are
    forget_bias  added to the forget gate's initial bias, if there are biases; larger trains faster (the paper's
                 figure 5), 3 is the authors' released default

    weight_ih_l0 is (3 · hidden_size, input_size), forget gate, input gate, candidate.

    >>> rnn = MinLSTM(10, 20, num_layers=2)
    >>> output, (h_n, c_n) = rnn(torch.randn(5, 3, 10))
    >>> output.shape, h_n.shape, bool((h_n == c_n).all())
    (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]), True)
    """

    projections = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        activation: str = "g",
        normalise: bool = True,
        forget_bias: float = 3.0,
    ) -> None:
        if proj_size != 0:
            raise UsageError(
                f"MinLSTM: proj_size is {proj_size!r}; it must be 0, since the state is not projected.\n"
                f"For narrower outputs follow the layer with torch.nn.Linear({hidden_size}, {proj_size})."
            )
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype,
            bias_offsets=(forget_bias, 0.0, 0.0),
        )  # fmt: skip
        self.proj_size = proj_size
        self.gates = MinLstm(require_activation("MinLSTM", activation), normalise=normalise)

    def scan(self, projected: Tensor, initial: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `RecurrentLayer.scan`."""
        gates = self.gates
        if projected.shape[1] == 1 and reset is None:
            return scan_one_token(gates, projected, initial)
        return min_lstm_scan_packed(
            projected, initial, reset=reset, activation=gates.activation, normalise=gates.normalise
        )

    def unwrap(self, hx: Any) -> Any:
        """h_0 of (h_0, c_0)."""
        if not isinstance(hx, tuple | list) or len(hx) != 2:
            raise UsageError(f"MinLSTM: hx is {_kind(hx)}; pass the pair (h_0, c_0), as to torch.nn.LSTM")
        h_0, c_0 = hx
        if not isinstance(c_0, Tensor) or getattr(h_0, "shape", None) != c_0.shape:
            raise UsageError(
                f"MinLSTM: h_0 and c_0 must have the same shape.\n  h_0  {_kind(h_0)}\n  c_0  {_kind(c_0)}\n"
                "Only h_0 is used: pass (h_0, h_0)."
            )
        return h_0

    def wrap(self, final: Tensor) -> tuple[Tensor, Tensor]:
        """(h_n, c_n), of which a caller may change one."""
        return final, final.clone()

    def extra_repr(self) -> str:
        """torch.nn.LSTM's, and what differs from the paper's defaults."""
        gates = self.gates
        activation = "" if gates.activation == "g" else f", activation={gates.activation}"
        return super().extra_repr() + activation + ("" if gates.normalise else ", normalise=False")


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    return f"a {type(value).__name__}" + (f" of {len(value)}" if isinstance(value, tuple | list) else "")
