"""One way to compare tensors, and one table of how close is close."""

from typing import NamedTuple

import torch
from torch import Tensor


class Tolerance(NamedTuple):
    """Largest error, as a share of the largest expected magnitude: a sum of terms of both signs is not exact
    relative to itself, only relative to its terms.

    output    of one kernel: a recurrence that forgets keeps a few rounding errors alive
    gradient  of one kernel: a sum over time of what a state remembers
    layer     of a whole layer, whose matrix products may add a few hundred terms in another order
    """

    output: float
    gradient: float
    layer: float


TOLERANCES: dict[torch.dtype, Tolerance] = {
    torch.bfloat16: Tolerance(1e-2, 2e-2, 2e-2),
    torch.float16: Tolerance(1e-3, 2e-3, 2e-3),
    torch.float32: Tolerance(1e-6, 4e-6, 2e-5),
    torch.complex64: Tolerance(1e-6, 4e-6, 2e-5),
    torch.float64: Tolerance(1e-14, 4e-14, 1e-10),
    torch.complex128: Tolerance(1e-14, 4e-14, 1e-10),
}
"""By the dtype of the result; what is expected was computed in float64 or complex128."""


def assert_close(
    name: str, actual: Tensor, expected: Tensor, *, quantity: str = "layer", dtype: torch.dtype | None = None
) -> None:
    """Raise AssertionError, naming the tensor, unless shapes agree and errors stay within TOLERANCES.

    quantity  output, gradient or layer; a layer's scale is at least 1
    dtype     whose tolerance applies; None is that of `actual`

    NaN must meet NaN, and an infinity the same one.

    >>> assert_close("x", torch.ones(3), torch.ones(3))
    """
    assert actual.shape == expected.shape, f"{name}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    wide = torch.complex128 if expected.is_complex() else torch.float64
    actual_wide, expected_wide = actual.detach().to(wide), expected.detach().to(wide)
    finite = expected_wide.isfinite()
    same_elsewhere = (actual_wide == expected_wide) | actual_wide.isnan() & expected_wide.isnan()
    assert bool((finite | same_elsewhere).all()), f"{name}: NaN or inf in other places than expected"
    worst = _largest((actual_wide - expected_wide)[finite])
    scale = max(_largest(expected_wide[finite]), 1.0 if quantity == "layer" else 0.0)
    allowed = getattr(TOLERANCES[dtype or actual.dtype], quantity) * scale
    assert worst <= allowed, f"{name}: off by {worst:.3g} at a magnitude of {scale:.3g}; allowed {allowed:.3g}"


def assert_same_bits(name: str, actual: Tensor, expected: Tensor) -> None:
    """Raise AssertionError unless both have one dtype and hold the same bits; a NaN equals any NaN.

    >>> assert_same_bits("x", torch.ones(3), torch.ones(3))
    """
    assert actual.dtype == expected.dtype, f"{name}: {actual.dtype}, expected {expected.dtype}"
    assert actual.shape == expected.shape, f"{name}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    ours, theirs = (torch.view_as_real(each) if each.is_complex() else each for each in (actual, expected))
    equal = (ours == theirs) & (ours.signbit() == theirs.signbit())
    differing = int((~(equal | ours.isnan() & theirs.isnan())).sum())
    assert differing == 0, f"{name}: {differing} of {ours.numel()} numbers differ"


def _largest(values: Tensor) -> float:
    """The largest magnitude; 0 of none."""
    return values.abs().max().item() if values.numel() else 0.0
