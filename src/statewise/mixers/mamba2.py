"""Mamba-2: a matrix memory for each head that one number fades, behind a short convolution.

    z, u, Δ = split(W_in x_t)        X, B, C = split(silu(conv4(u)))        Δ = softplus(Δ + b)
    S_t = e^{Δ A} S_{t−1} + B_t (Δ X_t)ᵀ        y_t = W_o · norm((S_tᵀ C_t + D ⊙ X_t) ⊙ silu(z))

A < 0 and D are one number for each head; B and C are shared by the heads of a group, each of which norm normalises by
itself.

Source: Dao and Gu, arXiv 2405.21060, §7 (the block), listing 1 (the scan in chunks).
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.mixers.causal_conv import causal_conv, causal_conv_step, initial_weight
from statewise.mixers.heads import head_size_of
from statewise.mixers.mixer import Mixer
from statewise.ops.matrix_scan import matrix_scan
from statewise.ops.matrix_scan.reference import advance

PUBLISHED_HEAD_SIZE = 64
SMALLEST_STEP, LARGEST_STEP = 1e-3, 0.1
NORM_EPSILON = 1e-5


class Mamba2State(NamedTuple):
    """memory (B, H, N, P) in at least float32; window (B, taps−1, E + 2·G·N), the convolution's last inputs."""

    memory: Tensor
    window: Tensor


class GroupedNorm(nn.RMSNorm):
    """RMSNorm of each of G groups of channels, (…, E) → (…, E), with a weight for every channel: the authors' code.

    >>> GroupedNorm(4, 2)(torch.tensor([1.0, 1.0, 5.0, 5.0])).round(decimals=3).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    def __init__(self, width: int, groups: int) -> None:
        super().__init__(width, eps=NORM_EPSILON)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """(…, E) → (…, E)."""
        grouped = x.unflatten(-1, (self.groups, -1))
        return F.rms_norm(grouped, grouped.shape[-1:], eps=self.eps).flatten(-2) * self.weight


class Mamba2(Mixer):
    """Mamba-2, (B, T, width) → (B, T, width). O(T·E·N) work, E·N values of state and the convolution's window.

    width       D
    expansion   E = expansion · width channels inside
    state_size  N, key channels of a head
    head_size   P, a divisor of E; None is the largest not above 64
    groups      G, a divisor of the number of heads: heads of one group share B and C
    conv        taps of the convolution, at least 1

    −A starts uniform between 1 and 16, softplus(b) log-uniform between 0.001 and 0.1, D at 1 (the authors' code, from
    memory); maps and convolution as torch's do.

    >>> y, state = Mamba2(8, state_size=4)(torch.zeros(2, 5, 8))
    >>> y.shape, state.memory.shape, state.window.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 1, 4, 16]), torch.Size([2, 3, 24]))
    """

    recurrent = True
    non_negative_decay = False

    def __init__(
        self,
        width: int,
        *,
        expansion: int = 2,
        state_size: int = 128,
        head_size: int | None = None,
        groups: int = 1,
        conv: int = 4,
    ) -> None:
        super().__init__(width)
        for name, number in {"expansion": expansion, "state_size": state_size, "groups": groups, "conv": conv}.items():
            if number < 1:
                raise UsageError(f"Mamba2: {name} is {number}; it must be at least 1")
        self.inner, self.state_size, self.groups = expansion * width, state_size, groups
        self.head_size = head_size_of("Mamba2", self.inner, head_size, PUBLISHED_HEAD_SIZE)
        self.heads = self.inner // self.head_size
        if self.heads % groups:
            raise UsageError(f"Mamba2: groups is {groups}; it must divide the number of heads, {self.heads}")
        mixed = self.inner + 2 * groups * state_size
        self.projection = nn.Linear(width, self.inner + mixed + self.heads, bias=False)
        self.conv_weight, self.conv_bias = initial_weight(conv, mixed), nn.Parameter(torch.empty(mixed))
        self.log_rate = nn.Parameter(torch.empty(self.heads).uniform_(1, 16).log())
        steps = torch.empty(self.heads).uniform_(math.log(SMALLEST_STEP), math.log(LARGEST_STEP)).exp()
        self.step_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))
        self.skip = nn.Parameter(torch.ones(self.heads))
        self.norm = GroupedNorm(self.inner, groups)
        self.output = nn.Linear(self.inner, width, bias=False)
        nn.init.uniform_(self.conv_bias, -(conv**-0.5), conv**-0.5)

    def forward(
        self, x: Tensor, state: Mamba2State | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, Mamba2State]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        gate, mixed, step = self._project(x)
        mixed, window = causal_conv(mixed, state.window, self.conv_weight, self.conv_bias, reset)
        inside, key, query = self._split(F.silu(mixed))
        size, log_decay = self._fade(step)
        answers, memory = matrix_scan(
            query, key, inside * size.unsqueeze(-1).to(inside.dtype), log_decay, state.memory, reset=reset
        )
        return self._read(answers, inside, gate), Mamba2State(memory, window)

    def step(self, x: Tensor, state: Mamba2State) -> tuple[Tensor, Mamba2State]:
        """One token (B, D); see `Mixer.step`."""
        gate, mixed, step = self._project(x)
        mixed, window = causal_conv_step(mixed, state.window, self.conv_weight, self.conv_bias, silu=True)
        inside, key, query = self._split(mixed)
        size, log_decay = self._fade(step)
        answer, memory = advance(query, key, inside * size.unsqueeze(-1).to(inside.dtype), log_decay, state.memory)
        return self._read(answer, inside, gate), Mamba2State(memory, window)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Mamba2State:
        """S_0 = 0, and a convolution that has seen nothing."""
        wide = accumulation_dtype(dtype or self.skip.dtype)
        taps, mixed = self.conv_weight.shape
        return Mamba2State(
            self.empty(batch_size, self.heads, self.state_size, self.head_size, device=device, dtype=wide),
            self.empty(batch_size, taps - 1, mixed, device=device, dtype=dtype),
        )

    def _project(self, x: Tensor) -> tuple[Tensor, ...]:
        """z (…, E), what the convolution sees (…, E + 2·G·N), and Δ's pre-activation (…, H)."""
        projected: Tensor = self.projection(x)
        return tuple(projected.split([self.inner, self.conv_weight.shape[1], self.heads], -1))

    def _split(self, mixed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """X (…, H, P), and B and C (…, H, N), or (…, 1, N) where all heads share them."""
        inside, key, query = mixed.split([self.inner, *[self.groups * self.state_size] * 2], -1)
        grouped = (each.unflatten(-1, (self.groups, -1)) for each in (key, query))
        if self.groups > 1:
            grouped = (each.repeat_interleave(self.heads // self.groups, -2) for each in grouped)
        return inside.unflatten(-1, (self.heads, -1)), *grouped

    def _fade(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """Δ and Δ·A (…, H), in at least float32."""
        size = F.softplus(step.to(accumulation_dtype(step.dtype)) + self.step_bias)
        return size, -size * self.log_rate.to(size.dtype).exp()

    def _read(self, answers: Tensor, inside: Tensor, gate: Tensor) -> Tensor:
        """Outputs (…, D)."""
        hidden = answers + inside * self.skip.unsqueeze(-1)
        y: Tensor = self.output(self.norm(hidden.flatten(-2) * F.silu(gate)))
        return y
