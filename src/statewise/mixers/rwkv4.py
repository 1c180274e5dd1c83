"""RWKV-4's time mixing: an average of all values so far, weighted by keys that decay, behind a gate.

    x̄^• = μ_• ⊙ x_t + (1 − μ_•) ⊙ x_{t−1}        for • in k, v, r;  x_0 = 0
    k_t = W_k x̄^k    v_t = W_v x̄^v    r_t = W_r x̄^r
    o_t = (Σ_{i<t} e^{(t−1−i) w + k_i} v_i + e^{u + k_t} v_t) / (the same sum without v)        w = −e^δ
    y_t = W_o (σ(r_t) ⊙ o_t)

B batch, T time, D width, E = expansion · D units.
Source: Peng et al., "RWKV: Reinventing RNNs for the Transformer Era", arXiv 2305.13048, §3; initial values from the
authors' code, github.com/BlinkDL/RWKV-LM, RWKV-v4/src/model.py.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.mixers.mixer import Mixer
from statewise.mixers.token_shift import channel_shares, previous_tokens
from statewise.ops.wkv import WKVState, wkv
from statewise.ops.wkv.reference import advance


class RWKV4State(NamedTuple):
    """last (B, D), the input before; numerator, denominator and maximum (B, E) of `WKVState`, in at least float32."""

    last: Tensor
    numerator: Tensor
    denominator: Tensor
    maximum: Tensor


class RWKV4(Mixer):
    """RWKV-4's time mixing, (B, T, width) → (B, T, width). O(T·D·E) work, D + 3·E values of state.

    width      D, at least 1
    expansion  units per channel, E = expansion · width
    layer      place in a stack of `layers`, from 0: the published initial decays and shifts depend on it
    layers     how many layers that stack has

    Starts as the authors' does, keys and receptance at zero, but for `output`: zero there too, it would make a layer
    that says nothing; it starts as nn.Linear does, and blocks scale it.

    >>> layer = RWKV4(8)
    >>> y, state = layer(torch.zeros(2, 5, 8))
    >>> y.shape, state.numerator.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    recurrent = True
    non_negative_decay = False

    def __init__(self, width: int, *, expansion: int = 1, layer: int = 0, layers: int = 1) -> None:
        super().__init__(width)
        if expansion < 1:
            raise UsageError(f"RWKV4: expansion is {expansion}; it must be at least 1")
        require_place("RWKV4", layer, layers)
        self.units = units = expansion * width
        self.shift_key, self.shift_value, self.shift_receptance = (nn.Parameter(torch.empty(width)) for _ in range(3))
        self.log_decay, self.bonus = (nn.Parameter(torch.empty(units)) for _ in range(2))
        self.key, self.value, self.receptance = (nn.Linear(width, units, bias=False) for _ in range(3))
        self.output = nn.Linear(units, width, bias=False)
        self._start(layer, layers)

    @torch.no_grad()
    def _start(self, layer: int, layers: int) -> None:
        above, below = layer / max(layers - 1, 1), 1 - layer / layers
        shares, units = channel_shares(self.width), torch.arange(self.units)
        self.shift_key.copy_(shares**below)
        self.shift_value.copy_(shares**below + 0.3 * above)
        self.shift_receptance.copy_(shares ** (0.5 * below))
        self.log_decay.copy_(-5 + 8 * (units / max(self.units - 1, 1)) ** (0.7 + 1.3 * above))
        self.bonus.copy_(math.log(0.3) + 0.5 * ((units + 1) % 3 - 1))
        nn.init.orthogonal_(self.value.weight, gain=math.sqrt(self.units / self.width))
        nn.init.zeros_(self.key.weight)
        nn.init.zeros_(self.receptance.weight)

    def forward(
        self, x: Tensor, state: RWKV4State | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, RWKV4State]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        previous, last = previous_tokens(x, state.last, reset)
        key, value, gate = self._project(x, previous)
        outputs, final = wkv(self._decay(), self.bonus, key, value, WKVState(*state[1:]), reset=reset)
        return self.output(gate * outputs), RWKV4State(last, *final)

    def step(self, x: Tensor, state: RWKV4State) -> tuple[Tensor, RWKV4State]:
        """One token (B, D); see `Mixer.step`."""
        key, value, gate = self._project(x, state.last.to(x.dtype))
        output, final = advance(self._decay(), self.bonus, key, value, WKVState(*state[1:]))
        return self.output(gate * output), RWKV4State(x, *final)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> RWKV4State:
        """No token yet: zeros, and −∞ for the maximum."""
        last = self.empty(batch_size, self.width, device=device, dtype=dtype)
        zeros = self.empty(batch_size, self.units, device=device, dtype=accumulation_dtype(last.dtype))
        return RWKV4State(last, zeros, zeros.clone(), torch.full_like(zeros, -torch.inf))

    def _project(self, x: Tensor, previous: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keys, values and gates (…, E) of tokens (…, D) and those before them."""
        key = self.key(torch.lerp(previous, x, self.shift_key))
        value = self.value(torch.lerp(previous, x, self.shift_value))
        return key, value, self.receptance(torch.lerp(previous, x, self.shift_receptance)).sigmoid()

    def _decay(self) -> Tensor:
        """w (E,), in at least float32."""
        return -self.log_decay.to(accumulation_dtype(self.log_decay.dtype)).exp()


def require_place(mixer: str, layer: int, layers: int) -> None:
    """Raise a UsageError that starts with `mixer` unless `layer` is one of `layers`, counted from 0."""
    if not 0 <= layer < layers:
        raise UsageError(f"{mixer}: layer is {layer} of {layers}; it must be at least 0 and below layers")
