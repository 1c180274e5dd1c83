"""First-order linear recurrence, written as the loop it is.

    h_t = a_t · h_{t-1} + b_t,    t = 1 … T,    h_0 given;  h_{t-1} is 0 where reset_t

B batch, T time, D channels. This file is the definition; the kernels beside it promise to agree with it
to the tolerances in statewise.testing.compare.
"""

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype


def linear_scan(
    decay: Tensor, drive: Tensor, initial: Tensor | None = None, reset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """All states h_1 … h_T and the last one, one step at a time; plain autograd differentiates it.

    decay    (B, T, D) a_t, multiplies the previous state; any number
    drive    (B, T, D) b_t, added after the decay; the dtype of decay
    initial  (B, D) h_0, the dtype of decay; zeros where absent
    reset    (B, T) bool, true where the state before the token is zero

    Returns states (B, T, D) and final (B, D) in the dtype of drive; the state between steps is kept in float32
    where that is wider. T = 0 gives the initial state back. Nothing is checked. Takes T steps of B·D work.

    >>> half, one = torch.full((1, 3, 1), 0.5), torch.ones(1, 3, 1)
    >>> linear_scan(half, one)[0].flatten().tolist()
    [1.0, 1.5, 1.75]
    """
    dtype, wide = drive.dtype, accumulation_dtype(drive.dtype)
    state = _zeros_like_state(drive, wide) if initial is None else initial.to(wide)
    states = []
    # unbind, because the gradient of indexing in a loop takes T² memory.
    for t, (a, b) in enumerate(zip(decay.unbind(1), drive.unbind(1), strict=True)):
        if reset is not None:
            state = state.masked_fill(reset[:, t, None], 0)
        state = a.to(wide) * state + b.to(wide)
        states.append(state.to(dtype))
    stacked = torch.stack(states, dim=1) if states else drive.new_empty(drive.shape)
    return stacked, state.to(dtype, copy=True)


def linear_scan_backward(
    decay: Tensor,
    states: Tensor,
    initial: Tensor | None,
    reset: Tensor | None,
    grad_states: Tensor | None,
    grad_final: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of decay, drive (B, T, D) and initial (B, D): the chain rule through the loop, last step first.

    states, grad_states (B, T, D) and grad_final (B, D) have the dtype of decay; an absent gradient is zero.
    The gradient between steps is kept in float32 where that is wider.

    >>> half, states = torch.full((1, 3, 1), 0.5), torch.tensor([1.0, 1.5, 1.75]).reshape(1, 3, 1)
    >>> linear_scan_backward(half, states, None, None, None, torch.ones(1, 1))[1].flatten().tolist()
    [0.25, 0.5, 1.0]
    """
    dtype, wide = decay.dtype, accumulation_dtype(decay.dtype)
    zeros = _zeros_like_state(decay, wide)
    before = zeros if initial is None else initial.to(wide)
    carry = zeros if grad_final is None else grad_final.to(wide)
    grad_decay, grad_drive = decay.new_empty(decay.shape), decay.new_empty(decay.shape)
    for t in reversed(range(decay.shape[1])):
        previous = states[:, t - 1].to(wide) if t else before
        grad = carry if grad_states is None else grad_states[:, t].to(wide) + carry
        carry = decay[:, t].to(wide).conj() * grad
        if reset is not None:
            previous = previous.masked_fill(reset[:, t, None], 0)
            carry = carry.masked_fill(reset[:, t, None], 0)
        grad_decay[:, t] = grad * previous.conj()
        grad_drive[:, t] = grad
    return grad_decay, grad_drive, carry.to(dtype, copy=True)


def _zeros_like_state(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Zeros (B, D) for values (B, T, D)."""
    return values.new_zeros((values.shape[0], values.shape[2]), dtype=dtype)
