"""S4D against the convolution with its kernel, written out in float64."""

import math

import pytest
import torch
import torch.nn.functional as F

from statewise.mixers import s4d
from statewise.mixers.s4d import S4D
from statewise.testing import assert_close


def by_convolution(layer, x):
    """Outputs from K_l = 2 Re(Σ C B̄ Ā^l), with Ā^l as an exponential."""
    step = layer.log_step.exp()[:, None]
    rate = torch.complex(-layer.log_damping.exp(), layer.frequency)
    weight = torch.view_as_complex(layer.read) * ((step * rate).exp() - 1) / rate
    lags = torch.arange(x.shape[1], dtype=torch.float64)
    kernel = 2 * torch.einsum("dm,dml->ld", weight, ((step * rate).unsqueeze(-1) * lags).exp()).real
    v = torch.stack([(kernel[: t + 1].flip(0) * x[:, : t + 1]).sum(1) for t in range(x.shape[1])], 1)
    y = layer.output(F.gelu(v + layer.skip * x))
    return F.glu(y, -1) if layer.gated else y


@pytest.mark.parametrize("length", [1, 15, 16, 17, 50])
@pytest.mark.parametrize("options", [{}, {"state_size": 4, "gated": False}])
def test_it_is_the_convolution(options, length):
    layer, x = S4D(6, **options).double(), torch.randn(2, length, 6, dtype=torch.float64)
    assert_close("outputs", layer(x)[0], by_convolution(layer, x))


def test_its_gradients_are_the_convolutions():
    layer, x = S4D(6, state_size=8).double(), torch.randn(2, 37, 6, dtype=torch.float64)
    ours, theirs = (
        torch.autograd.grad(y.square().sum(), list(layer.parameters())) for y in (layer(x)[0], by_convolution(layer, x))
    )
    for (name, _), left, right in zip(layer.named_parameters(), ours, theirs, strict=True):
        assert_close(name, left, right)


def test_the_final_state_is_the_recurrences():
    layer, x = S4D(6, state_size=4).double(), torch.randn(2, 37, 6, dtype=torch.float64)
    decay, _ = layer.decay_and_read(torch.float64)
    state = torch.zeros(2, 6, 2, dtype=torch.complex128)
    for token in x.unbind(1):
        state = decay * state + token[..., None]
    assert_close("final", torch.view_as_complex(layer(x)[1].hidden), state)


@pytest.mark.parametrize("places", [[0], [15, 16], [36], [3, 5, 20]])
@pytest.mark.parametrize("chunk", [1, 4, 16])
def test_a_reset_anywhere_in_a_chunk_starts_afresh(monkeypatch, chunk, places):
    monkeypatch.setattr(s4d, "CHUNK", chunk)
    layer, x = S4D(6, state_size=4).double(), torch.randn(1, 37, 6, dtype=torch.float64)
    reset = torch.zeros(1, 37, dtype=torch.bool)
    reset[:, places] = True
    _, before = layer(x + 1)
    state, expected = before, []
    for t, token in enumerate(x.unbind(1)):
        state = layer.initial_state(1) if reset[0, t] else state
        y, state = layer.step(token, state)
        expected.append(y)
    y, final = layer(x, before, reset=reset)
    assert_close("outputs", y, torch.stack(expected, 1))
    assert_close("final", final.hidden, state.hidden)


def test_a_later_token_changes_no_earlier_bit():
    layer, x = S4D(6), torch.randn(2, 100, 6)
    for place in (20, 90, 97):
        changed = x.clone()
        changed[:, place:] += 1
        assert torch.equal(layer(x)[0][:, :place], layer(changed)[0][:, :place])


def test_it_starts_as_published():
    layer = S4D(512)
    decay, read = layer.decay_and_read(torch.float32)
    rate = decay[:, :2].log() / layer.log_step.exp()[:, None]
    assert_close("rates", rate, torch.tensor([-0.5, -0.5 + 1j * math.pi]).expand(512, 2).to(rate.dtype))
    steps = layer.log_step / math.log(10)
    assert -3.001 < steps.min().item() < -2.95
    assert -1.05 < steps.max().item() < -0.999
    assert read.shape == (512, 32)
    assert torch.view_as_complex(layer.read).abs().square().mean().item() == pytest.approx(1.0, abs=0.05)


def test_wrong_options_name_the_value():
    for states in (0, 3):
        with pytest.raises(ValueError, match=f"S4D: state_size is {states}; it must be even"):
            S4D(4, state_size=states)
