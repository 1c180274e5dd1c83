"""The mixers that every law is held against: all of MIXERS, those of their options that change what runs, and a user's.

A new mixer is in by its line in MIXERS; its options go into OPTIONS.
"""

import functools
from typing import NamedTuple

import pytest
import torch
from torch import nn

from statewise.core.random import seeded
from statewise.core.state import complex_of
from statewise.mixers import (
    GLA,
    LRU,
    MIXERS,
    MLSTM,
    RGLRU,
    RWKV4,
    RWKV7,
    S4D,
    SLSTM,
    Aaren,
    Attention,
    DeltaNet,
    GatedDeltaNet,
    GatedLRU,
    LinearAttention,
    Mamba,
    Mamba2,
    MinGRU,
    MinLSTM,
    Mixer,
    Retention,
    ScanMixer,
    ShortConv,
    URPEAttention,
)
from statewise.ops import linear_scan

WIDTH = 6
BESIDE = 0.1


class Signed(ScanMixer):
    """A user's own mixer, with decays of either sign."""

    projections = 2

    def decay_and_drive(self, gate, candidate):
        return gate.tanh(), candidate


class TurningState(NamedTuple):
    """hidden (B, D) complex."""

    hidden: torch.Tensor


class Turning(Mixer):
    """A user's own mixer, whose state turns in the complex plane at rates that are learned."""

    recurrent = True
    non_negative_decay = False

    def __init__(self, width):
        super().__init__(width)
        self.angle = nn.Parameter(torch.linspace(0, 3, width))
        self.output = nn.Linear(2 * width, width)

    def forward(self, x, state=None, *, reset=None):
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        decay = self.decay(state.hidden).expand(*x.shape)
        states, final = linear_scan(decay, x.to(decay.dtype), state.hidden, reset=reset)
        return self.read(states, x), TurningState(final)

    def step(self, x, state):
        hidden = self.decay(state.hidden) * state.hidden + x
        return self.read(hidden, x), TurningState(hidden)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        dtype = complex_of(dtype or self.angle.dtype)
        return TurningState(self.empty(batch_size, self.width, device=device, dtype=dtype))

    def decay(self, hidden):
        angle = self.angle.to(hidden.real.dtype)
        return torch.polar(torch.full_like(angle, 0.9), angle)

    def read(self, states, x):
        return self.output(torch.cat([states.real, states.imag], -1).to(x.dtype))


OPTIONS = {
    "mingru, expansion 2, tanh": (MinGRU, {"expansion": 2, "activation": "tanh"}),
    "mingru, identity": (MinGRU, {"activation": "identity"}),
    "minlstm, not normalised": (MinLSTM, {"normalise": False, "expansion": 3}),
    "a user's own": (Signed, {}),
    "a user's own, complex": (Turning, {}),
    "short convolution": (ShortConv, {}),
    "convolution of one tap": (ShortConv, {"taps": 1}),
    "attention, rope": (Attention, {"positions": "rope"}),
    "attention, rope, odd heads": (Attention, {"positions": "rope", "head_size": 3}),
    "attention, window of one": (Attention, {"window": 1}),
    "attention, window, rope": (Attention, {"window": 5, "head_size": 2, "positions": "rope"}),
    "attention, shared keys, half turned": (
        Attention,
        {"head_size": 2, "kv_heads": 1, "rotary": 1, "positions": "rope"},
    ),
    "attention, window, shared keys": (
        Attention,
        {"window": 4, "head_size": 3, "kv_heads": 1, "rotary": 2, "positions": "rope"},
    ),
    "urpe attention, few distances": (URPEAttention, {"max_distance": 4, "head_size": 2, "positions": "rope"}),
    "aaren, heads": (Aaren, {"head_size": 2}),
    "lru, gated": (LRU, {"units": 5, "gated": True, "r_min": 0.9, "r_max": 0.999}),
    "gated lru, side gate": (GatedLRU, {"units": 7, "outputs": 3, "side_gate": True, "constant": True, "bias": True}),
    "rg-lru, first unscaled": (RGLRU, {"units": 12, "head_size": 3, "conv": 2, "scale_first": False}),
    "s4d, few states": (S4D, {"state_size": 4, "gated": False}),
    "mamba, small": (Mamba, {"expansion": 1, "state_size": 3, "rank": 4, "conv": 1}),
    "mamba-2, groups": (Mamba2, {"state_size": 4, "head_size": 3, "groups": 2, "conv": 1}),
    "linear attention, normalised": (LinearAttention, {"feature_map": "elu", "normalise": True, "head_size": 3}),
    "retention, heads": (Retention, {"head_size": 2, "value_expansion": 1}),
    "gla, one head": (GLA, {"heads": 1}),
    "deltanet, negative eigenvalues": (DeltaNet, {"allow_negative_eigenvalues": True, "gate": True, "conv": 0}),
    "gated deltanet, heads of 3": (GatedDeltaNet, {"head_size": 3, "heads": 2, "gate": False}),
    "mlstm, no cap": (MLSTM, {"heads": 1, "soft_cap": None}),
    "slstm, recurrent": (SLSTM, {"recurrent_init": "uniform", "heads": 2}),
    "slstm, bare": (SLSTM, {"recurrent_init": "uniform", "conv": 0, "norm": False}),
    "rwkv-4, third of four": (RWKV4, {"layer": 2, "layers": 4, "expansion": 2}),
    "rwkv-7, heads of 3": (RWKV7, {"head_size": 3}),
}

VARIANTS = {**{name: (cls, {}) for name, cls in MIXERS.items()}, **OPTIONS}

over_variants = pytest.mark.parametrize("variant", VARIANTS)
over_mixers = pytest.mark.parametrize("variant", MIXERS)
over_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)


@functools.cache
def build(variant: str, dtype: torch.dtype = torch.float64) -> Mixer:
    """The mixer of a variant, built once: laws change a copy.

    In float32 its weights are those that it starts with. In float64 they lie a little beside: what starts at zero
    or at one would hide what it multiplies.
    """
    cls, options = VARIANTS[variant]
    with seeded(0), torch.no_grad():
        mixer = cls(WIDTH, **options).to(dtype)
        if dtype == torch.float64:
            for parameter in mixer.parameters():
                parameter += BESIDE * torch.randn_like(parameter)
    return mixer
