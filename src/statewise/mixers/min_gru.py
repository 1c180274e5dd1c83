"""minGRU: a GRU whose gate and candidate see the input alone, so that it trains as a scan.

    z_t = σ(W_z x_t + b_z)    c_t = g(W_h x_t + b_h)    h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ c_t    y_t = W_o h_t + b_o

with g(u) = u + 1/2 for u ≥ 0 and σ(u) below, which keeps h positive; W_o brings the sign back.

B batch, T time, D width, E = expansion · D units.
Source: Feng et al., arXiv 2410.01201, §3.1 and appendix B (log-space form). The recurrence is computed
directly: the same function, exact to rounding at any length, where the log-space form in float32 is not.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.mixers.mixer import Mixer
from statewise.ops import linear_scan


class MinGRUState(NamedTuple):
    """hidden (B, E)."""

    hidden: Tensor


def positive(x: Tensor) -> Tensor:
    """g(u) = u + 1/2 for u ≥ 0, σ(u) below: continuous, positive, slope 1 or at most 1/4.

    >>> positive(torch.tensor([0.0, 1.0])).tolist()
    [0.5, 1.5]
    """
    return torch.where(x >= 0, x + 0.5, torch.sigmoid(x))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"g": positive, "tanh": torch.tanh, "identity": nn.Identity()}


def check_units(name: str, expansion: int, activation: str) -> None:
    """Raise a UsageError for options that minGRU and minLSTM do not have."""
    if expansion < 1:
        raise UsageError(f"{name}: expansion is {expansion}; it must be at least 1")
    if activation not in ACTIVATIONS:
        raise UsageError(f"{name}: activation is {activation!r}; it must be one of {', '.join(ACTIVATIONS)}")


class MinGRU(Mixer):
    """minGRU, (B, T, width) → (B, T, width). O(T·D·E) work, E values of state.

    width       D, at least 1
    expansion   units per channel, E = expansion · width
    activation  of the candidate: g (the paper's), tanh, or identity (its "vanilla" form)

    >>> layer = MinGRU(8)
    >>> y, state = layer(torch.zeros(2, 5, 8))
    >>> y.shape, state.hidden.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    recurrent = True
    non_negative_decay = True

    def __init__(self, width: int, *, expansion: int = 1, activation: str = "g") -> None:
        super().__init__(width)
        check_units("MinGRU", expansion, activation)
        self.units = expansion * width
        self.activation = activation
        self.gate_and_candidate = nn.Linear(width, 2 * self.units)
        self.output = nn.Linear(self.units, width)

    def forward(
        self, x: Tensor, state: MinGRUState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, MinGRUState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        gate, candidate = self.gate_and_candidate(x).chunk(2, dim=-1)
        drive = torch.sigmoid(gate) * ACTIVATIONS[self.activation](candidate)
        initial = None if state is None else state.hidden
        # σ(−u) rather than 1 − σ(u): exact where the gate saturates.
        states, final = linear_scan(torch.sigmoid(-gate), drive, initial, reset=reset)
        return self.output(states), MinGRUState(final)

    def step(self, x: Tensor, state: MinGRUState) -> tuple[Tensor, MinGRUState]:
        """One token (B, D); see `Mixer.step`."""
        gate, candidate = self.gate_and_candidate(x).chunk(2, dim=-1)
        drive = torch.sigmoid(gate) * ACTIVATIONS[self.activation](candidate)
        hidden = torch.sigmoid(-gate) * state.hidden + drive
        return self.output(hidden), MinGRUState(hidden)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> MinGRUState:
        """h_0 = 0."""
        return MinGRUState(self.empty(batch_size, self.units, device=device, dtype=dtype))
