"""Mixers that are one linear scan: decay and drive come from the input alone, whatever their formula.

    p_t = W x_t + b    (a_t, b_t) = formula(p_t)    h_t = a_t ⊙ h_{t−1} + b_t    y_t = W_o h_t + b_o

B batch, T time, D width, E = expansion · D units.
"""

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.mixers.mixer import Mixer
from statewise.ops.linear_scan import linear_scan


class ScanState(NamedTuple):
    """hidden (B, E)."""

    hidden: Tensor


class ScanMixer(Mixer):
    """A mixer given by its formula: subclasses say how many projections it takes, and what it makes of them.

    width      D, at least 1
    expansion  units per channel, E = expansion · width

    O(T·D·E) work, E values of state. `non_negative_decay` is False unless the subclass says otherwise.

    >>> class Leaky(ScanMixer):
    ...     projections = 2
    ...     def decay_and_drive(self, gate, candidate):
    ...         return gate.sigmoid(), candidate.tanh()
    >>> y, state = Leaky(8, expansion=2)(torch.zeros(2, 5, 8))
    >>> y.shape, state.hidden.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 16]))
    """

    recurrent = True
    non_negative_decay = False
    projections: ClassVar[int]

    def __init__(self, width: int, *, expansion: int = 1) -> None:
        super().__init__(width)
        if expansion < 1:
            raise UsageError(f"{type(self).__name__}: expansion is {expansion}; it must be at least 1")
        self.units = expansion * width
        self.projection = nn.Linear(width, self.projections * self.units)
        self.output = nn.Linear(self.units, width)

    @abstractmethod
    def decay_and_drive(self, *projected: Tensor) -> tuple[Tensor, Tensor]:
        """Decay and drive (…, E) from `projections` tensors (…, E)."""

    def scan(self, projected: Tensor, initial: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Tensor]:
        """States (B, T, E) and the last one, from the projections side by side, (B, T, projections · E).

        Overridden where one kernel does the formula and the scan together; both must agree.
        """
        decay, drive = self.decay_and_drive(*projected.chunk(self.projections, dim=-1))
        return linear_scan(decay, drive, initial, reset=reset)

    def advance(self, projected: Tensor, hidden: Tensor) -> Tensor:
        """The next hidden state (B, E) from the projections side by side, (B, projections · E)."""
        decay, drive = self.decay_and_drive(*projected.chunk(self.projections, dim=-1))
        return decay * hidden + drive

    def forward(
        self, x: Tensor, state: ScanState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, ScanState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        states, final = self.scan(self.projection(x), None if state is None else state.hidden, reset)
        return self.output(states), ScanState(final)

    def step(self, x: Tensor, state: ScanState) -> tuple[Tensor, ScanState]:
        """One token (B, D); see `Mixer.step`."""
        hidden = self.advance(self.projection(x), state.hidden)
        return self.output(hidden), ScanState(hidden)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> ScanState:
        """h_0 = 0."""
        return ScanState(self.empty(batch_size, self.units, device=device, dtype=dtype))
