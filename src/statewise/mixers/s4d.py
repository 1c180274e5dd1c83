"""S4D: a diagonal state space for each channel, its rates complex and its steps learned, then a gated linear unit.

    h_t = Ā h_{t−1} + x_t        Ā = exp(δA)        v_t = 2 Re(Σ_m C B̄ h_t) + d ⊙ x_t        B̄ = (Ā − 1)/A
    y_t = (W_o GELU(v_t) + b_o) passed through a gated linear unit

Every channel has M pairs of conjugate states, N = 2M; A, C and δ are its own. The exact integral B̄ of a held input
(ZOH) stands at C, where the recurrence sees the same product.

Time is cut into chunks of P tokens. Inside one, v is a causal convolution with K_l = 2 Re(Σ_m C B̄ Ā^l); what a chunk
adds to the state and what the state adds to a chunk are matrix products; and `linear_scan` carries the state from
chunk to chunk. Nothing comes from a later token, as it would, rounded, out of a Fourier transform.

B batch, T time, D width.
Source: Gu et al., arXiv 2206.11893, §3 and §4 (S4D-Lin), and the authors' `s4d.py` for what starts how.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.mixers.causal_conv import causal_conv
from statewise.mixers.mixer import Mixer
from statewise.ops.linear_scan import linear_scan

CHUNK = 16
SHORTEST_STEP, LONGEST_STEP = 1e-3, 0.1


class S4DState(NamedTuple):
    """hidden (B, D, M, 2), in at least float32: real and imaginary parts, side by side."""

    hidden: Tensor


class S4D(Mixer):
    """A diagonal state space layer, (B, T, width) → (B, T, width). O(T·D·(D + N + P)) work, D·N values of state.

    width       D, at least 1
    state_size  N, states of each channel, even: M = N/2 complex ones stand for themselves and their conjugates
    gated       the output map has 2 D rows, and one half gates the other (GLU), as published; False leaves the gate out

    Starts as published: A_m = −1/2 + iπm, δ log-uniform in [0.001, 0.1], C complex normal of variance 1, d normal.

    >>> layer = S4D(8, state_size=4)
    >>> y, state = layer(torch.zeros(2, 5, 8))
    >>> y.shape, state.hidden.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8, 2, 2]))
    """

    recurrent = True
    non_negative_decay = False

    def __init__(self, width: int, *, state_size: int = 64, gated: bool = True) -> None:
        super().__init__(width)
        if state_size < 2 or state_size % 2:
            raise UsageError(f"S4D: state_size is {state_size}; it must be even and at least 2: pairs of conjugates")
        self.pairs, self.gated = state_size // 2, gated
        low, high = math.log(SHORTEST_STEP), math.log(LONGEST_STEP)
        self.log_step = nn.Parameter(torch.rand(width) * (high - low) + low)
        self.log_damping = nn.Parameter(torch.full((width, self.pairs), math.log(0.5)))
        self.frequency = nn.Parameter((math.pi * torch.arange(self.pairs)).repeat(width, 1))
        self.read = nn.Parameter(torch.randn(width, self.pairs, 2) * 0.5**0.5)
        self.skip = nn.Parameter(torch.randn(width))
        self.output = nn.Linear(width, 2 * width if gated else width)

    def forward(
        self, x: Tensor, state: S4DState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, S4DState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        decay, read = self.decay_and_read(accumulation_dtype(x.dtype))
        hidden = self.initial_state(x.shape[0], dtype=x.dtype).hidden if state is None else state.hidden
        carried = torch.view_as_complex(hidden.contiguous()).to(decay.dtype)
        u, whole = x.to(read.real.dtype), x.shape[1] // CHUNK * CHUNK
        outputs = []
        for part, length in ((slice(0, whole), CHUNK), (slice(whole, None), x.shape[1] - whole)):
            if u[:, part].shape[1]:
                cut = None if reset is None else reset[:, part]
                v, carried = scan_chunks(u[:, part], decay, read, carried, cut, length)
                outputs.append(v)
        v = torch.cat(outputs, 1) if outputs else u
        return self.mix(v, x), S4DState(torch.view_as_real(carried))

    def step(self, x: Tensor, state: S4DState) -> tuple[Tensor, S4DState]:
        """One token (B, D); see `Mixer.step`."""
        decay, read = self.decay_and_read(accumulation_dtype(x.dtype))
        carried = torch.view_as_complex(state.hidden.contiguous()).to(decay.dtype)
        carried = decay * carried + x.to(read.real.dtype).unsqueeze(-1)
        return self.mix((read * carried).sum(-1).real, x), S4DState(torch.view_as_real(carried))

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> S4DState:
        """h_0 = 0."""
        wide = accumulation_dtype(dtype or self.log_step.dtype)
        return S4DState(self.empty(batch_size, self.width, self.pairs, 2, device=device, dtype=wide))

    def decay_and_read(self, wide: torch.dtype) -> tuple[Tensor, Tensor]:
        """Ā and 2 C B̄, (D, M) complex."""
        step = self.log_step.to(wide).exp().unsqueeze(-1)
        rate = torch.complex(-self.log_damping.to(wide).exp(), self.frequency.to(wide))
        decay = (step * rate).exp()
        return decay, 2 * torch.view_as_complex(self.read.to(wide)) * (decay - 1) / rate

    def mix(self, v: Tensor, x: Tensor) -> Tensor:
        """Outputs (…, D) from what the state space gives and its inputs."""
        y: Tensor = self.output(F.gelu(v.to(x.dtype) + self.skip * x))
        return F.glu(y, -1) if self.gated else y


def scan_chunks(
    u: Tensor, decay: Tensor, read: Tensor, carried: Tensor, reset: Tensor | None, length: int
) -> tuple[Tensor, Tensor]:
    """Re(Σ_m read · h_t) (B, T, D) of h_t = decay · h_{t−1} + u_t, and the last state, T a multiple of `length`.

    u            (B, T, D) real
    decay, read  (D, M) complex
    carried      (B, D, M) complex, the state before the first token
    reset        (B, T) bool, true where the state before the token is zero
    """
    (batch, tokens, channels), count = u.shape, u.shape[1] // length
    powers = powers_of(decay, length)
    chunks = u.reshape(batch * count, length, channels)
    cut = None if reset is None else reset.reshape(batch * count, length)

    # What a chunk leaves to the state: its tokens after the last reset, each decayed to the chunk's end.
    lasting = chunks if cut is None else chunks.masked_fill(resets_after(cut).unsqueeze(-1), 0)
    left = per_channel(lasting, torch.view_as_real(powers[:-1].flip(0)).permute(1, 0, 2, 3).flatten(2))
    drive = torch.view_as_complex(left.transpose(0, 1).reshape(batch, count, decay.numel(), 2))
    rate = powers[-1].flatten().expand_as(drive)
    starts = None if cut is None else cut.any(1).reshape(batch, count)
    states, final = linear_scan(rate, drive, carried.flatten(1), reset=starts)

    entering = torch.cat([carried.flatten(1).unsqueeze(1), states[:, :-1]], 1)
    parts = torch.view_as_real(entering).reshape(batch * count, channels, 2 * decay.shape[1])
    response = torch.view_as_real((read * powers[1:]).conj_physical()).permute(1, 2, 3, 0).flatten(1, 2)
    outputs = torch.bmm(parts.transpose(0, 1).contiguous(), response.contiguous()).permute(1, 2, 0)
    if cut is not None:
        outputs = outputs.masked_fill((cut.cumsum(1) > 0).unsqueeze(-1), 0)
    kernel = torch.einsum("dm,ldm->ld", read, powers[:-1]).real
    outputs = outputs + convolved(chunks, kernel, cut)
    return outputs.reshape(batch, tokens, channels), final.reshape(carried.shape)


def convolved(chunks: Tensor, kernel: Tensor, reset: Tensor | None) -> Tensor:
    """Σ_j kernel_j ⊙ chunk_{l−j} (B, L, D), causal and within each chunk (B, L, D); kernel (L, D).

    One matrix product for each channel. A reset has no place in its matrix, so there the lags are added up one by one.
    """
    length, channels = kernel.shape
    if reset is not None:
        return causal_conv(chunks, chunks.new_zeros(len(chunks), length - 1, channels), kernel, None, reset)[0]
    delayed = F.pad(kernel, (0, 0, length - 1, 0)).unfold(0, length, 1).flip(0).transpose(0, 1)
    return per_channel(chunks, delayed).permute(1, 2, 0)


def powers_of(decay: Tensor, count: int) -> Tensor:
    """decay^0 … decay^count, (count + 1, D, M): products, as the recurrence itself makes them."""
    ones = torch.ones_like(decay).reshape(1, -1)
    rates = decay.reshape(1, 1, -1).expand(1, count, -1)
    powers, _ = linear_scan(rates, torch.zeros_like(rates), ones)
    return torch.cat([ones, powers[0]]).reshape(count + 1, *decay.shape)


def per_channel(values: Tensor, maps: Tensor) -> Tensor:
    """values (B, L, D) through a map (D, L, K) of its own for each channel: (D, B, K)."""
    # Both in the order of the product: bmm copies what is not, matrix by matrix.
    return torch.bmm(values.permute(2, 0, 1).contiguous(), maps.contiguous())


def resets_after(reset: Tensor) -> Tensor:
    """Whether a later token of (B, L) is reset.

    >>> resets_after(torch.tensor([[False, True, False]])).tolist()
    [[True, False, False]]
    """
    return reset.flip(1).cumsum(1).flip(1) - reset.long() > 0
