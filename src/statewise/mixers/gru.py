"""GRU: the gated recurrent unit, over torch's own kernels.

    r = σ(W_ir x + b_ir + W_hr h₋ + b_hr)    z = σ(W_iz x + b_iz + W_hz h₋ + b_hz)
    c = tanh(W_ic x + b_ic + r ⊙ (W_hc h₋ + b_hc))        h = (1 − z) ⊙ c + z ⊙ h₋

The gates see the previous state, so time cannot be run in parallel; in exchange it tracks states (parity,
brackets) that input-gated recurrences do not.

Source: Cho et al., arXiv 1406.1078; torch.nn.GRU's form of the candidate.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from statewise.mixers.mixer import Mixer
from statewise.mixers.packed import run_with_resets


class GRUState(NamedTuple):
    """hidden (B, D)."""

    hidden: Tensor


class GRU(Mixer):
    """GRU, (B, T, width) → (B, T, width). O(T·D²) work in T dependent steps, D values of state.

    `torch.nn.GRU` refuses T = 0; here it gives an empty output and the state unchanged.

    >>> y, state = GRU(8)(torch.zeros(2, 5, 8))
    >>> y.shape, state.hidden.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    recurrent = True
    non_negative_decay = False

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.cell = nn.GRU(width, width, batch_first=True)

    def forward(
        self, x: Tensor, state: GRUState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, GRUState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        hidden = self.empty(x.shape[0], self.width, dtype=x.dtype) if state is None else state.hidden
        if x.shape[0] == 0 or x.shape[1] == 0:
            return x * 1.0, GRUState(hidden)
        if reset is not None:
            y, (hidden,) = run_with_resets(self._run_packed, x, (hidden,), reset)
            return y, GRUState(hidden)
        y, final = self.cell(x, hidden[None])
        return y, GRUState(final[0])

    def step(self, x: Tensor, state: GRUState) -> tuple[Tensor, GRUState]:
        """One token (B, D); see `Mixer.step`."""
        hidden = torch.gru_cell(x, state.hidden, *self.cell.all_weights[0])
        return hidden, GRUState(hidden)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> GRUState:
        """h_0 = 0."""
        return GRUState(self.empty(batch_size, self.width, device=device, dtype=dtype))

    def _run_packed(
        self, packed: PackedSequence, states: tuple[Tensor, ...]
    ) -> tuple[PackedSequence, tuple[Tensor, ...]]:
        outputs, final = self.cell(packed, states[0])
        return outputs, (final,)
