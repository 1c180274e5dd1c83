"""The C++ e^x, σ and tanh against float64 and longer, in units in the last place: what csrc/exponentials.hpp states."""

import numpy as np
import pytest
import torch
from mpmath import mp

from ops.scans import SETS, running
from statewise.ops import SoftmaxState, min_gru_scan, selective_scan, softmax_scan

MOST_ULPS = 3
"""As csrc/exponentials.hpp says."""


def column(numbers):
    """(1, 1, D): one token, whose channels are the numbers."""
    return numbers.reshape(1, 1, -1)


def exp(x, kernel):
    """e^x for x ≤ 0: what is left of a numerator 1 of largest score x, after a token of score and value 0."""
    zeros, state = (
        torch.zeros_like(column(x)),
        SoftmaxState(x[None], torch.zeros_like(x)[None], torch.ones_like(x)[None]),
    )
    with running(kernel) as chosen:
        return softmax_scan(zeros, zeros, state, kernel=chosen)[1].numerator[0]


def exponential(x, kernel):
    """e^x for any x: what a step of 1 at rates x leaves of states of 1."""
    one, none = torch.ones_like(column(x)), torch.zeros(1, 1, 1, dtype=x.dtype)
    with running(kernel) as chosen:
        return selective_scan(0 * one, one, x[:, None], none, none, one.mT.contiguous(), kernel=chosen)[1].flatten()


def sigmoid(x, kernel):
    """σ(x): how much of a candidate 1 is written over an empty state."""
    with running(kernel) as chosen:
        return min_gru_scan(column(x), column(torch.ones_like(x)), activation="identity", kernel=chosen)[1][0]


def tanh(x, kernel):
    """tanh(x): the candidate where the gate is wide open."""
    with running(kernel) as chosen:
        return min_gru_scan(column(torch.full_like(x, 1e4)), column(x), activation="tanh", kernel=chosen)[1][0]


def ulps(actual, expected):
    """The largest error in units of the last place of the exact value, that of the smallest denormal at least."""
    unit = np.spacing(np.abs(expected).astype(actual.dtype)).astype(expected.dtype)
    return float(np.max(np.abs(actual.astype(expected.dtype) - expected) / unit))


def grid(low, high, count, dtype):
    """Evenly spaced numbers, and as many random ones."""
    random = torch.rand(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * (high - low) + low
    return torch.cat([torch.linspace(low, high, count, dtype=torch.float64), random]).to(dtype)


# Truth for float is float64; for double it is 60 digits, one number at a time, so there are fewer of them.
@pytest.mark.parametrize("kernel", SETS)
def test_exp_in_single_precision(kernel):
    for low, high, count in ((-104, 0, 2**19), (-1, 0, 2**16), (-1e-3, 0, 2**14)):
        x = grid(low, high, count, torch.float32)
        assert ulps(exp(x, kernel).numpy(), x.double().exp().numpy()) <= MOST_ULPS


@pytest.mark.parametrize("kernel", SETS)
def test_exponential_in_single_precision(kernel):
    for low, high, count in ((-104, 88.7, 2**19), (-1, 1, 2**16), (-1e-3, 1e-3, 2**14)):
        x = grid(low, high, count, torch.float32)
        assert ulps(exponential(x, kernel).numpy(), x.double().exp().numpy()) <= MOST_ULPS


@pytest.mark.parametrize("kernel", SETS)
def test_sigmoid_in_single_precision(kernel):
    for low, high, count in ((-104, 0, 2**19), (0, 104, 2**14), (-1, 1, 2**16), (-1e-3, 1e-3, 2**14)):
        x = grid(low, high, count, torch.float32)
        assert ulps(sigmoid(x, kernel).numpy(), (1 / (1 + (-x.double()).exp())).numpy()) <= MOST_ULPS


@pytest.mark.parametrize("kernel", SETS)
def test_tanh_in_single_precision(kernel):
    for low, high, count in ((-20, 20, 2**19), (-1, 1, 2**17), (-1e-3, 1e-3, 2**14), (-1e-38, 1e-38, 2**12)):
        x = grid(low, high, count, torch.float32)
        assert ulps(tanh(x, kernel).numpy(), x.double().tanh().numpy()) <= MOST_ULPS


def exact(function, x):
    """In long double, by 60 digits."""
    with mp.workdps(60):
        return np.array([np.longdouble(mp.nstr(function(mp.mpf(each)), 25)) for each in x.tolist()])


@pytest.mark.parametrize("kernel", SETS)
def test_exp_in_double_precision(kernel, truth):
    for x, expected in truth["exp"]:
        assert ulps(exp(x, kernel).numpy(), expected) <= MOST_ULPS


@pytest.mark.parametrize("kernel", SETS)
def test_exponential_in_double_precision(kernel, truth):
    for x, expected in truth["exponential"]:
        assert ulps(exponential(x, kernel).numpy(), expected) <= MOST_ULPS


@pytest.mark.parametrize("kernel", SETS)
def test_sigmoid_in_double_precision(kernel, truth):
    for x, expected in truth["sigmoid"]:
        assert ulps(sigmoid(x, kernel).numpy(), expected) <= MOST_ULPS


@pytest.mark.parametrize("kernel", SETS)
def test_tanh_in_double_precision(kernel, truth):
    for x, expected in truth["tanh"]:
        assert ulps(tanh(x, kernel).numpy(), expected) <= MOST_ULPS


@pytest.fixture(scope="module")
def truth():
    """Numbers with their σ and tanh."""
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("long double is no longer than double here")
    functions = {
        "exp": (mp.exp, [(-745, 0), (-104, 0), (-1, 0)]),
        "exponential": (mp.exp, [(0, 709.7), (0, 1)]),
        "sigmoid": (lambda u: 1 / (1 + mp.exp(-u)), [(-745, 0), (-104, 0), (-2, 2), (0, 40)]),
        "tanh": (mp.tanh, [(-20, 20), (-1, 1), (-1e-3, 1e-3)]),
    }
    numbers = {name: [grid(*ends, 2**10, torch.float64) for ends in ranges] for name, (_, ranges) in functions.items()}
    return {name: [(x, exact(function, x)) for x in numbers[name]] for name, (function, _) in functions.items()}


@pytest.mark.parametrize("kernel", SETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_ends_are_exact(kernel, dtype):
    x = torch.tensor([-torch.inf, -1e4, 0.0, 1e4, torch.inf], dtype=dtype)
    assert sigmoid(x, kernel).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert tanh(x, kernel).tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]
    assert exp(x[:3], kernel).tolist() == [0.0, 0.0, 1.0]
    assert sigmoid(x * torch.nan, kernel).isnan().all()
    assert tanh(x * torch.nan, kernel).isnan().all()
