"""One way to compare tensors, and one table of how close is close."""

import torch
from torch import Tensor

RELATIVE: dict[torch.dtype, float] = {
    torch.float64: 1e-10,
    # A few hundred sums of float32 roundings (6e-8 each), with room for their order to differ.
    torch.float32: 2e-5,
    torch.bfloat16: 2e-2,
}
"""Largest error allowed, as a share of the largest expected magnitude."""


def assert_close(name: str, actual: Tensor, expected: Tensor, *, dtype: torch.dtype | None = None) -> None:
    """Raise AssertionError, naming the tensor, unless shapes agree and errors stay within RELATIVE.

    dtype  whose tolerance applies; None is that of `actual`

    The error is relative to the largest expected magnitude, at least 1. NaN must meet NaN.

    >>> assert_close("x", torch.ones(3), torch.ones(3))
    """
    assert actual.shape == expected.shape, f"{name}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    if actual.numel() == 0:
        return
    actual64, expected64 = actual.detach().double(), expected.detach().double()
    nan = expected64.isnan()
    assert bool((actual64.isnan() == nan).all()), f"{name}: NaN in other places than expected"
    scale = max(1.0, expected64[~nan].abs().max().item() if bool((~nan).any()) else 1.0)
    error = (actual64 - expected64)[~nan].abs().max().item() if bool((~nan).any()) else 0.0
    allowed = RELATIVE[dtype or actual.dtype] * scale
    assert error <= allowed, f"{name}: largest error {error:.3g}, allowed {allowed:.3g}"
