"""The kernels of one decoded token against what torch composes, and when they stand back."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise import _kernels
from statewise.core.dtypes import accumulation_dtype
from statewise.ops import one_token
from statewise.testing import assert_close
from statewise.testing.compare import assert_same_bits

SETS = _kernels.instruction_sets()


@pytest.fixture(params=SETS)
def instructions(request, monkeypatch):
    monkeypatch.setattr(one_token, "instruction_set", lambda kernel: request.param)


def numbers(*shape, dtype, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def expected_conv(x, window, weight, bias, silu):
    past = torch.cat([window, x[:, None, : weight.shape[1]]], 1)
    y = (past.double() * weight.double().flip(0)).sum(1) + (0 if bias is None else bias.double())
    return F.silu(y) if silu else y, past[:, 1:]


@pytest.mark.parametrize("dtype", list(one_token.DTYPES))
@pytest.mark.usefixtures("instructions")
@torch.no_grad()
def test_convolutions_agree(dtype):
    for batch, taps, channels in [(1, 4, 64), (3, 1, 5), (2, 2, 33), (5, 3, 1), (40, 4, 300)]:
        x = numbers(batch, 2 * channels, dtype=dtype)
        window = numbers(batch, taps - 1, channels, dtype=dtype, seed=1)
        weight = numbers(taps, channels, dtype=dtype, seed=2)
        for bias in (None, numbers(channels, dtype=dtype, seed=3)):
            for silu in (False, True):
                y, after = one_token.causal_conv_step(x, window, weight, bias, silu=silu)
                expected, shifted = expected_conv(x, window, weight, bias, silu)
                assert_close("output", y, expected, dtype=dtype)
                assert_same_bits("window", after, shifted)


def arguments(batch, channels, states, rank, dtype):
    def of(*shape, seed):
        return numbers(*shape, dtype=dtype, seed=seed)

    return {
        "u": of(batch, channels, seed=1),
        "selected": of(batch, rank + 2 * states, seed=2),
        # Beyond 20, where softplus is the identity, and far below 0.
        "step_weight": of(channels, rank, seed=3) * 12,
        "step_bias": of(channels, seed=4),
        "log_rates": of(channels, states, seed=5),
        "skip": of(channels, seed=6),
        "z": of(batch, 2 * channels, seed=7),
        "state": numbers(batch, channels, states, dtype=accumulation_dtype(dtype), seed=8),
    }


def expected_update(u, selected, step_weight, step_bias, log_rates, skip, z, state):
    u, selected, step_weight, step_bias, log_rates, skip, z, state = (
        each.double() for each in (u, selected, step_weight, step_bias, log_rates, skip, z, state)
    )
    (channels, rank), states = step_weight.shape, log_rates.shape[1]
    low, B, C = selected.split([rank, states, states], -1)
    delta = F.softplus(low @ step_weight.T + step_bias)[..., None]
    after = (-delta * log_rates.exp()).exp() * state + delta * u[..., None] * B[:, None]
    return ((after @ C[..., None])[..., 0] + skip * u) * F.silu(z[:, -channels:]), after


@pytest.mark.parametrize("dtype", list(one_token.DTYPES))
@pytest.mark.usefixtures("instructions")
@torch.no_grad()
def test_updates_agree(dtype):
    for batch, channels, states, rank in [(1, 64, 16, 2), (3, 5, 1, 1), (2, 33, 7, 3), (40, 100, 16, 7)]:
        given_ = arguments(batch, channels, states, rank, dtype)
        y, after = one_token.selective_state_update(**given_)
        expected, advanced = expected_update(**given_)
        assert_close("output", y, expected, dtype=dtype)
        assert_close("state", after, advanced, dtype=accumulation_dtype(dtype))


@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 20), st.integers(1, 9))
@settings(max_examples=30, deadline=None)
@torch.no_grad()
def test_every_shape(batch, channels, states, rank):
    given_ = arguments(batch, channels, states, rank, torch.float64)
    for one, other in zip(one_token.selective_state_update(**given_), expected_update(**given_), strict=True):
        assert_close("result", one, other)


@pytest.mark.parametrize("dtype", list(one_token.DTYPES))
@pytest.mark.usefixtures("instructions")
@torch.no_grad()
def test_norms_agree(dtype):
    for batch, channels in [(1, 64), (3, 1), (2, 33), (300, 200)]:
        x = numbers(batch, channels + 3, dtype=dtype)[:, 3:] * 5
        for weight in (None, numbers(channels, dtype=dtype, seed=1)):
            for epsilon in (1e-6, 3.0):
                given_ = None if weight is None else weight.double()
                expected = F.rms_norm(x.double(), (channels,), given_, epsilon)
                assert_close("norm", one_token.rms_norm(x, weight, epsilon), expected, dtype=dtype)


@torch.no_grad()
def test_the_same_bits_at_any_number_of_threads():
    given_ = arguments(64, 100, 16, 7, torch.float32)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(one_token.selective_state_update(**given_))
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*found, strict=True):
        assert_same_bits("result", one, other)


@torch.no_grad()
def test_what_no_kernel_takes_is_left_to_torch():
    one = torch.zeros(2, 2)
    assert one_token.infers(one, None, one)
    with torch.enable_grad():
        assert not one_token.infers(one)
    assert not one_token.infers(one, one.double())
    assert not one_token.infers(one.half())
    assert not one_token.infers(one.to("meta"))
    assert not one_token.infers(one.T)
    assert not one_token.infers(torch._neg_view(one))
    seen = []
    torch.vmap(lambda each: (seen.append(one_token.infers(each)), each)[1])(one)
    assert seen == [False]
