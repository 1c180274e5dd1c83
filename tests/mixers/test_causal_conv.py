"""The causal depthwise convolution against torch's own, and one token at a time."""

import pytest
import torch
import torch.nn.functional as F

from statewise.mixers.causal_conv import causal_conv, causal_conv_step
from statewise.testing import assert_close


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("length", [0, 1, 2, 9])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("taps", [1, 2, 4])
def test_it_is_torchs_depthwise_convolution_of_window_and_inputs(taps, biased, length):
    x, window, weight = normal(2, length, 3), normal(2, taps - 1, 3, seed=1), normal(taps, 3, seed=2)
    bias = normal(3, seed=3) if biased else None
    seen = torch.cat([window, x], 1)
    y, last = causal_conv(x, window, weight, bias)
    if length:
        expected = F.conv1d(seen.transpose(1, 2), weight.T.flip(1)[:, None], bias, groups=3).transpose(1, 2)
        assert_close("outputs", y, expected)
    assert y.shape == x.shape
    assert torch.equal(last, seen[:, length:])


@pytest.mark.parametrize("taps", [1, 2, 4])
def test_a_reset_hides_what_came_before(taps):
    x, window, weight = normal(2, 9, 3), normal(2, taps - 1, 3, seed=1), normal(taps, 3, seed=2)
    for start in (0, 1, 7, 8):
        reset = torch.zeros(2, 9, dtype=torch.bool)
        reset[0, start] = True
        y, last = causal_conv(x, window, weight, reset=reset)
        alone, last_alone = causal_conv(x[:1, start:], torch.zeros(1, taps - 1, 3, dtype=x.dtype), weight)
        before, _ = causal_conv(x[:, :start], window, weight)
        untouched, last_untouched = causal_conv(x, window, weight)
        assert_close("outputs", y, torch.cat([torch.cat([before[:1], alone], 1), untouched[1:]]))
        assert_close("window", last, torch.cat([last_alone, last_untouched[1:]]))


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("taps", [1, 2, 4])
def test_steps_are_the_whole(taps, biased):
    x, window, weight = normal(2, 5, 3), normal(2, taps - 1, 3, seed=1), normal(taps, 3, seed=2)
    bias = normal(3, seed=3) if biased else None
    y, last = causal_conv(x, window, weight, bias)
    for t in range(5):
        one, window = causal_conv_step(x[:, t], window, weight, bias)
        assert_close("outputs", one, y[:, t])
    assert torch.equal(window, last)


def test_the_window_keeps_no_more_memory_than_it_needs():
    _, last = causal_conv(normal(2, 100, 3), normal(2, 3, 3), normal(4, 3))
    assert last.untyped_storage().nbytes() == last.numel() * last.itemsize


def test_sums_in_bfloat16_are_rounded_once():
    x, window, weight = (each.bfloat16() for each in (normal(2, 50, 3), normal(2, 3, 3), normal(4, 3)))
    exact, _ = causal_conv(x.float(), window.float(), weight.float())
    assert torch.equal(causal_conv(x, window, weight)[0], exact.bfloat16())
