"""Gated LRU: a real diagonal linear recurrence between two gates that multiply, the cell that can be linear attention.

    h_t = λ ⊙ h_{t−1} + g_in(x_t)    y_t = W_o g_out(h_t)
    g_in(x) = (W_w x) ⊙ (W_v x)      g_out(h) = (W_r h) ⊙ (W_q h)

or, with a side gate, g_out(h) = (W_r h) ⊙ (W_q x): the query need not pass through the state.

Products of values and keys are written, λ = 1 sums them up, units of λ = 0 pass the query through, and the output gate
multiplies: D² + D units are a linear attention of width D.

B batch, T time, D width, N units, M outputs.
Source: Zucchet et al., arXiv 2309.01775, §2 (the cell) and §3 (the construction); side gates in its appendix.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.mixers.mixer import Mixer
from statewise.mixers.units import require_ring, units_of
from statewise.ops.linear_scan import linear_scan


class GatedLRUState(NamedTuple):
    """hidden (B, N), in at least float32."""

    hidden: Tensor


class GatedLRU(Mixer):
    """The gated linear recurrent unit, (B, T, width) → (B, T, width). O(T·(D·N + N·M + M·D)) work, N values of state.

    width         D, at least 1
    expansion     units per channel, N = expansion · width
    units         N itself, in place of the expansion
    outputs       M, what the output gate makes; None is N
    side_gate     the output gate's second factor reads x, not h
    constant      a 1 stands after x, so that a product can pass one factor on alone
    bias          biases on every map; the paper has none
    r_min, r_max  λ starts as the published LRU's magnitudes do, λ² uniform between these two squared

    Maps start as torch's Linear does; the paper's text gives no other.

    `decay` (N,) is λ itself, so that any number of [0, 1] can be written into it and is used to the bit, exact 0 and 1
    included, which no sigmoid or exponential grants. Training may carry it outside: it is reflected at 0 and 1 (see
    `reflected`), since a unit that is clamped there would have no gradient and stay for good. At exactly 0 and 1 that
    gradient is zero too: units written so keep their decay while the rest is trained.

    >>> layer = GatedLRU(8, units=12, outputs=5)
    >>> y, state = layer(torch.zeros(2, 5, 8))
    >>> y.shape, state.hidden.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 12]))
    """

    recurrent = True
    non_negative_decay = True

    def __init__(
        self,
        width: int,
        *,
        expansion: int = 1,
        units: int | None = None,
        outputs: int | None = None,
        side_gate: bool = False,
        constant: bool = False,
        bias: bool = False,
        r_min: float = 0.0,
        r_max: float = 1.0,
    ) -> None:
        super().__init__(width)
        self.units = units_of("GatedLRU", width, expansion, units)
        require_ring("GatedLRU", r_min, r_max)
        self.outputs = self.units if outputs is None else outputs
        if self.outputs < 1:
            raise UsageError(f"GatedLRU: outputs is {outputs}; it must be at least 1, or None for one for each unit")
        self.side_gate, self.constant = side_gate, constant
        seen = width + 1 if constant else width
        self.decay = nn.Parameter((torch.rand(self.units) * (r_max**2 - r_min**2) + r_min**2).sqrt())
        self.write = nn.Linear(seen, self.units, bias=bias)
        self.write_gate = nn.Linear(seen, self.units, bias=bias)
        self.read = nn.Linear(self.units, self.outputs, bias=bias)
        self.read_gate = nn.Linear(seen if side_gate else self.units, self.outputs, bias=bias)
        self.output = nn.Linear(self.outputs, width, bias=bias)

    def forward(
        self, x: Tensor, state: GatedLRUState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, GatedLRUState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        x = self.with_constant(x)
        decay, drive = self.decay_and_drive(x)
        initial = None if state is None else state.hidden.to(drive.dtype)
        states, final = linear_scan(decay.expand_as(drive), drive, initial, reset=reset)
        return self.read_out(states, x), GatedLRUState(final)

    def step(self, x: Tensor, state: GatedLRUState) -> tuple[Tensor, GatedLRUState]:
        """One token (B, D); see `Mixer.step`."""
        x = self.with_constant(x)
        decay, drive = self.decay_and_drive(x)
        hidden = decay * state.hidden + drive
        return self.read_out(hidden, x), GatedLRUState(hidden)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> GatedLRUState:
        """h_0 = 0."""
        wide = accumulation_dtype(dtype or self.decay.dtype)
        return GatedLRUState(self.empty(batch_size, self.units, device=device, dtype=wide))

    def with_constant(self, x: Tensor) -> Tensor:
        """x (…, D), a 1 after it where the layer has that constant."""
        return F.pad(x, (0, 1), value=1.0) if self.constant else x

    def decay_and_drive(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """λ (N,) and g_in(x) (…, N), in at least float32."""
        drive = self.write(x) * self.write_gate(x)
        wide = accumulation_dtype(drive.dtype)
        return reflected(self.decay.to(wide)), drive.to(wide)

    def read_out(self, hidden: Tensor, x: Tensor) -> Tensor:
        """Outputs (…, D) from states (…, N) and the inputs, their constant included."""
        hidden = hidden.to(x.dtype)
        y: Tensor = self.output(self.read(hidden) * self.read_gate(x if self.side_gate else hidden))
        return y


def reflected(decay: Tensor) -> Tensor:
    """Numbers folded into [0, 1] at its ends: those inside stay, 1.1 becomes 0.9 and −0.1 becomes 0.1; 2 and on are 0.

    >>> reflected(torch.tensor([0.0, 0.25, 1.0, 1.5, -0.25])).tolist()
    [0.0, 0.25, 1.0, 0.5, 0.25]
    """
    magnitude = decay.abs()
    return torch.minimum(magnitude, 2 - magnitude).clamp(min=0)
