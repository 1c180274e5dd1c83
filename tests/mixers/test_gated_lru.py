"""GatedLRU against the loop in float64, and with the weights that make it linear attention."""

import pytest
import torch

from statewise.mixers.gated_lru import GatedLRU, reflected
from statewise.testing import assert_close


@pytest.fixture
def x():
    return torch.randn(2, 30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def by_the_loop(layer, x):
    """Outputs, and the last state."""
    seen = torch.cat([x, torch.ones_like(x[..., :1])], -1) if layer.constant else x
    state, outputs = torch.zeros(len(x), layer.units, dtype=x.dtype), []
    for token in seen.unbind(1):
        state = layer.decay * state + layer.write(token) * layer.write_gate(token)
        factor = layer.read_gate(token if layer.side_gate else state)
        outputs.append(layer.output(layer.read(state) * factor))
    return torch.stack(outputs, 1), state


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("side_gate", [False, True])
def test_it_is_the_loop(x, side_gate, constant, bias):
    layer = GatedLRU(4, units=9, outputs=5, side_gate=side_gate, constant=constant, bias=bias).double()
    expected, state = by_the_loop(layer, x)
    y, final = layer(x)
    assert_close("outputs", y, expected)
    assert_close("final", final.hidden, state)


def linear_attention(x, query, key, value):
    q, k, v = x @ query.T, x @ key.T, x @ value.T
    return torch.stack([torch.einsum("bsi,bsj,bj->bi", v[:, : t + 1], k[:, : t + 1], q[:, t]) for t in range(30)], 1)


def test_with_the_papers_weights_it_is_linear_attention(x):
    query, key, value = torch.randn(3, 4, 4, dtype=torch.float64)
    layer = GatedLRU(4, units=20, outputs=16, constant=True).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.decay[:16] = 1
        layer.write.weight[:, :4] = torch.cat([value.repeat_interleave(4, 0), query])
        layer.write_gate.weight[:16, :4] = key.repeat(4, 1)
        layer.write_gate.weight[16:, 4] = 1
        layer.read.weight[:, :16] = torch.eye(16)
        layer.read_gate.weight[:, 16:] = torch.eye(4).repeat(4, 1)
        layer.output.weight[:] = torch.eye(4).repeat_interleave(4, 1)
    assert_close("outputs", layer(x)[0], linear_attention(x, query, key, value))


def test_with_a_side_gate_no_unit_carries_the_query(x):
    query, key, value = torch.randn(3, 4, 4, dtype=torch.float64)
    layer = GatedLRU(4, units=16, side_gate=True).double()
    with torch.no_grad():
        layer.decay.fill_(1)
        layer.write.weight[:] = value.repeat_interleave(4, 0)
        layer.write_gate.weight[:] = key.repeat(4, 1)
        layer.read.weight[:] = torch.eye(16)
        layer.read_gate.weight[:] = query.repeat(4, 1)
        layer.output.weight[:] = torch.eye(4).repeat_interleave(4, 1)
    assert_close("outputs", layer(x)[0], linear_attention(x, query, key, value))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_decays_are_used_to_the_bit(dtype):
    values = torch.tensor([0.0, 0.5, 0.25, 0.7, 1e-3, 1.0], dtype=dtype)
    layer = GatedLRU(6).to(dtype)
    with torch.no_grad():
        layer.decay.copy_(values)
    used, _ = layer.decay_and_drive(torch.zeros(1, 6, dtype=dtype))
    assert torch.equal(used.to(dtype), values)


def test_a_decay_that_training_carries_outside_comes_back():
    decay = torch.tensor([-0.1, 0.3, 1.1, 2.5, -7.0], dtype=torch.float64, requires_grad=True)
    folded = reflected(decay)
    assert folded.tolist() == pytest.approx([0.1, 0.3, 0.9, 0.0, 0.0])
    folded.sum().backward()
    assert decay.grad.tolist() == [-1.0, 1.0, -1.0, 0.0, 0.0]


def test_decays_start_between_the_magnitudes():
    decay = GatedLRU(8, units=4000, r_min=0.6, r_max=0.9).decay
    assert 0.599 < decay.min().item() < 0.61
    assert 0.89 < decay.max().item() < 0.901
    assert decay.square().mean().item() == pytest.approx((0.36 + 0.81) / 2, abs=0.01)


def test_wrong_options_name_the_value():
    with pytest.raises(ValueError, match="GatedLRU: outputs is 0; it must be at least 1"):
        GatedLRU(4, outputs=0)
    with pytest.raises(ValueError, match="GatedLRU: units is -1"):
        GatedLRU(4, units=-1)
    with pytest.raises(ValueError, match=r"GatedLRU: r_min is -0\.1"):
        GatedLRU(4, r_min=-0.1)
