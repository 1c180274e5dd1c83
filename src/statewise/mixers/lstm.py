"""LSTM: long short-term memory, over torch's own kernels.

    i, f, o = σ(W x + U h₋ + b)    g = tanh(W x + U h₋ + b)    c = f ⊙ c₋ + i ⊙ g    h = o ⊙ tanh(c)

Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000; torch.nn.LSTM's form.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from statewise.mixers.mixer import Mixer
from statewise.mixers.packed import run_with_resets


class LSTMState(NamedTuple):
    """hidden (B, D) and cell (B, D)."""

    hidden: Tensor
    cell: Tensor


class LSTM(Mixer):
    """LSTM, (B, T, width) → (B, T, width). O(T·D²) work in T dependent steps, 2D values of state.

    `torch.nn.LSTM` refuses T = 0; here it gives an empty output and the state unchanged.

    >>> y, state = LSTM(8)(torch.zeros(2, 5, 8))
    >>> y.shape, state.cell.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    recurrent = True
    non_negative_decay = False

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.cell = nn.LSTM(width, width, batch_first=True)

    def forward(
        self, x: Tensor, state: LSTMState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, LSTMState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        if torch.is_autocast_enabled("cpu") and x.device.type == "cpu":
            # Autocast asks oneDNN for an LSTM in bfloat16, which most CPUs have no kernel of; GRU stays in float32 too.
            with torch.autocast("cpu", enabled=False):
                return self._forward(x.to(self.cell.all_weights[0][0].dtype), state, reset)
        return self._forward(x, state, reset)

    def _forward(self, x: Tensor, state: LSTMState | None, reset: Tensor | None) -> tuple[Tensor, LSTMState]:
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        if x.shape[0] == 0 or x.shape[1] == 0:
            return x * 1.0, state
        if reset is not None:
            y, finals = run_with_resets(self._run_packed, x, tuple(state), reset)
            return y, LSTMState(*finals)
        y, (hidden, cell) = self.cell(x, (state.hidden[None], state.cell[None]))
        return y, LSTMState(hidden[0], cell[0])

    def step(self, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """One token (B, D); see `Mixer.step`."""
        hidden, memory = torch.lstm_cell(x, (state.hidden, state.cell), *self.cell.all_weights[0])
        return hidden, LSTMState(hidden, memory)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> LSTMState:
        """h_0 = 0, c_0 = 0."""
        zeros = [self.empty(batch_size, self.width, device=device, dtype=dtype) for _ in range(2)]
        return LSTMState(*zeros)

    def _run_packed(
        self, packed: PackedSequence, states: tuple[Tensor, ...]
    ) -> tuple[PackedSequence, tuple[Tensor, ...]]:
        outputs, finals = self.cell(packed, states)
        return outputs, tuple(finals)
