"""The selective scan in pieces of time: decays, drives and states of a piece exist only while the piece is worked on.

All states are N times as many numbers as inputs or outputs, so they are never kept. The forward keeps the state that
enters each piece; the backward takes the pieces from the last to the first and makes each one's states again.

Inside a piece, tensors are (B, P, N, E), channels last: rows are long enough for vector instructions.
Both are plain arithmetic and `linear_scan`'s raw operators, on any device: autograd does not look here.
"""

import torch
from torch import Tensor

from statewise.ops.linear_scan import raw

PIECE_NUMBERS = 2**19
"""About how many states a piece has: a few tensors of so many stay in the cache."""

LEAST_TOKENS = 8
"""A piece has at least so many tokens, so that entering states are N/8 numbers for each channel and token at most."""


def piece_length(batch: int, length: int, channels: int, states: int) -> int:
    """Tokens of a piece.

    >>> piece_length(4, 512, 512, 16), piece_length(1, 512, 4, 4), piece_length(64, 512, 2048, 16)
    (16, 512, 8)
    """
    fitting = PIECE_NUMBERS // max(1, batch * channels * states)
    return max(1, min(length, max(LEAST_TOKENS, fitting)))


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, initial: Tensor, reset: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs (B, T, E), the final state (B, E, N), and the states that enter the pieces, (B, pieces, N·E).

    As `reference.selective_scan`, with A (B, E, N) in full.
    """
    (batch, length, channels), states = u.shape, A.shape[-1]
    wide, size = delta.dtype, piece_length(batch, length, channels, states)
    pieces = -(-length // size)
    outputs, entering = u.new_empty(u.shape), initial.new_empty(batch, pieces, states * channels)
    rates, state = A.transpose(1, 2).unsqueeze(1), initial.transpose(1, 2).flatten(1)
    driven = delta * u.to(wide)
    decay, drive = (delta.new_empty(batch, size, states, channels) for _ in range(2))
    for piece in range(pieces):
        entering[:, piece] = state
        part = slice(piece * size, min(length, (piece + 1) * size))
        cut = None if reset is None else reset[:, part]
        x, state = _states(delta[:, part], rates, driven[:, part], B[:, part].to(wide), state, cut, decay, drive)
        outputs[:, part] = _contract(C[:, part].to(wide), x)
    return outputs, _unfolded(state, states, channels), entering


def selective_scan_backward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    entering: Tensor,
    reset: Tensor | None,
    grad_outputs: Tensor,
    grad_final: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of u, delta, A (B, E, N), B, C and the initial state."""
    (batch, length, channels), states = u.shape, A.shape[-1]
    wide, size = delta.dtype, piece_length(batch, length, channels, states)
    on_u, on_delta, on_B, on_C = (torch.empty_like(t, memory_format=torch.contiguous_format) for t in (u, delta, B, C))
    rates, carry = A.transpose(1, 2).unsqueeze(1), grad_final.transpose(1, 2).flatten(1)
    on_rates = A.new_zeros(batch, states, channels)
    decay, drive = (delta.new_empty(batch, size, states, channels) for _ in range(2))
    for piece in reversed(range(entering.shape[1])):
        part = slice(piece * size, min(length, (piece + 1) * size))
        cut, enters = None if reset is None else reset[:, part], entering[:, piece]
        u_, B_, C_, incoming = (t[:, part].to(wide) for t in (u, B, C, grad_outputs))
        step, driven = delta[:, part], delta[:, part] * u_
        x, _ = _states(step, rates, driven, B_, enters, cut, decay, drive)
        on_C[:, part] = _gather(x, incoming)

        a, on_x = decay[:, : step.shape[1]], drive[:, : step.shape[1]]
        torch.mul(C_.unsqueeze(-1), incoming.unsqueeze(2), out=on_x)
        folded = a.flatten(2), x.flatten(2), enters, cut, on_x.flatten(2), carry, None
        on_a, on_b, carry = raw.backward_op(*folded)
        on_b = on_b.unflatten(2, (states, channels))
        on_B[:, part] = _gather(on_b, driven)
        on_driven = _contract(B_, on_b)
        on_u[:, part] = step * on_driven

        # δA's gradient: exp is its own derivative.
        on_exponent = on_a.unflatten(2, (states, channels)).mul_(a)
        on_rates += torch.mul(on_exponent, step.unsqueeze(2), out=on_x).sum(1)
        on_delta[:, part] = on_exponent.mul_(rates).sum(2).addcmul_(u_, on_driven)
    return on_u, on_delta, on_rates.transpose(1, 2).contiguous(), on_B, on_C, _unfolded(carry, states, channels)


def _states(
    step: Tensor,
    rates: Tensor,
    driven: Tensor,
    B: Tensor,
    state: Tensor,
    reset: Tensor | None,
    decay: Tensor,
    drive: Tensor,
) -> tuple[Tensor, Tensor]:
    """The states of a piece (B, P, N, E) and the last one (B, N·E); `decay` and `drive` are written to."""
    tokens = step.shape[1]
    a = torch.mul(step.unsqueeze(2), rates, out=decay[:, :tokens]).exp_()
    b = torch.mul(driven.unsqueeze(2), B.unsqueeze(-1), out=drive[:, :tokens])
    states, last = raw.forward_op(a.flatten(2), b.flatten(2), state, reset, None)
    return states.unflatten(2, a.shape[2:]), last


def _contract(weights: Tensor, values: Tensor) -> Tensor:
    """Σ_n of weights (B, P, N) times values (B, P, N, E)."""
    return torch.matmul(weights.unsqueeze(-2), values).squeeze(-2)


def _gather(values: Tensor, weights: Tensor) -> Tensor:
    """Σ_e of values (B, P, N, E) times weights (B, P, E)."""
    return torch.matmul(values, weights.unsqueeze(-1)).squeeze(-1)


def _unfolded(state: Tensor, states: int, channels: int) -> Tensor:
    """A state (B, N·E) as a fresh (B, E, N)."""
    unfolded: Tensor = state.unflatten(1, (states, channels))
    return unfolded.transpose(1, 2).clone(memory_format=torch.contiguous_format)
