"""LRU against the loop over complex numbers in float64, and how it starts."""

import math

import pytest
import torch
import torch.nn.functional as F

from statewise.mixers.lru import LRU
from statewise.testing import assert_close


def by_the_loop(layer, x):
    """Outputs before any gating, and the last state, written with complex matrices."""
    parts = layer.input.weight.unflatten(0, (layer.units, 2))
    write = torch.complex(parts[:, 0], parts[:, 1])
    columns = (layer.output if layer.read is None else layer.read).weight.unflatten(1, (layer.units, 2))
    read = torch.complex(columns[..., 0], -columns[..., 1])
    decay = torch.exp(torch.complex(-layer.rate.exp(), layer.angle.exp()))
    state, outputs = torch.zeros(len(x), layer.units, dtype=torch.complex128), []
    for token in x.unbind(1):
        state = decay * state + layer.gain.exp() * (token.to(write.dtype) @ write.T)
        outputs.append((state @ read.T).real + layer.skip * token)
    return torch.stack(outputs, 1), state


@pytest.mark.parametrize("options", [{}, {"expansion": 2}, {"units": 5, "gated": True}])
def test_it_is_the_loop_over_complex_numbers(options):
    layer, x = LRU(6, **options).double(), torch.randn(2, 30, 6, dtype=torch.float64)
    expected, state = by_the_loop(layer, x)
    if layer.output_gate is not None:
        seen = F.gelu(expected)
        expected = layer.output(seen) * layer.output_gate(seen).sigmoid()
    y, final = layer(x)
    assert_close("outputs", y, expected)
    assert_close("final", torch.view_as_complex(final.hidden), state)


def test_decays_start_on_the_ring():
    layer = LRU(8, units=4000, r_min=0.6, r_max=0.9, phase=math.pi / 2)
    decay, _ = layer.decay_and_drive(torch.zeros(1, 8))
    radius, angle = decay.abs(), decay.angle()
    assert 0.599 < radius.min().item() < 0.61
    assert 0.89 < radius.max().item() < 0.901
    assert radius.square().mean().item() == pytest.approx((0.36 + 0.81) / 2, abs=0.01)
    assert angle.min().item() >= 0
    assert angle.max().item() == pytest.approx(math.pi / 2, abs=0.01)
    assert_close("gain", layer.gain.exp(), (1 - radius.square()).sqrt())


def test_white_noise_gives_states_of_the_same_size():
    layer = LRU(64, units=256, r_min=0.5, r_max=0.95)
    with torch.no_grad():
        _, state = layer(torch.randn(256, 100, 64))
    sizes = torch.view_as_complex(state.hidden).abs().square().mean(0).sqrt()
    assert sizes.mean().item() == pytest.approx(1.0, abs=0.05)


def test_the_state_is_real_and_wide_beside_bfloat16():
    layer = LRU(6).bfloat16()
    _, state = layer(torch.zeros(2, 3, 6, dtype=torch.bfloat16))
    assert state.hidden.shape == (2, 6, 2)
    assert state.hidden.dtype == layer.initial_state(2).hidden.dtype == torch.float32


def test_wrong_options_name_the_value():
    with pytest.raises(ValueError, match="LRU: expansion is 0; it must be at least 1"):
        LRU(4, expansion=0)
    with pytest.raises(ValueError, match="LRU: units is 0; it must be at least 1, or None"):
        LRU(4, units=0)
    with pytest.raises(
        ValueError, match=r"LRU: r_min is 0.9 and r_max is 0.5; they must be 0 <= r_min <= r_max <= 1, r_min < 1"
    ):
        LRU(4, r_min=0.9, r_max=0.5)
    with pytest.raises(ValueError, match=r"r_min is 1\.0"):
        LRU(4, r_min=1.0)
    with pytest.raises(ValueError, match=r"LRU: phase is 0\.0; it must be above 0"):
        LRU(4, phase=0.0)
