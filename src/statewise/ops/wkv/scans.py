"""RWKV-4's average as three scans: the largest exponent, then numerator and denominator beside it.

B batch, T time, D channels.
"""

import torch
from torch import Tensor

from statewise.ops.linear_scan import linear_scan
from statewise.ops.max_plus_scan import max_plus_scan
from statewise.ops.wkv.reference import WKVState, empty_state


def wkv(
    decay: Tensor,
    bonus: Tensor,
    key: Tensor,
    value: Tensor,
    initial: WKVState | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, WKVState]:
    """As `reference.wkv`."""
    state = empty_state(key) if initial is None else initial
    decay, bonus, k, v = (each.to(state.maximum.dtype) for each in (decay, bonus, key, value))
    maxima = max_plus_scan(decay, k, state.maximum, reset)
    first = tuple(_rescaled(total, state.maximum) for total in state[:2])

    # Outputs do not depend on what the sums are divided by, so that the maxima are constants to their gradients.
    largest = maxima.detach()
    before = _before(state.maximum.detach(), largest, reset, -torch.inf)
    past, present = torch.exp(decay + before - largest), torch.exp(k - largest)
    numerators, numerator = linear_scan(past, present * v, first[0], reset=reset)
    denominators, denominator = linear_scan(past, present, first[1], reset=reset)

    own = bonus + k
    largest = torch.maximum(before, own).detach()
    past, present = torch.exp(before - largest), torch.exp(own - largest)
    above = past * _before(first[0], numerators, reset) + present * v
    below = past * _before(first[1], denominators, reset) + present

    last = maxima[:, -1] if key.shape[1] else state.maximum
    final = WKVState(_rescaled(numerator, last, -1), _rescaled(denominator, last, -1), last.clone())
    return (above / below).to(value.dtype), final


def _before(first: Tensor, values: Tensor, reset: Tensor | None, nothing: float = 0.0) -> Tensor:
    """What `values` (B, T, D) held before each token: `first` (B, D) to begin with, `nothing` where reset."""
    before = torch.cat([first.unsqueeze(1), values], 1)[:, :-1]
    return before if reset is None else before.masked_fill(reset.unsqueeze(-1), nothing)


def _rescaled(total: Tensor, maximum: Tensor, sign: int = 1) -> Tensor:
    """`total` itself, with the gradient of total · e^{± maximum} as if that exponential were 1.

    It takes the maximum's gradient into sums whose exponents hold it as a constant, and out of them.
    """
    exponent = maximum.masked_fill(maximum == -torch.inf, 0)
    return total * torch.exp(sign * (exponent - exponent.detach()))
