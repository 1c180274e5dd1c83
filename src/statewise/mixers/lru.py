"""LRU: the linear recurrent unit, a diagonal linear recurrence over complex numbers that is always stable.

    λ = exp(−exp(ν) + i·exp(θ))    h_t = λ ⊙ h_{t−1} + exp(γ) ⊙ (W_b x_t)    y_t = Re(W_c h_t) + d ⊙ x_t

with ν, θ, γ and d real, h, W_b and W_c complex: |λ| < 1 whatever ν is.

B batch, T time, D width, N units.
Source: Orvieto et al., arXiv 2303.06349, §3 and appendix A; a gated output as in Zucchet's `minimal-LRU`.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.mixers.mixer import Mixer
from statewise.mixers.units import require_ring, units_of
from statewise.ops.linear_scan import linear_scan


class LRUState(NamedTuple):
    """hidden (B, N, 2), in at least float32: real and imaginary parts.

    Real, because neither bfloat16 modules nor file formats nor what selects floating-point tensors know complex ones;
    the two parts lie beside each other, so that the complex state is a view.
    """

    hidden: Tensor


class LRU(Mixer):
    """The linear recurrent unit, (B, T, width) → (B, T, width). O(T·D·N) work, 2 N values of state.

    width         D, at least 1
    expansion     units per channel, N = expansion · width
    units         N itself, in place of the expansion
    r_min, r_max  |λ| starts uniform by area on the ring between these radii
    phase         λ's angle starts uniform between 0 and this
    gated         what follows the recurrence in the published block, GELU and a gated linear unit, is part of the layer

    Starts as published: W_b with standard deviation 1/√(2D) and W_c with 1/√N in each part, d with 1, and
    exp(γ) = √(1 − |λ|²), by which white noise gives states of the same size whatever λ.

    >>> layer = LRU(8, units=4)
    >>> y, state = layer(torch.zeros(2, 5, 8))
    >>> y.shape, state.hidden.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 4, 2]))
    """

    recurrent = True
    non_negative_decay = False

    def __init__(
        self,
        width: int,
        *,
        expansion: int = 1,
        units: int | None = None,
        r_min: float = 0.0,
        r_max: float = 1.0,
        phase: float = math.tau,
        gated: bool = False,
    ) -> None:
        super().__init__(width)
        self.units = units_of("LRU", width, expansion, units)
        require_ring("LRU", r_min, r_max)
        if phase <= 0:
            raise UsageError(f"LRU: phase is {phase}; it must be above 0")
        self.rate, self.angle, self.gain = initial_decay(self.units, r_min, r_max, phase)
        # Real and imaginary parts lie beside each other; `read` holds W_c's real parts and minus its imaginary ones.
        self.input = nn.Linear(width, 2 * self.units, bias=False)
        read = nn.Linear(2 * self.units, width, bias=False)
        nn.init.normal_(self.input.weight, std=(2 * width) ** -0.5)
        nn.init.normal_(read.weight, std=self.units**-0.5)
        self.skip = nn.Parameter(torch.randn(width))
        self.read = read if gated else None
        self.output_gate = nn.Linear(width, width) if gated else None
        self.output = nn.Linear(width, width) if gated else read

    def forward(
        self, x: Tensor, state: LRUState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, LRUState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        decay, drive = self.decay_and_drive(x)
        initial = None if state is None else as_complex(state.hidden, drive.dtype)
        states, final = linear_scan(decay.expand_as(drive), drive, initial, reset=reset)
        return self.read_out(states, x), LRUState(torch.view_as_real(final))

    def step(self, x: Tensor, state: LRUState) -> tuple[Tensor, LRUState]:
        """One token (B, D); see `Mixer.step`."""
        decay, drive = self.decay_and_drive(x)
        hidden = decay * as_complex(state.hidden, drive.dtype) + drive
        return self.read_out(hidden, x), LRUState(torch.view_as_real(hidden))

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> LRUState:
        """h_0 = 0."""
        wide = accumulation_dtype(dtype or self.rate.dtype)
        return LRUState(self.empty(batch_size, self.units, 2, device=device, dtype=wide))

    def decay_and_drive(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """λ (N,) and exp(γ) ⊙ W_b x (…, N), complex, from x (…, D)."""
        driven = self.input(x)
        wide = accumulation_dtype(driven.dtype)
        decay = torch.polar((-self.rate.to(wide).exp()).exp(), self.angle.to(wide).exp())
        drive = driven.to(wide).unflatten(-1, (self.units, 2)) * self.gain.to(wide).exp()[:, None]
        return decay, torch.view_as_complex(drive)

    def read_out(self, hidden: Tensor, x: Tensor) -> Tensor:
        """Outputs (…, D) from complex states (…, N) and the inputs (…, D)."""
        parts = torch.view_as_real(hidden).flatten(-2).to(x.dtype)
        y: Tensor = (self.output if self.read is None else self.read)(parts) + self.skip * x
        if self.output_gate is None:
            return y
        y = F.gelu(y)
        gated: Tensor = self.output(y) * self.output_gate(y).sigmoid()
        return gated


def initial_decay(units: int, r_min: float, r_max: float, phase: float) -> tuple[nn.Parameter, ...]:
    """ν, θ and γ (N,): λ uniform by area on a sector of a ring, and exp(γ) = √(1 − |λ|²)."""
    area, turn = torch.rand(2, units, dtype=torch.float64)
    squared = area * (r_max**2 - r_min**2) + r_min**2
    values = (-0.5 * squared.log()).log(), (phase * turn).log(), 0.5 * torch.log1p(-squared)
    return tuple(nn.Parameter(value.to(torch.get_default_dtype())) for value in values)


def as_complex(parts: Tensor, dtype: torch.dtype) -> Tensor:
    """Real parts (…, 2) as a complex tensor (…) of `dtype`."""
    return torch.view_as_complex(parts.contiguous()).to(dtype)
