"""How far a result may lie from its twin, in one table for all tests.

The unit is the largest finite magnitude in the twin, which is computed in float64 from the same inputs: a sum
of terms of both signs is not exact relative to itself, only relative to its terms.
"""

import torch
from torch import Tensor

# dtype of the result → (outputs, gradients). A recurrence that forgets keeps a few rounding errors alive; a
# gradient sums over time what a state remembers.
TOLERANCES = {
    torch.bfloat16: {"output": 1e-2, "gradient": 2e-2},
    torch.float16: {"output": 1e-3, "gradient": 2e-3},
    torch.float32: {"output": 1e-6, "gradient": 4e-6},
    torch.complex64: {"output": 1e-6, "gradient": 4e-6},
    torch.float64: {"output": 1e-14, "gradient": 4e-14},
    torch.complex128: {"output": 1e-14, "gradient": 4e-14},
}


def assert_close(name: str, actual: Tensor, expected: Tensor, *, quantity: str = "output") -> None:
    """Raise unless `actual` has the shape of its twin `expected`, is finite where it is, and lies near it.

    quantity  output or gradient; the tolerance is that of actual's dtype
    """
    assert actual.shape == expected.shape, f"{name}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    wide = torch.complex128 if expected.is_complex() else torch.float64
    actual_wide, expected_wide = actual.detach().to(wide), expected.detach().to(wide)
    finite = expected_wide.isfinite()
    same_elsewhere = (actual_wide == expected_wide) | actual_wide.isnan() & expected_wide.isnan()
    assert bool((finite | same_elsewhere).all()), f"{name}: NaN or inf where its twin has another value"
    worst = _largest((actual_wide - expected_wide)[finite])
    scale = _largest(expected_wide[finite])
    allowed = TOLERANCES[actual.dtype][quantity] * scale
    assert worst <= allowed, f"{name}: off by {worst:.3g} at a magnitude of {scale:.3g}; allowed {allowed:.3g}"


def _largest(values: Tensor) -> float:
    """The largest magnitude; 0 of none."""
    return values.abs().max().item() if values.numel() else 0.0


def assert_same_bits(name: str, actual: Tensor, expected: Tensor) -> None:
    """Raise unless both real tensors have one dtype and hold the same bits; a NaN equals any NaN."""
    assert actual.dtype == expected.dtype, f"{name}: {actual.dtype}, expected {expected.dtype}"
    assert actual.shape == expected.shape, f"{name}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    equal = (actual == expected) & (actual.signbit() == expected.signbit())
    differing = int((~(equal | actual.isnan() & expected.isnan())).sum())
    assert differing == 0, f"{name}: {differing} of {actual.numel()} numbers differ"
